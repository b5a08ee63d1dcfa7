//! How a report is shown: as a table for people, as JSON or YAML for programs.

use anyhow::Context;
use serde::Serialize;

use crate::cli::output_value::{Format, OutputValue};

/// `report` for programs; nothing for a table, which each verb lays out itself.
pub(super) fn for_programs(
    format: Format,
    report: &impl Serialize,
) -> anyhow::Result<Option<String>> {
    let json = serde_json::to_string(report).context("writing JSON")?;
    let value = OutputValue::from_json(&json).context("writing JSON")?;
    Ok(match format {
        Format::Table => None,
        Format::Json => Some(value.to_json()),
        Format::Yaml => Some(value.to_yaml()),
    })
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
