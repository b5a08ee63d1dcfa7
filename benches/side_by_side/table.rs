//! Results on the terminal.

use comfy_table::{CellAlignment, Table, presets};

use crate::goals::Goal;
use crate::results::{Results, Scenario, Value};

/// Prints the results.
pub(crate) fn print(results: &Results) {
    for scenario in &results.scenarios {
        println!("\n{}: {}", scenario.id, scenario.title);
        println!("{}", scenario_table(scenario));
    }
    println!("\ngoals\n{}", goal_table(&results.goals));
    let machine = &results.machine;
    println!(
        "{}, {} cores, Linux {}, Envoy {}, load {}",
        machine.cpu, machine.cores, machine.kernel, machine.envoy, machine.load
    );
}

/// A line for each subject, a column for each quantity.
fn scenario_table(scenario: &Scenario) -> Table {
    let names = names(scenario);
    let mut table = new_table();
    table.set_header([vec!["subject"], names.clone()].concat());
    for row in &scenario.rows {
        let cells = names.iter().map(|name| row.value(name).map_or(String::new(), spread));
        table.add_row([row.subject.clone()].into_iter().chain(cells));
    }
    align(table)
}

/// The quantities that any row has.
pub(crate) fn names(scenario: &Scenario) -> Vec<&str> {
    let mut names = Vec::new();
    for value in scenario.rows.iter().flat_map(|row| &row.values) {
        if !names.contains(&value.name.as_str()) {
            names.push(&value.name);
        }
    }
    names
}

/// The form is `median (minimum–maximum)`.
fn spread(value: &Value) -> String {
    let digits = usize::from(value.median.abs() < 100.0);
    match value.rounds.len() {
        0 | 1 => format!("{:.digits$}", value.median),
        _ => format!("{:.digits$} ({:.digits$}–{:.digits$})", value.median, value.min, value.max),
    }
}

fn goal_table(goals: &[Goal]) -> Table {
    let mut table = new_table();
    table.set_header(["goal", "at most", "measured", "at best", "", "met"]);
    for goal in goals {
        let Goal { what, limit, unit, measured, at_best, met } = goal;
        let met = if *met { "yes" } else { "NO" };
        let [limit, measured, at_best] =
            [limit, measured, at_best].map(|number| format!("{number:.2}"));
        table.add_row([what.as_str(), &limit, &measured, &at_best, unit, met]);
    }
    align(table)
}

fn new_table() -> Table {
    let mut table = Table::new();
    table.load_preset(presets::UTF8_BORDERS_ONLY);
    table
}

fn align(mut table: Table) -> Table {
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}
