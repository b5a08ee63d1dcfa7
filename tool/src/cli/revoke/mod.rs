//! `zonegate revoke`.
//!
//! In: a file with revoked ids, and more ids or tokens, or a rule. Out: the file with them, replaced as a whole or not
//! at all. The library reads and changes files with revoked ids.

mod args;
mod report;
mod rule;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use args::{IdOrToken, Verified};
use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use report::Report;
use rule::RuleArgs;
use zonegate::config::Config;
use zonegate::revocation::entries;
use zonegate::text::Quoted;

use super::failure::{BadInput, warn};
use super::{input, output, printable};
use crate::atomic_write::{FileLock, Keeps, KeptBySync, kept_by_sync, replace};
use crate::plugin_config::plugin_file::{MAX_BYTES, PluginConfiguration};
use crate::plugin_config::{Generation, RevocationPlace};
use crate::revocation_file::{Edited, Reformat, RevocationFile};

const EXAMPLES: &str = "\
FILE is a revocation list (text as in the secret zone-token-revocations), a plugin configuration, or
the ECDS file that Envoy watches. With the ECDS file, the token is refused and its open streams are
cut as soon as the file is in place. FILE is replaced as a whole; comments in it stay. It is no error
if an ID is revoked already. A file that a running zonegate sync keeps is refused: revoke in the
control plane's secret.

Examples:
  $ zonegate revoke /etc/zonegate/ecds/zonegate.yaml 9f2c1a52-6f0e-4c7b-8d8e-0f6f2b9b4c11
  $ zonegate revoke /etc/zonegate/ecds/zonegate.yaml --from stolen.token
  $ zonegate revoke revoked.txt --from tokens.txt --prune --keys zonegate.yaml
  $ zonegate revoke zonegate.yaml --mesh demo 9f2c1a52-6f0e-4c7b-8d8e-0f6f2b9b4c11

  Tokens whose ids are unknown, by a rule: all tokens of a zone that were issued before a time. Rules are
  Zonegate's own: the control plane does not know them.
  $ zonegate revoke zonegate.yaml --zone us-east --issued-before 2026-11-20T00:00:00Z --note 'lost backup'

  For the control plane, which reads a secret:
  $ zonegate revoke revoked.txt 9f2c1a52-6f0e-4c7b-8d8e-0f6f2b9b4c11
  $ echo \"
  type: GlobalSecret
  name: zone-token-revocations
  data: {{ list }}
  \" | kumactl apply --var list=$(base64 -w0 < revoked.txt) -f -";

/// Add token ids to a revocation list, or ids or a rule to the file of a gateway
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct RevokeArgs {
    /// File to change
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// What to revoke: an ID, or a token, whose ID is taken
    #[arg(value_name = "ID|TOKEN")]
    ids: Vec<String>,
    /// File with ids or tokens, separated by white space or commas; - for standard input; repeatable
    #[arg(long, value_name = "FILE")]
    from: Vec<PathBuf>,
    /// In a policy, revoke dataplane tokens of this mesh: the given ids, or by a rule. Without --mesh, an ID is
    /// taken for a zone token's, and a dataplane token must be one that a key verifies
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    mesh: Option<String>,
    /// In a policy, revoke service-account tokens of Kubernetes
    #[arg(long, conflicts_with = "mesh")]
    service_account: bool,
    /// Remove the ids of given tokens that have expired, instead of adding them. Their signatures are
    /// checked, so that nobody can remove an ID with a forged token
    #[arg(long)]
    prune: bool,
    /// File with the plugin configuration whose keys verify the tokens [default: FILE, if it has one]
    #[arg(long, value_name = "FILE")]
    keys: Option<PathBuf>,
    /// Create FILE, as a revocation list, if it does not exist
    #[arg(long)]
    create: bool,
    /// Accept ids that look like mistakes (quotes, separators, invisible characters) as they are
    #[arg(long)]
    literal: bool,
    /// Rewrite FILE, without its comments, if its revocations cannot be changed alone
    #[arg(long)]
    reformat: bool,
    /// Show what would be done, and change nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    rule: RuleArgs,
}

/// The time that another zonegate may take for a large file.
const PATIENCE: Duration = Duration::from_secs(10);
const KEPT: &str = "a running zonegate sync keeps this file, and would undo the change at its next poll: \
                    revoke in the control plane's secret (zone-token-revocations, or \
                    dataplane-token-revocations-MESH), which it follows (see \
                    zonegate revoke --help), or, for this gateway alone, in the file of its --base";
const BASE: &str = "a running zonegate sync keeps this file by another one, its --base, and would undo the change at \
                    its next poll: write the rule into that file, under revocationRules";
const WAS_BASE: &str = "a zonegate sync has kept this file (it is not running now): when it runs again with a --base, \
                        it undoes this unless that file has the rule too";
const WAS_KEPT: &str = "a zonegate sync has kept this file (it is not running now): when it runs again, it \
                        undoes this unless the control plane's secret (zone-token-revocations, or \
                        dataplane-token-revocations-MESH) has the ids too";
const MAY_BE_KEPT: &str = "another user's zonegate sync may keep this file, and would undo the change: see \
                           whether one is running";
const NOTHING: &str = "nothing to revoke: give ids, tokens, or --from; or, for a rule, --zone, --name, --kid or \
                       --issued-before";
/// Why a word in a file is refused.
const ODD: &str = "neither an ID nor a token: only letters, digits, - . _ ~ are expected (an ID with \
                   others can be given as an argument)";
/// Enough for the tokens of a whole mesh.
const MAX_FROM: usize = 16 * 1024 * 1024;

impl RevokeArgs {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let name = self.file.display().to_string();
        if self.file == Path::new("-") {
            return Err(
                BadInput("FILE is changed in place: it cannot be standard input".into()).into()
            );
        }
        // The lock comes before reading, so that no change of another process is lost.
        let _lock = FileLock::of(&self.file, PATIENCE).with_context(|| name.clone())?;
        self.not_kept_by_sync(&name)?;
        if self.rule.is_given() {
            return self.add_rule(&name);
        }
        let bytes = self.read()?;
        let left = || BadInput(format!("{name} is left as it is"));
        let file = RevocationFile::read(&bytes, &self.given_place()).with_context(left)?;
        let others = self.keys()?;
        let args = self.args(others.as_ref().or(file.config()))?;
        let lists = match file.config() {
            // The file is a list itself, of any kind.
            None => BTreeMap::from([(self.given_place(), args)]),
            Some(_) => self.by_list(args).with_context(left)?,
        };
        let generation = Generation::fresh();
        let (mut text, mut said, mut is_changed) = (bytes, String::new(), false);
        for (place, args) in &lists {
            let edited = self.edit(&text, place, args, &generation)?;
            is_changed |= !edited.added.is_empty() || !edited.dropped.is_empty();
            let of_list = match (file.config(), place) {
                (None, _) | (_, RevocationPlace::ZoneTokens) => name.clone(),
                (Some(_), place) => format!("{name}: {place}"),
            };
            let report = Report {
                name: &of_list,
                args,
                edited: &edited,
                prune: self.prune,
                dry_run: self.dry_run,
            };
            said.push_str(&report.to_string());
            text = edited.text.into_bytes();
        }
        if is_changed && !self.dry_run {
            replace(&self.file, &text).with_context(|| format!("{name} is left as it is"))?;
        }
        output::print(&printable::lines(&said)).context("could not write to standard output")?;
        Ok(ExitCode::SUCCESS)
    }

    /// Changes the ids in one list of the file.
    fn edit(
        &self,
        text: &[u8],
        place: &RevocationPlace,
        args: &[IdOrToken],
        generation: &Generation,
    ) -> anyhow::Result<Edited> {
        let name = self.file.display().to_string();
        let left = || BadInput(format!("{name} is left as it is"));
        let file = RevocationFile::read(text, place).with_context(left)?;
        for odd in file.odd() {
            warn(&format!("{name}: {place}: {odd}"));
        }
        let (add, drop) = self.sorted(&file, args);
        let reformat = if self.reformat { Reformat::WhereNeeded } else { Reformat::Never };
        let edited = file.edit(&add, &drop, reformat, generation).with_context(left)?;
        self.no_slip(&name, args)?;
        Ok(edited)
    }

    /// The list that the flags name, which is also the list for an id.
    fn given_place(&self) -> RevocationPlace {
        match &self.mesh {
            Some(mesh) => RevocationPlace::Mesh(mesh.clone()),
            None if self.service_account => RevocationPlace::ServiceAccounts,
            None => RevocationPlace::ZoneTokens,
        }
    }

    /// The arguments by the list in which they belong.
    fn by_list(
        &self,
        args: Vec<IdOrToken>,
    ) -> anyhow::Result<BTreeMap<RevocationPlace, Vec<IdOrToken>>> {
        let is_given = self.mesh.is_some() || self.service_account;
        let mut lists: BTreeMap<RevocationPlace, Vec<IdOrToken>> = BTreeMap::new();
        for arg in args {
            let given = self.given_place();
            let id = Quoted(&arg.id);
            let place = match (&arg.place, &arg.verified) {
                (_, Verified::NoToken) => given,
                (Some(place), _) if is_given && *place != given => {
                    bail!("{id}: the ID of a token that belongs in {place}, not in {given}")
                }
                (Some(place), _) => place.clone(),
                (None, _) if is_given => given,
                (None, verified) => bail!(
                    "{id}: the ID of a dataplane token whose mesh is not verified ({verified}): \
                     give --mesh"
                ),
            };
            lists.entry(place).or_default().push(arg);
        }
        Ok(lists)
    }

    /// Refuses or warns if a sync keeps the file: its next poll would undo the change, and the token would be good
    /// again.
    fn not_kept_by_sync(&self, name: &str) -> anyhow::Result<()> {
        match kept_by_sync(&self.file).with_context(|| name.to_owned())? {
            KeptBySync::No => {}
            // Such a sync does not change rules.
            KeptBySync::Yes(Keeps::Secrets) | KeptBySync::WasOnce(Keeps::Secrets)
                if self.rule.is_given() => {}
            KeptBySync::Yes(_) => {
                let why = if self.rule.is_given() { BASE } else { KEPT };
                if !self.dry_run {
                    return Err(BadInput(format!("{name} is left as it is: {why}")).into());
                }
                warn(&format!("{name}: {why}"));
            }
            KeptBySync::WasOnce(_) => {
                let why = if self.rule.is_given() { WAS_BASE } else { WAS_KEPT };
                warn(&format!("{name}: {why}"));
            }
            KeptBySync::Unknown => warn(&format!("{name}: {MAY_BE_KEPT}")),
        }
        Ok(())
    }

    /// Refuses an ID that no token can have: it would look revoked, while the token stays good.
    fn no_slip(&self, name: &str, args: &[IdOrToken]) -> anyhow::Result<()> {
        for (id, oddity) in args.iter().filter_map(|arg| Some((&arg.id, arg.oddity()?))) {
            let problem = format!("{}: {oddity}", Quoted(id));
            if self.literal || oddity.may_be_meant() {
                warn(&problem);
                continue;
            }
            return Err(BadInput(format!(
                "{name} is left as it is: {problem} (--literal revokes it as it is)"
            ))
            .into());
        }
        Ok(())
    }

    fn read(&self) -> anyhow::Result<Vec<u8>> {
        match std::fs::symlink_metadata(&self.file) {
            Err(error) if error.kind() == ErrorKind::NotFound && self.create => Ok(Vec::new()),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                Err(anyhow!(error)).with_context(|| {
                    let name = self.file.display();
                    BadInput(format!("{name}: to make a new list, give --create"))
                })
            }
            _ => input::public(&self.file, MAX_BYTES, "revocation list"),
        }
    }

    fn keys(&self) -> anyhow::Result<Option<Config>> {
        let Some(path) = &self.keys else { return Ok(None) };
        let bytes = input::public(path, MAX_BYTES, "configuration")?;
        PluginConfiguration::find(&bytes)
            .and_then(|found| found.config())
            .map(Some)
            .with_context(|| BadInput(input::name(path)))
    }

    /// All arguments, in the order given.
    fn args(&self, config: Option<&Config>) -> anyhow::Result<Vec<IdOrToken>> {
        let mut args = Vec::new();
        for (index, text) in self.ids.iter().enumerate() {
            // Otherwise the file's name would be revoked instead of the token in it, and that would look like success.
            if Path::new(text).is_file() {
                let name = printable::one_line(text);
                let problem =
                    format!("\"{name}\" is a file: to revoke what is in it, give --from before it");
                return Err(BadInput(problem).into());
            }
            args.push(
                IdOrToken::read(text, config)
                    .with_context(|| BadInput(format!("argument {}", index.saturating_add(1))))?,
            );
        }
        for path in &self.from {
            let name = input::name(path);
            let bytes = input::secret(path, MAX_FROM, "list of ids or tokens")?;
            let bad = || BadInput(format!("{name}: no ids or tokens"));
            let text =
                std::str::from_utf8(&bytes).ok().context("not UTF-8 text").with_context(bad)?;
            let before = args.len();
            for entry in entries(text).filter(|entry| !entry.id.trim().is_empty()) {
                let place = || BadInput(format!("{name}: line {}", entry.place.line));
                if !args::is_plain(entry.id) {
                    return Err(anyhow!(ODD)).with_context(place);
                }
                args.push(IdOrToken::read(entry.id, config).with_context(place)?);
            }
            if args.len() == before {
                return Err(BadInput(format!("{name}: no ids or tokens: it is empty")).into());
            }
        }
        match args.is_empty() {
            true => Err(BadInput(NOTHING.into()).into()),
            false => Ok(args),
        }
    }

    /// The ids to add, and the ids to drop. An id that is also given to be revoked is not dropped.
    fn sorted(&self, file: &RevocationFile, args: &[IdOrToken]) -> (Vec<String>, BTreeSet<String>) {
        let (droppable, rest): (Vec<&IdOrToken>, Vec<&IdOrToken>) =
            args.iter().partition(|arg| self.prune && arg.may_be_dropped());
        // With --prune, an expired token that cannot be verified is neither added nor dropped.
        let is_left = |arg: &IdOrToken| self.prune && arg.is_expired() && !file.contains(&arg.id);
        let mut seen = HashSet::new();
        let wanted = rest.into_iter().filter(|arg| !is_left(arg)).map(|arg| &arg.id);
        let add: Vec<String> = wanted.filter(|id| seen.insert(*id)).cloned().collect();
        let drop = droppable.into_iter().map(|arg| &arg.id);
        let drop = drop.filter(|id| !seen.contains(id)).cloned().collect();
        (add, drop)
    }
}
