//! Shows a report: as a table for people, as JSON or YAML for programs.

use anyhow::Context;
use serde::Serialize;

use crate::cli::output_value::{Format, OutputValue};

/// `report` for programs; `None` for a table, which each verb makes itself.
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

/// `1 id`, `2 ids`.
pub(super) fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}
