//! `zonegate config check`.
//!
//! In: a file with a configuration of the filter. Out: what the filter accepts, and warnings, or why it refuses. Exit
//! code: 0 accepted, 1 refused, 2 not readable.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde::Serialize;
use serde_json::Value;
use zonegate::text::Quoted;

use super::report::{counted, for_programs};
use super::{Found, print};
use crate::cli::columns::columns;
use crate::cli::failure::{self, warn};
use crate::cli::output_value::Format;
use crate::cli::printable::one_line;
use crate::lint::LintReport;
use crate::plugin_config::rules::RULES;

const EXAMPLES: &str = "\
The filter's own code reads the file, so Envoy accepts what is accepted here. FILE is a plugin
configuration, Envoy's gateway.yaml or ECDS file, an Istio WasmPlugin or an EnvoyExtensionPolicy.

Exit code: 0 accepted (with or without warnings), 1 refused, 2 the file cannot be read.

Examples:
  $ zonegate config check /etc/zonegate/ecds/zonegate.yaml
  $ zonegate config check -o json policy.yaml | jq .warnings";

/// Check a configuration with the filter's own code, and warn of settings that may be mistakes
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) struct CheckArgs {
    /// File with the configuration, YAML or JSON, or - for standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Output format
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t = Format::Table)]
    output: Format,
}

#[derive(Serialize)]
struct Verdict<'a> {
    file: &'a str,
    accepted: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(flatten)]
    lint: Option<LintReport>,
}

impl CheckArgs {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let found = Found::read(&self.file)?;
        let (lint, error) = match found.accepted() {
            Ok(config) => (Some(LintReport::of(&found.file, &found.plugin, &config)), None),
            Err(error) => (None, Some(error)),
        };
        let verdict = Verdict {
            file: &found.name,
            accepted: error.is_none(),
            error: error.as_ref().map(|error| error.root_cause().to_string()),
            lint,
        };
        match for_programs(self.output, &verdict)? {
            Some(text) => print(&text)?,
            None => {
                if let Some(lint) = &verdict.lint {
                    print(&table(&found.name, lint))?;
                    lint.warnings.iter().for_each(|warning| warn(&warning.to_string()));
                }
            }
        }
        match error {
            None => Ok(ExitCode::SUCCESS),
            Some(error) => {
                failure::report(&error);
                Ok(ExitCode::FAILURE)
            }
        }
    }
}

fn table(name: &str, lint: &LintReport) -> String {
    let place = match lint.place.as_str() {
        "" => String::new(),
        place => format!(" (at {place})"),
    };
    let warnings = match lint.warnings.len() {
        0 => String::new(),
        count => format!(", with {}", counted(count, "warning")),
    };
    let mut keys = vec![["KID", "BITS", "FINGERPRINT"].map(str::to_owned)];
    keys.extend(
        lint.keys.iter().map(|key| {
            [Quoted(&key.kid).to_string(), key.bits.to_string(), key.fingerprint.clone()]
        }),
    );
    let mut settings = vec![["SETTING", "VALUE"].map(str::to_owned)];
    settings.extend(lint.settings.iter().map(|(path, value)| {
        match (path.as_str(), lint.rules.len()) {
            (RULES, 1..) => [path.clone(), counted(lint.rules.len(), "rule")],
            _ => [path.clone(), plain(value)],
        }
    }));
    settings.push(["revocations".to_owned(), counted(lint.revocations, "id")]);
    let mut rules = vec![["RULE", "REVOKES"].map(str::to_owned)];
    let place_of = |place| format!("{RULES}[{place}]");
    rules.extend(lint.rules.iter().enumerate().map(|(at, rule)| [place_of(at), one_line(rule)]));
    let rules =
        if lint.rules.is_empty() { String::new() } else { format!("\n{}", columns(&rules)) };
    let (keys, settings) = (columns(&keys), columns(&settings));
    format!("{name}: accepted{place}{warnings}\n\n{keys}\n{settings}{rules}")
}

/// A setting as a configuration has it.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) if text.bytes().all(|byte| byte.is_ascii_graphic()) => text.clone(),
        Value::String(text) => Quoted(text).to_string(),
        other => other.to_string(),
    }
}
