//! Adds to, and drops from, the revoked ids in a file.
//!
//! In: the bytes of a revocation list (text as in the secret `zone-token-revocations`) or of a file with
//! a plugin configuration, and ids. Out: the new text of the file, in which nothing but the revocations is
//! different. Comments and layout stay where the place of the revocations can be found in the text;
//! otherwise the file is written anew, and the result says so. No file is opened or written here.

mod entries;
mod place;

use std::collections::BTreeSet;
use std::fmt;

use entries::Entries;
use serde_json::Value;
use zonegate::config::Config;

use super::Revocations;
use super::plugin_file::{PluginConfiguration, PluginFileError};
use super::text;

/// A file with revoked ids in it.
#[derive(Debug)]
pub struct RevocationFile {
    text: String,
    form: Form,
    entries: Entries,
}

#[derive(Debug)]
enum Form {
    List,
    Plugin(Box<Plugin>),
}

#[derive(Debug)]
struct Plugin {
    file: Value,
    json: Value,
    config: Config,
}

/// A file with other ids in it.
#[derive(Debug, PartialEq, Eq)]
pub struct Edited {
    /// The new text of the file; as it was, where nothing is different.
    pub text: String,
    /// Ids that were not there; in the order given.
    pub added: Vec<String>,
    /// Ids that were there already.
    pub already: Vec<String>,
    /// Ids that are no longer there.
    pub dropped: Vec<String>,
    /// How many ids there are now.
    pub total: usize,
    /// What else is different.
    pub layout: Layout,
}

/// What became of the layout of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// It is kept, comments as well.
    Kept,
    /// The ids were separated by white space, which Kuma does not understand; now by commas.
    Commas,
    /// The file is written anew; comments are lost.
    Anew,
}

/// Why a file cannot be edited.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RevokeError {
    /// Not UTF-8.
    NotText,
    /// It is meant to be a file of Envoy or a plugin configuration, and is none that the filter takes.
    Plugin(PluginFileError),
    /// The revocations in it have a form that only the filter reads.
    OtherForm,
    /// An empty id would revoke every token without one.
    EmptyId,
    /// An id that cannot stand in a text of ids.
    NotInText(String),
    /// A whole token stands in the list, which no longer is one then.
    NotAList,
    /// The new text would not be read as what is meant.
    NotReadBack,
}

impl fmt::Display for RevokeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotText => f.write_str("not a revocation list: not UTF-8 text"),
            Self::Plugin(error) => error.fmt(f),
            Self::OtherForm => f.write_str(
                "the revocations in it are neither a text nor a list: change them by hand, or \
                 render the file anew",
            ),
            Self::EmptyId => f.write_str("an empty ID would revoke every token that has none"),
            Self::NotInText(id) => write!(
                f,
                "{}: an ID with a comma or white space cannot stand in a text of ids, which is \
                 split there; only a list in a plugin configuration can hold it",
                zonegate::gate::Quoted(id)
            ),
            Self::NotAList => f.write_str(
                "not a revocation list: it has other lines than ids (a PEM, a configuration?)",
            ),
            Self::NotReadBack => {
                f.write_str("an ID would not survive in this file; nothing was changed")
            }
        }
    }
}

impl std::error::Error for RevokeError {}

impl RevocationFile {
    /// Reads a file.
    ///
    /// # Errors
    /// See [`RevokeError`].
    pub fn read(bytes: &[u8]) -> Result<Self, RevokeError> {
        let text = std::str::from_utf8(bytes).map_err(|_| RevokeError::NotText)?.to_owned();
        match PluginConfiguration::find(bytes) {
            Ok(found) => Self::plugin(text, &found),
            Err(error) if is_structured(&text) => Err(RevokeError::Plugin(error)),
            Err(_) => {
                let entries = Entries::of_text(&text);
                entries.is_a_list().then_some(()).ok_or(RevokeError::NotAList)?;
                Ok(Self { text, form: Form::List, entries })
            }
        }
    }

    fn plugin(text: String, found: &PluginConfiguration) -> Result<Self, RevokeError> {
        let config = found.config().map_err(RevokeError::Plugin)?;
        let json: Value =
            serde_json::from_slice(&found.json).map_err(|_| RevokeError::NotReadBack)?;
        let (file, _) = text::value(text.as_bytes())
            .map_err(|error| RevokeError::Plugin(PluginFileError::Text(error)))?;
        let entries = match json.get("revocations") {
            None => Entries::of_text(""),
            Some(value) => match Revocations::of(value.clone()) {
                Revocations::Text(text) => Entries::of_text(&text),
                Revocations::Ids(ids) => Entries::of_ids(ids),
                Revocations::Other(_) => return Err(RevokeError::OtherForm),
            },
        };
        let form = Form::Plugin(Box::new(Plugin { file, json, config }));
        Ok(Self { text, form, entries })
    }

    /// What the filter makes of the file, where it is not a mere list.
    pub fn config(&self) -> Option<&Config> {
        match &self.form {
            Form::List => None,
            Form::Plugin(plugin) => Some(&plugin.config),
        }
    }

    /// Whether `id` is revoked.
    pub fn contains(&self, id: &str) -> bool {
        self.entries.contains(id)
    }

    /// With the ids in `add`, and without those in `drop`.
    ///
    /// # Errors
    /// See [`RevokeError`]; then nothing is to be written.
    pub fn edit(&self, add: &[String], drop: &BTreeSet<String>) -> Result<Edited, RevokeError> {
        let mut entries = self.entries.clone();
        let (mut added, mut already) = (Vec::new(), Vec::new());
        for id in add {
            match entries.add(id)? {
                true => added.push(id.clone()),
                false => already.push(id.clone()),
            }
        }
        let dropped = entries.drop_all(drop);
        let mut edited = Edited {
            text: self.text.clone(),
            added,
            already,
            dropped,
            total: entries.count(),
            layout: Layout::Kept,
        };
        if edited.added.is_empty() && edited.dropped.is_empty() {
            return Ok(edited);
        }
        (edited.text, edited.layout) = match &self.form {
            Form::List => self.list(&entries),
            Form::Plugin(plugin) => self.in_plugin(plugin, &entries)?,
        };
        Ok(edited)
    }

    /// The last line ends as it did.
    fn list(&self, entries: &Entries) -> (String, Layout) {
        let end = if self.text.is_empty() || self.text.ends_with('\n') { "\n" } else { "" };
        let layout = if self.entries.is_spaced() { Layout::Commas } else { Layout::Kept };
        (entries.text() + end, layout)
    }

    fn in_plugin(
        &self,
        plugin: &Plugin,
        entries: &Entries,
    ) -> Result<(String, Layout), RevokeError> {
        let revocations = entries.value();
        let meant = place::with_revocations(&plugin.file, &plugin.json, &revocations)
            .ok_or(RevokeError::NotReadBack)?;
        let is_meant =
            |text: &String| text::value(text.as_bytes()).is_ok_and(|(read, _)| read == meant);
        let kept = place::edits(&self.text, &revocations).into_iter().find(is_meant);
        let layout = match (&kept, self.entries.is_spaced()) {
            (None, _) => Layout::Anew,
            (_, true) => Layout::Commas,
            (_, false) => Layout::Kept,
        };
        let text = kept.or_else(|| place::anew(&self.text, &meant).filter(is_meant));
        let text = text.ok_or(RevokeError::NotReadBack)?;
        // As the gateway will.
        PluginConfiguration::find(text.as_bytes())
            .and_then(|found| found.config())
            .map_err(RevokeError::Plugin)?;
        Ok((text, layout))
    }
}

/// Whether a text is meant to be YAML with fields, or JSON. Ids have neither colons followed by space nor
/// braces.
fn is_structured(text: &str) -> bool {
    let start = text.trim_start();
    start.starts_with(['{', '[', '#'])
        || start.starts_with("- ")
        || text.lines().any(|line| line.contains(": ") || line.trim_end().ends_with(':'))
}

#[cfg(test)]
mod tests;
