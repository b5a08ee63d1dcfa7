//! How a report is shown: as a table for people, as JSON or YAML for programs.

use anyhow::Context;
use clap::ValueEnum;
use serde::Serialize;

/// How a report is shown.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Form {
    Table,
    Json,
    Yaml,
}

/// `report` as JSON or YAML; nothing for a table, which each verb lays out itself.
pub(super) fn for_programs(form: Form, report: &impl Serialize) -> anyhow::Result<Option<String>> {
    let text = match form {
        Form::Table => return Ok(None),
        Form::Json => {
            serde_json::to_string_pretty(report).map(|text| text + "\n").context("writing JSON")?
        }
        Form::Yaml => {
            let options = serde_saphyr::ser_options! { prefer_block_scalars: false };
            serde_saphyr::to_string_with_options(report, options).context("writing YAML")?
        }
    };
    Ok(Some(text))
}

/// Rows with their columns under each other, the last one free.
pub(super) fn columns<const N: usize>(rows: &[[String; N]]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..N).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    text
}

/// `1 id`, `2 ids`.
pub(super) fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}
