//! Revocation by a rule, if the ids are not known.
//!
//! In: the flags of a rule, and the file of a gateway. Out: the file with the rule. The core defines the meaning of a
//! rule: [`zonegate::gate::RevocationRule`].

use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use zonegate::gate::{RevocationRule, UnixTime};
use zonegate::token::NumericDate;

use super::RevokeArgs;
use super::report::layout_words;
use crate::atomic_write::replace;
use crate::cli::failure::{BadInput, warn};
use crate::cli::{output, printable, time};
use crate::lint::doubt;
use crate::plugin_config::rules::words;
use crate::plugin_config::{Generation, RevocationPlace};
use crate::revocation_file::{Reformat, RevocationFile, RuleEdit};

/// Flags for ids.
const OF_IDS: [&str; 7] = ["ids", "from", "service_account", "prune", "keys", "create", "literal"];

#[derive(Args)]
#[command(
    next_help_heading = "A rule, in place of ids; it revokes the tokens that meet all its conditions"
)]
#[group(skip)]
pub(super) struct RuleArgs {
    /// Revoke zone tokens of this zone
    #[arg(long, value_parser = NonEmptyStringValueParser::new(), conflicts_with_all = OF_IDS)]
    #[arg(conflicts_with_all = ["mesh", "name"])]
    zone: Option<String>,
    /// Revoke dataplane tokens that name this dataplane
    #[arg(long, value_parser = NonEmptyStringValueParser::new(), conflicts_with_all = OF_IDS)]
    name: Option<String>,
    /// Revoke tokens that a key of this kid signed
    #[arg(long, value_parser = NonEmptyStringValueParser::new(), conflicts_with_all = OF_IDS)]
    kid: Option<String>,
    /// Revoke tokens that were issued before this time (RFC 3339 or seconds since 1970), and tokens without the claim
    /// iat
    #[arg(long, value_name = "TIME", value_parser = time::parse, conflicts_with_all = OF_IDS)]
    issued_before: Option<UnixTime>,
    /// When the rule ends: a time when all these tokens have expired [default: never]
    #[arg(long, value_name = "TIME", value_parser = time::parse, conflicts_with_all = OF_IDS)]
    until: Option<UnixTime>,
    /// Why the rule is there, for whoever reads the file
    #[arg(long, value_name = "TEXT", conflicts_with_all = OF_IDS)]
    note: Option<String>,
}

impl RuleArgs {
    /// Whether the flags make a rule.
    pub(super) fn is_given(&self) -> bool {
        let Self { zone, name, kid, issued_before, until: _, note: _ } = self;
        [zone, name, kid].into_iter().any(Option::is_some) || issued_before.is_some()
    }

    fn rule(&self, mesh: Option<&str>) -> RevocationRule {
        let Self { zone, name, kid, issued_before, until, note } = self;
        let text = |text: &Option<String>| text.as_deref().map(Into::into);
        RevocationRule {
            zone: text(zone),
            mesh: mesh.map(Into::into),
            name: text(name),
            kid: text(kid),
            // Rounded up, because `iat` has whole seconds: tokens of the started second are revoked too.
            issued_before: issued_before.map(|time| NumericDate(seconds_up(time))),
            until: until.map(whole_up),
            note: note.as_deref().unwrap_or_default().into(),
        }
    }
}

impl RevokeArgs {
    /// Adds the rule to the file.
    pub(super) fn add_rule(&self, name: &str) -> anyhow::Result<ExitCode> {
        let rule = self.rule.rule(self.mesh.as_deref());
        let left = || BadInput(format!("{name} is left as it is"));
        let bytes = self.read()?;
        let file = RevocationFile::read(&bytes, &RevocationPlace::ZoneTokens).with_context(left)?;
        let reformat = if self.reformat { Reformat::WhereNeeded } else { Reformat::Never };
        let edit = file.add_rule(&rule, reformat, &Generation::fresh()).with_context(left)?;
        self.warn_of_times(name);
        let doubt = file.config().and_then(|config| doubt(&rule, &config.policy));
        doubt.into_iter().for_each(|doubt| warn(&format!("{name}: {doubt}")));
        let words = words(&rule);
        let said = match &edit {
            RuleEdit::Already(place) => {
                format!("{name}: revocationRules[{place}] revokes as much already: {words}\n")
            }
            RuleEdit::Added { place, layout, .. } => {
                let (would, end) = match self.dry_run {
                    true => (" would be", "; nothing was written (--dry-run)"),
                    false => ("", ""),
                };
                let layout = layout_words(*layout);
                format!("{layout}{name}: revocationRules[{place}]{would} added: {words}{end}\n")
            }
        };
        if let RuleEdit::Added { text, .. } = &edit
            && !self.dry_run
        {
            replace(&self.file, text.as_bytes())
                .with_context(|| format!("{name} is left as it is"))?;
        }
        output::print(&printable::lines(&said)).context("could not write to standard output")?;
        Ok(ExitCode::SUCCESS)
    }

    /// Warns if the rule also revokes new tokens, which the operator needs as replacements, or if it has ended already.
    fn warn_of_times(&self, name: &str) {
        let now = time::now();
        let after = match self.rule.issued_before {
            None => Some(
                "tokens that are yet to be issued are revoked too: give --issued-before to revoke only \
                 older ones",
            ),
            Some(time) if time > now => Some(
                "--issued-before is not over yet: tokens that are issued until then are revoked too",
            ),
            Some(_) => None,
        };
        let has_ended = self.rule.until.is_some_and(|until| until <= now);
        let ended = has_ended.then_some("--until is over already: the rule revokes nothing");
        for warning in after.into_iter().chain(ended) {
            warn(&format!("{name}: {warning}"));
        }
    }
}

fn seconds_up(time: UnixTime) -> i64 {
    i64::try_from(whole_up(time).as_secs()).unwrap_or(i64::MAX)
}

/// `time`, rounded up to a whole second.
fn whole_up(time: UnixTime) -> UnixTime {
    let is_whole = time.since_epoch().subsec_nanos() == 0;
    UnixTime::from_secs(time.as_secs().saturating_add(u64::from(!is_whole)))
}
