//! `zonegate revoke`.
//!
//! In: a file with revoked ids, and more ids or tokens. Out: the file with them, in place as a whole or not
//! at all. What a file with revoked ids is, and how one is changed, is in the library.

mod given;
mod report;

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, anyhow};
use clap::Args;
use given::Given;
use report::Report;
use zonegate::config::Config;

use super::failure::BadInput;
use super::{input, output, printable};
use crate::operator::plugin_file::{MAX_BYTES, PluginConfiguration};
use crate::operator::revoking::RevocationFile;
use crate::operator::{FolderLock, replace};

const EXAMPLES: &str = "\
FILE is a revocation list (text as in the secret zone-token-revocations), a plugin configuration, or
the ECDS file that Envoy watches: then the token is refused, and its open streams are cut, as soon as
the file is in place. The file is replaced as a whole; comments in it stay. What is revoked already is
no error.

Examples:
  $ zonegate revoke /etc/zonegate/ecds/zonegate.yaml 9f2c1a52-6f0e-4c7b-8d8e-0f6f2b9b4c11
  $ zonegate revoke /etc/zonegate/ecds/zonegate.yaml --from stolen.token
  $ zonegate revoke revoked.txt --from tokens.txt --prune --keys zonegate.yaml

  For the control plane, which reads a secret:
  $ zonegate revoke revoked.txt 9f2c1a52-6f0e-4c7b-8d8e-0f6f2b9b4c11
  $ echo \"
  type: GlobalSecret
  name: zone-token-revocations
  data: {{ list }}
  \" | kumactl apply --var list=$(base64 -w0 < revoked.txt) -f -";

/// Add token ids to a revocation list, or to the file of a gateway
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct RevokeArgs {
    /// File to change
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// What to revoke: an ID, or a token, whose ID is taken
    #[arg(value_name = "ID|TOKEN")]
    ids: Vec<String>,
    /// File with ids or tokens, between them white space or commas; - for standard input; repeatable
    #[arg(long, value_name = "FILE")]
    from: Vec<PathBuf>,
    /// Drop the ids of given tokens that have expired, instead of adding them. Their signatures are
    /// checked: an ID could not be taken off the list with a forged token
    #[arg(long)]
    prune: bool,
    /// File with the plugin configuration whose keys signed the tokens; unless FILE has one
    #[arg(long, value_name = "FILE")]
    keys: Option<PathBuf>,
    /// Make FILE, a revocation list, if it is not there
    #[arg(long)]
    create: bool,
    /// Say what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
}

/// As long as another zonegate may take for a large file.
const PATIENCE: Duration = Duration::from_secs(10);
/// Why a word in a file is not taken.
const ODD: &str = "neither an ID nor a token: only letters, digits, - . _ ~ are expected (an ID with \
                   others can be given as an argument)";
/// Tokens of a whole mesh.
const MAX_GIVEN: usize = 16 * 1024 * 1024;

impl RevokeArgs {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let name = self.file.display().to_string();
        if self.file == Path::new("-") {
            return Err(
                BadInput("FILE is changed in place: it cannot be standard input".into()).into()
            );
        }
        // Before it is read, so that nothing another one writes is lost.
        let _lock = FolderLock::of(&self.file, PATIENCE).with_context(|| name.clone())?;
        let file = RevocationFile::read(&self.read()?)
            .with_context(|| BadInput(format!("{name} is left as it is")))?;
        let others = self.keys()?;
        let given = self.given(others.as_ref().or(file.config()))?;
        let (add, drop) = self.sorted(&file, &given);
        let edited =
            file.edit(&add, &drop).with_context(|| BadInput(format!("{name} is left as it is")))?;
        let is_changed = !edited.added.is_empty() || !edited.dropped.is_empty();
        if is_changed && !self.dry_run {
            replace(&self.file, edited.text.as_bytes())
                .with_context(|| format!("{name} is left as it is"))?;
        }
        let report = Report {
            name: &name,
            given: &given,
            edited: &edited,
            prune: self.prune,
            dry_run: self.dry_run,
        };
        output::print(&printable::lines(&report.to_string()))
            .context("could not write to standard output")?;
        Ok(ExitCode::SUCCESS)
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

    /// Everything that was given, in its order.
    fn given(&self, config: Option<&Config>) -> anyhow::Result<Vec<Given>> {
        let mut given = Vec::new();
        for (index, text) in self.ids.iter().enumerate() {
            // Revoking the name of the file in place of the token in it would look like success.
            if Path::new(text).is_file() {
                let name = printable::one_line(text);
                let problem =
                    format!("\"{name}\" is a file: to revoke what is in it, give --from before it");
                return Err(BadInput(problem).into());
            }
            given.push(
                Given::read(text, config)
                    .with_context(|| BadInput(format!("argument {}", index.saturating_add(1))))?,
            );
        }
        for path in &self.from {
            let name = input::name(path);
            let bytes = input::secret(path, MAX_GIVEN, "list of ids or tokens")?;
            let bad = || BadInput(format!("{name}: no ids or tokens"));
            let text =
                std::str::from_utf8(&bytes).ok().context("not UTF-8 text").with_context(bad)?;
            let before = given.len();
            for (index, line) in text.lines().enumerate() {
                let place = || BadInput(format!("{name}: line {}", index.saturating_add(1)));
                for piece in line.split([',', ' ', '\t', '\r']).filter(|piece| !piece.is_empty()) {
                    if !given::is_plain(piece) {
                        return Err(anyhow!(ODD)).with_context(place);
                    }
                    given.push(Given::read(piece, config).with_context(place)?);
                }
            }
            if given.len() == before {
                return Err(BadInput(format!("{name}: no ids or tokens: it is empty")).into());
            }
        }
        match given.is_empty() {
            true => Err(BadInput("nothing to revoke: give ids, tokens, or --from".into()).into()),
            false => Ok(given),
        }
    }

    /// What to add, and what to drop: only what was not also given as something to revoke.
    fn sorted(&self, file: &RevocationFile, given: &[Given]) -> (Vec<String>, BTreeSet<String>) {
        let (droppable, rest): (Vec<&Given>, Vec<&Given>) =
            given.iter().partition(|given| self.prune && given.may_be_dropped());
        // An expired token that cannot be verified is neither added by --prune nor dropped.
        let is_left = |given: &Given| self.prune && given.is_expired() && !file.contains(&given.id);
        let mut add: Vec<String> = Vec::new();
        for given in rest.into_iter().filter(|given| !is_left(given)) {
            if !add.contains(&given.id) {
                add.push(given.id.clone());
            }
        }
        let drop = droppable.into_iter().map(|given| given.id.clone());
        let drop = drop.filter(|id| !add.contains(id)).collect();
        (add, drop)
    }
}
