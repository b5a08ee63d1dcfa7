//! Writes the tables of `docs/performance.md`, between two marks, from results.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use anyhow::Context;

use crate::chain::{JWT, JWT_CACHE, ZONEGATE};
use crate::requests::{rbac_name, with_list};
use crate::results::{ADDED, EACH_ADDED, Results, Scenario, Value};
use crate::table::names;

const BEGIN: &str = "<!-- make bench DOCS=1 writes from here -->\n";
const END: &str = "<!-- to here -->\n";

/// Replaces the text between the marks of `file`.
pub(crate) fn write(results: &Results, file: &Path) -> anyhow::Result<()> {
    let page = fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
    let missing = || format!("{}: its two marks are missing", file.display());
    let (before, rest) = page.split_once(BEGIN).with_context(missing)?;
    let (_, after) = rest.split_once(END).with_context(missing)?;
    let page = format!("{before}{BEGIN}\n{}\n{END}{after}", section(results)?);
    fs::write(file, page).with_context(|| format!("writing {}", file.display()))
}

fn section(results: &Results) -> anyhow::Result<String> {
    let (machine, settings) = (&results.machine, results.settings);
    let mut text = format!(
        "{}: {}, {} cores, Linux {}, load {}; Envoy {}, zonegate {}, module {:.0} KB; a to d: {} starts, \
         {} rounds of {} requests each.\n",
        machine.date,
        machine.cpu,
        machine.cores,
        machine.kernel,
        machine.load.split(' ').next().unwrap_or_default(),
        machine.envoy,
        machine.zonegate,
        machine.module_bytes as f64 / 1000.0,
        settings.lives,
        settings.rounds,
        settings.requests,
    );
    goals(&mut text, results)?;
    sizes(&mut text, results)?;
    for scenario in &results.scenarios {
        table(&mut text, scenario)?;
    }
    Ok(text)
}

fn goals(text: &mut String, results: &Results) -> anyhow::Result<()> {
    writeln!(text, "\n| goal | at most | measured | | met |\n|---|--:|--:|---|---|")?;
    for goal in &results.goals {
        let met = if goal.met { "yes" } else { "**no**" };
        let (limit, measured) = (goal.limit, goal.measured);
        writeln!(text, "| {} | {limit:.2} | {measured:.2} | {} | {met} |", goal.what, goal.unit)?;
    }
    Ok(())
}

/// The cost of all proxies together when they connect at once.
fn sizes(text: &mut String, results: &Results) -> anyhow::Result<()> {
    let sums = [
        ("zonegate, all tokens new", results.value("a", ZONEGATE, ADDED)),
        ("zonegate, tokens seen before", results.value("b", ZONEGATE, ADDED)),
        ("zonegate, 1,000,000 revoked ids", results.value("d", &with_list(1_000_000), ADDED)),
        ("jwt_authn, all tokens new", results.value("a", JWT, ADDED)),
        ("jwt_authn with its cache, seen before", results.value("b", JWT_CACHE, ADDED)),
        ("… and 1,000 revoked ids", results.value("b", &rbac_name(1_000), ADDED)),
        ("… and 10,000 revoked ids", results.value("b", &rbac_name(10_000), ADDED)),
        ("… and 100,000 revoked ids", results.value("b", &rbac_name(100_000), ADDED)),
    ];
    writeln!(
        text,
        "\n| CPU added when all connect once | 50 proxies | 1,000 | 20,000 |\n|---|--:|--:|--:|"
    )?;
    for (what, added) in sums {
        let Some(added) = added else { continue };
        let of = |proxies: f64| time(added.median * proxies / 1000.0);
        writeln!(text, "| {what} | {} | {} | {} |", of(50.0), of(1e3), of(2e4))?;
    }
    if let Some(added) = results.value("f", ZONEGATE, EACH_ADDED) {
        let of = |proxies: f64| format!("{:.1} MiB", added.median * proxies / 1024.0);
        writeln!(text, "| memory added, zonegate | {} | {} | {} |", of(50.0), of(1e3), of(2e4))?;
    }
    Ok(())
}

fn time(milliseconds: f64) -> String {
    match milliseconds {
        many if many >= 1000.0 => format!("{:.1} s", many / 1000.0),
        few => format!("{few:.1} ms"),
    }
}

fn table(text: &mut String, scenario: &Scenario) -> anyhow::Result<()> {
    let names = names(scenario);
    writeln!(text, "\n**{}**: {}\n", scenario.id, scenario.title)?;
    writeln!(text, "| | {} |\n|---|{}", names.join(" | "), "--:|".repeat(names.len()))?;
    for row in &scenario.rows {
        let cells: Vec<String> =
            names.iter().map(|name| row.value(name).map_or(String::new(), cell)).collect();
        writeln!(text, "| {} | {} |", row.subject, cells.join(" | "))?;
    }
    Ok(())
}

/// The median, and in small print the minimum and the maximum.
fn cell(value: &Value) -> String {
    let Value { median, min, max, .. } = value;
    let digits = usize::from(median.abs() < 100.0);
    match value.rounds.len() {
        0 | 1 => format!("{median:.digits$}"),
        _ => format!("{median:.digits$} <sub>{min:.digits$} to {max:.digits$}</sub>"),
    }
}
