//! Adds to, and drops from, the revoked ids in a file.
//!
//! In: the bytes of a revocation list (text as in the secret `zone-token-revocations`) or of a file with
//! a plugin configuration, and ids. Out: the new text of the file, in which nothing but the revocations is
//! different: comments, order, line breaks and quotes stay. Where that cannot be, it is an error, unless the
//! caller lets the file be written anew. What was written is read back. No file is opened or written here.

use std::collections::{BTreeSet, HashSet};
use std::fmt;

use serde_json::Value;
use zonegate::config::Config;
use zonegate::revocation::{OddEntries, OddKind};

use crate::plugin_config::Revocations;
use crate::plugin_config::generation::{GENERATION, Generation};
use crate::plugin_config::plugin_file::{PluginConfiguration, PluginFileError};
use crate::readers::text;
use crate::yaml_edit::id_text;
use crate::yaml_edit::revocations::{self, Change};

/// A file with revoked ids in it.
#[derive(Debug)]
pub struct RevocationFile {
    text: String,
    form: Form,
    /// What is revoked, however it is written.
    revoked: BTreeSet<String>,
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
    /// Whether its revocations are a list of items.
    has_items: bool,
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

/// What may become of the layout of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reformat {
    /// Nothing: where it cannot stay, it is an error.
    Never,
    /// The file may be written anew.
    WhereNeeded,
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
    /// The policy is a file in a manifest.
    InConfigMap,
    /// An empty id would revoke every token without one.
    EmptyId,
    /// An id that cannot stand in a text of ids.
    NotInText(String),
    /// A whole token stands in the list, which no longer is one then.
    NotAList,
    /// The place of the revocations cannot be changed alone.
    LayoutLost,
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
            Self::InConfigMap => f.write_str(
                "it is a ConfigMap, and the policy a text in it: change the file that it is made of \
                 (zonegate revoke FILE ID), and make the ConfigMap anew (kubectl create configmap \
                 --from-file)",
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
            Self::LayoutLost => f.write_str(
                "its revocations are written in a way that cannot be changed alone (an alias, a tag?): \
                 change them by hand, or give --reformat, which writes the whole file anew, without \
                 its comments",
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
                let revoked = revoked(&Revocations::Text(text.clone()));
                match revoked.iter().any(|id| id.starts_with("-----")) {
                    true => Err(RevokeError::NotAList),
                    false => Ok(Self { text, form: Form::List, revoked }),
                }
            }
        }
    }

    fn plugin(text: String, found: &PluginConfiguration) -> Result<Self, RevokeError> {
        let config = found.config().map_err(RevokeError::Plugin)?;
        let json: Value =
            serde_json::from_slice(&found.json).map_err(|_| RevokeError::NotReadBack)?;
        let (file, _) = text::value(text.as_bytes())
            .map_err(|error| RevokeError::Plugin(PluginFileError::Text(error)))?;
        if file.get("kind").and_then(Value::as_str) == Some("ConfigMap") {
            return Err(RevokeError::InConfigMap);
        }
        let revocations = of_plugin(&json);
        if matches!(revocations, Revocations::Other(_)) {
            return Err(RevokeError::OtherForm);
        }
        let revoked = revoked(&revocations);
        let has_items =
            matches!(revocations, Revocations::Ids(_)) && json.get("revocations").is_some();
        let form = Form::Plugin(Box::new(Plugin { file, json, config, has_items }));
        Ok(Self { text, form, revoked })
    }

    /// What the filter makes of the file, where it is not a mere list.
    pub fn config(&self) -> Option<&Config> {
        match &self.form {
            Form::List => None,
            Form::Plugin(plugin) => Some(&plugin.config),
        }
    }

    /// What is odd about the ids that are in it.
    pub fn odd(&self) -> Vec<OddKind> {
        match &self.form {
            Form::Plugin(plugin) => plugin.config.policy.revocations.odd().kinds().to_vec(),
            Form::List => {
                let mut odd = OddEntries::default();
                zonegate::revocation::entries(&self.text).for_each(|entry| odd.look(entry));
                odd.kinds().to_vec()
            }
        }
    }

    /// Whether `id` is revoked.
    pub fn contains(&self, id: &str) -> bool {
        self.revoked.contains(id)
    }

    /// With the ids in `add`, and without those in `drop`; a policy gets this generation.
    ///
    /// # Errors
    /// See [`RevokeError`]; then nothing is to be written.
    pub fn edit(
        &self,
        add: &[String],
        drop: &BTreeSet<String>,
        reformat: Reformat,
        generation: &Generation,
    ) -> Result<Edited, RevokeError> {
        let (mut added, mut already) = (Vec::new(), Vec::new());
        let mut seen = HashSet::new();
        for id in add {
            self.check(id)?;
            match self.contains(id) || !seen.insert(id) {
                true => already.push(id.clone()),
                false => added.push(id.clone()),
            }
        }
        let dropped: BTreeSet<String> =
            drop.iter().filter(|id| self.contains(id) && !seen.contains(*id)).cloned().collect();
        let mut revoked = self.revoked.clone();
        revoked.retain(|id| !dropped.contains(id));
        revoked.extend(added.iter().cloned());
        let change = Change { add: &added, drop: &dropped, generation };
        let (text, layout) = match (&self.form, added.is_empty() && dropped.is_empty()) {
            (_, true) => (self.text.clone(), Layout::Kept),
            (Form::List, false) => self.list(change, &revoked)?,
            (Form::Plugin(plugin), false) => self.in_plugin(plugin, change, &revoked, reformat)?,
        };
        let total = revoked.iter().filter(|id| !id.trim().is_empty()).count();
        let dropped = dropped.into_iter().collect();
        Ok(Edited { text, added, already, dropped, total, layout })
    }

    fn check(&self, id: &str) -> Result<(), RevokeError> {
        let has_items = matches!(&self.form, Form::Plugin(plugin) if plugin.has_items);
        match id {
            "" => Err(RevokeError::EmptyId),
            _ if !has_items && id.contains(|c: char| c == ',' || c.is_whitespace()) => {
                Err(RevokeError::NotInText(id.to_owned()))
            }
            _ => Ok(()),
        }
    }

    /// White space between ids is made commas, for the list may be for Kuma. The last line ends as it did.
    fn list(
        &self,
        change: Change<'_>,
        revoked: &BTreeSet<String>,
    ) -> Result<(String, Layout), RevokeError> {
        let content = self.text.strip_prefix('\u{feff}').unwrap_or(&self.text);
        let body = content.strip_suffix('\n').unwrap_or(content).trim_end_matches('\r');
        let is_spaced = body.contains(char::is_whitespace);
        let end = if content.is_empty() || content.ends_with('\n') { "\n" } else { "" };
        let plain = match (is_spaced, content) {
            (false, "" | "\n") => content.to_owned(),
            (false, _) => format!("{body}{end}"),
            (true, _) => {
                let ids = zonegate::revocation::entries(content).map(|entry| entry.id);
                format!("{}{end}", ids.collect::<Vec<_>>().join(","))
            }
        };
        let mut text = id_text::edited(&plain, change.add, change.drop);
        if self.text.is_empty() {
            text.push_str(end);
        }
        let layout = if is_spaced { Layout::Commas } else { Layout::Kept };
        // As it will be read the next time.
        match Self::read(text.as_bytes()) {
            Ok(Self { form: Form::List, revoked: read, .. }) if read == *revoked => {
                Ok((text, layout))
            }
            _ => Err(RevokeError::NotReadBack),
        }
    }

    fn in_plugin(
        &self,
        plugin: &Plugin,
        change: Change<'_>,
        revoked: &BTreeSet<String>,
        reformat: Reformat,
    ) -> Result<(String, Layout), RevokeError> {
        let is_meant = |text: &String| plugin.is_meant(text, revoked, change.generation);
        let candidates = revocations::candidates(&self.text, change);
        if let Some(text) = candidates.into_iter().find(is_meant) {
            return Ok((text, Layout::Kept));
        }
        let ids: Vec<&str> = revoked.iter().map(String::as_str).collect();
        let written = match plugin.has_items {
            true => Value::from(ids),
            false => Value::from(ids.join(",")),
        };
        let anew = plugin
            .with_revocations(&written, change.generation)
            .and_then(|file| revocations::anew(&self.text, &file))
            .filter(is_meant)
            .ok_or(RevokeError::NotReadBack)?;
        match reformat {
            Reformat::Never => Err(RevokeError::LayoutLost),
            Reformat::WhereNeeded => Ok((anew, Layout::Anew)),
        }
    }
}

impl Plugin {
    /// Whether a new text of the file is read as the old one with these ids, and by the gateway.
    fn is_meant(&self, text: &str, revoked: &BTreeSet<String>, generation: &Generation) -> bool {
        let Ok(found) = PluginConfiguration::find(text.as_bytes()) else { return false };
        let Ok(json) = serde_json::from_slice::<Value>(&found.json) else { return false };
        let Ok((file, _)) = text::value(text.as_bytes()) else { return false };
        self::revoked(&of_plugin(&json)) == *revoked
            && json
                .get("revocations")
                .and_then(|written| self.with_revocations(written, generation))
                .is_some_and(|meant| same(&meant, &file))
            && found.config().is_ok()
    }

    /// The file with other revocations in the plugin configuration, which is in it as it is, or as the text
    /// of a `StringValue`.
    fn with_revocations(&self, revocations: &Value, generation: &Generation) -> Option<Value> {
        let mut file = self.file.clone();
        let mut changed = self.json.clone();
        let fields = changed.as_object_mut()?;
        fields.insert("revocations".to_owned(), revocations.clone());
        fields.insert(GENERATION.to_owned(), generation.as_str().into());
        set(&mut file, &self.json, &changed).then_some(file)
    }
}

/// Whether `before` was found at or below `value`, and replaced.
fn set(value: &mut Value, before: &Value, after: &Value) -> bool {
    if value == before {
        *value = after.clone();
        return true;
    }
    match value {
        Value::Object(fields) => fields.values_mut().any(|field| set(field, before, after)),
        Value::Array(items) => items.iter_mut().any(|item| set(item, before, after)),
        Value::String(text) if text.trim_start().starts_with('{') => {
            let is_it = serde_json::from_str::<Value>(text).is_ok_and(|read| read == *before);
            if is_it {
                *text = after.to_string();
            }
            is_it
        }
        _ => false,
    }
}

/// Whether two files say the same; texts that hold JSON are compared by what they say.
fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len()
                && one
                    .iter()
                    .all(|(name, value)| other.get(name).is_some_and(|other| same(value, other)))
        }
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
        }
        (Value::String(one), Value::String(other)) if one != other && one.starts_with('{') => {
            let read = |text: &str| serde_json::from_str::<Value>(text).ok();
            read(one).is_some_and(|one| Some(one) == read(other))
        }
        (one, other) => one == other,
    }
}

fn of_plugin(json: &Value) -> Revocations {
    json.get("revocations").cloned().map_or(Revocations::Text(String::new()), Revocations::of)
}

fn revoked(revocations: &Revocations) -> BTreeSet<String> {
    revocations.entries().map(|entry| entry.id.to_owned()).collect()
}

/// Whether a text is meant to be YAML with fields, or JSON: it is read as such, or it breaks off where it
/// begins so.
fn is_structured(text: &str) -> bool {
    match text::value(text.as_bytes()) {
        Ok((Value::Null, _)) => text.trim_start().starts_with('#'),
        Ok((value, _)) => value.is_object() || value.is_array(),
        Err(_) => {
            let start = text.trim_start();
            start.starts_with(['{', '[', '#'])
                || start.starts_with("- ")
                || text.lines().any(|line| line.contains(": ") || line.trim_end().ends_with(':'))
        }
    }
}

#[cfg(test)]
mod tests;
