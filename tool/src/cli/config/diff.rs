//! `zonegate config diff`.
//!
//! In: two files with configurations of the filter. Out: the changes that the second would make. Exit code, as of diff:
//! 0 no changes, 1 changes, 2 not readable or refused.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use zonegate::text::Quoted;

use super::report::{counted, for_programs};
use super::{Found, print};
use crate::cli::output_value::Format;
use crate::plugin_config::{
    Difference, KeyChange, ListChange, RuleChange, RuleDirection, RuleEffect,
};

const EXAMPLES: &str = "\
Both files may be of any kind that config check reads. Defaults are filled in, and keys are compared
by what they are, not by how they are spelled.

Exit code: 0 nothing would change, 1 something would change, 2 a file is refused or cannot be read.

Examples:
  $ zonegate config diff /etc/zonegate/ecds/zonegate.yaml new.yaml";

/// Show what a new configuration would change: keys, revoked ids, revocation rules, settings
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) struct DiffArgs {
    /// The configuration in force, or - for standard input
    #[arg(value_name = "OLD")]
    old: PathBuf,
    /// The new configuration
    #[arg(value_name = "NEW")]
    new: PathBuf,
    /// Output format
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t = Format::Table)]
    output: Format,
}

impl DiffArgs {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let (old, new) = (Found::read(&self.old)?, Found::read(&self.new)?);
        let (old_config, new_config) = (old.accepted()?, new.accepted()?);
        let difference =
            Difference::between((&old.plugin, &old_config), (&new.plugin, &new_config));
        match for_programs(self.output, &difference)? {
            Some(text) => print(&text)?,
            None => print(&table(&difference))?,
        }
        Ok(if difference.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

fn table(difference: &Difference) -> String {
    let Difference { keys, revoked, unrevoked, other_lists, rules, is_listed, settings } =
        difference;
    let mut text = String::new();
    // Writing to a String does not fail.
    for change in keys {
        let _ = writeln!(text, "{}", key(change));
    }
    if !revoked.is_empty() {
        let _ = writeln!(text, "+ revoked: {}", few(revoked));
    }
    if !unrevoked.is_empty() {
        let _ = writeln!(text, "- no longer revoked: {}", few(unrevoked));
    }
    for ListChange { path, revoked, unrevoked } in other_lists {
        if !revoked.is_empty() {
            let _ = writeln!(text, "+ revoked in {path}: {}", few(revoked));
        }
        if !unrevoked.is_empty() {
            let _ = writeln!(text, "- no longer revoked in {path}: {}", few(unrevoked));
        }
    }
    for change in rules {
        let _ = writeln!(text, "{}", rule(change));
    }
    for change in settings {
        if change.path == "revocations" && !is_listed {
            let _ = writeln!(text, "~ revocations: changed");
            continue;
        }
        let _ = writeln!(text, "~ {}: {} -> {}", change.path, change.before, change.after);
    }
    text
}

fn key(KeyChange { kid, before, after }: &KeyChange) -> String {
    let kid = Quoted(kid);
    match (before, after) {
        (Some(before), Some(after)) => {
            format!("~ key {kid}: {before} -> {after} (tokens of the old one are refused)")
        }
        (Some(before), None) => format!("- key {kid}: {before} (its tokens are refused)"),
        (None, Some(after)) => format!("+ key {kid}: {after}"),
        (None, None) => format!("  key {kid}"),
    }
}

fn rule(change: &RuleChange) -> String {
    let RuleChange { change, rule, effect, covered_by } = change;
    let (sign, side) = match change {
        RuleDirection::Added => ('+', "old"),
        RuleDirection::Removed => ('-', "new"),
    };
    let effect = match (effect, covered_by) {
        (RuleEffect::Looser, _) => {
            " (looser: tokens that only it revokes are let in again)".to_owned()
        }
        (RuleEffect::None, Some(place)) => {
            format!(" (no difference: revocationRules[{place}] of the {side} one revokes as much)")
        }
        (RuleEffect::Stricter | RuleEffect::None, _) => String::new(),
    };
    format!("{sign} revocation rule: {rule}{effect}")
}

/// The most ids that are listed in full.
const FEW: usize = 5;

fn few(ids: &[String]) -> String {
    let shown: Vec<String> = ids.iter().take(FEW).map(|id| Quoted(id).to_string()).collect();
    let more = match ids.len().saturating_sub(FEW) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("{}: {}{more}", counted(ids.len(), "id"), shown.join(", "))
}
