//! Adds revoked ids to a file, or removes them, and adds revocation rules.
//!
//! In: the bytes of a revocation list (text as in the secret `zone-token-revocations`) or of a file with a plugin
//! configuration, and ids. Out: the new text of the file, in which only the revocations differ: comments, order, line
//! breaks and quotes are kept. If that is impossible, the result is an error, unless the caller allows the whole file
//! to be rewritten. The new text is read back as a check. No file is opened or written here.

mod error;
mod policy_file;
mod rule;

use std::collections::{BTreeSet, HashSet};

use serde_json::Value;
use zonegate::config::Config;
use zonegate::revocation::{OddEntries, OddKind};

pub use error::RevokeError;
pub use rule::RuleEdit;

use crate::plugin_config::plugin_file::{PluginConfiguration, PluginFileError};
use crate::plugin_config::{Generation, RevocationPlace, Revocations};
use crate::readers::text;
use crate::yaml_edit::id_text;
use crate::yaml_edit::revocations::{self, Change};
use policy_file::{PolicyFile, revoked};

/// A file with revoked ids.
#[derive(Debug)]
pub struct RevocationFile {
    text: String,
    form: Form,
    /// The revoked ids, in whatever form they are written.
    revoked: BTreeSet<String>,
}

#[derive(Debug)]
enum Form {
    List,
    Policy(Box<PolicyFile>),
}

/// A file with changed ids.
#[derive(Debug, PartialEq, Eq)]
pub struct Edited {
    /// The new text of the file; the old text if nothing has changed.
    pub text: String,
    /// Ids that are new; in the order given.
    pub added: Vec<String>,
    /// Ids that were in the file already.
    pub already: Vec<String>,
    /// Ids that were removed.
    pub dropped: Vec<String>,
    /// The number of ids in the new file.
    pub total: usize,
    /// Other changes of the file.
    pub layout: Layout,
}

/// What has changed in the layout of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// Nothing: comments are kept, too.
    Kept,
    /// White space between the ids, which Kuma does not understand, was replaced by commas.
    Commas,
    /// The file was rewritten; comments are lost.
    Anew,
}

/// What may change in the layout of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reformat {
    /// Nothing: if the layout cannot be kept, the result is an error.
    Never,
    /// The file may be rewritten.
    WhereNeeded,
}

impl RevocationFile {
    /// Reads a file. In a policy, the list at `place` is the one to change.
    ///
    /// # Errors
    /// See [`RevokeError`].
    pub fn read(bytes: &[u8], place: &RevocationPlace) -> Result<Self, RevokeError> {
        let text = std::str::from_utf8(bytes).map_err(|_| RevokeError::NotText)?.to_owned();
        match PluginConfiguration::find(bytes) {
            Ok(found) => Self::policy(text, &found, place),
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

    fn policy(
        text: String,
        found: &PluginConfiguration,
        place: &RevocationPlace,
    ) -> Result<Self, RevokeError> {
        let config = found.config().map_err(RevokeError::Plugin)?;
        let json: Value =
            serde_json::from_slice(&found.json).map_err(|_| RevokeError::NotReadBack)?;
        let (file, _) = text::value(text.as_bytes())
            .map_err(|error| RevokeError::Plugin(PluginFileError::Text(error)))?;
        if file.get("kind").and_then(Value::as_str) == Some("ConfigMap") {
            return Err(RevokeError::InConfigMap);
        }
        let revocations = place.revocations(&json);
        if matches!(revocations, Revocations::Other(_)) {
            return Err(RevokeError::OtherForm);
        }
        let revoked = revoked(&revocations);
        let has_items = matches!(revocations, Revocations::Ids(_));
        let form = Form::Policy(Box::new(PolicyFile {
            file,
            json,
            config,
            place: place.clone(),
            has_items,
        }));
        Ok(Self { text, form, revoked })
    }

    /// The configuration as the filter reads it; `None` if the file is only a list.
    pub fn config(&self) -> Option<&Config> {
        match &self.form {
            Form::List => None,
            Form::Policy(policy) => Some(&policy.config),
        }
    }

    /// The oddities of the ids in the file.
    pub fn odd(&self) -> Vec<OddKind> {
        match &self.form {
            Form::Policy(policy) => {
                let list = policy.place.list(&policy.config.policy.issuers);
                list.map(|list| list.odd().kinds().to_vec()).unwrap_or_default()
            }
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

    /// Adds the ids in `add`, and removes those in `drop`. A policy gets this generation.
    ///
    /// # Errors
    /// See [`RevokeError`]. In this case the file must not be written.
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
            (Form::Policy(policy), false) => self.in_policy(policy, change, &revoked, reformat)?,
        };
        let total = revoked.iter().filter(|id| !id.trim().is_empty()).count();
        let dropped = dropped.into_iter().collect();
        Ok(Edited { text, added, already, dropped, total, layout })
    }

    fn check(&self, id: &str) -> Result<(), RevokeError> {
        let has_items = matches!(&self.form, Form::Policy(policy) if policy.has_items);
        match id {
            "" => Err(RevokeError::EmptyId),
            _ if !has_items && id.contains(|c: char| c == ',' || c.is_whitespace()) => {
                Err(RevokeError::NotInText(id.to_owned()))
            }
            _ => Ok(()),
        }
    }

    /// White space between ids is replaced by commas, because the list may be for Kuma. The last line keeps its end.
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
        // Reads the text back, as the next run will.
        match Self::read(text.as_bytes(), &RevocationPlace::ZoneTokens) {
            Ok(Self { form: Form::List, revoked: read, .. }) if read == *revoked => {
                Ok((text, layout))
            }
            _ => Err(RevokeError::NotReadBack),
        }
    }

    fn in_policy(
        &self,
        policy: &PolicyFile,
        change: Change<'_>,
        revoked: &BTreeSet<String>,
        reformat: Reformat,
    ) -> Result<(String, Layout), RevokeError> {
        let is_meant = |text: &String| policy.is_meant(text, revoked, change.generation);
        let candidates = revocations::candidates(&self.text, &policy.place, change);
        if let Some(text) = candidates.into_iter().find(is_meant) {
            return Ok((text, Layout::Kept));
        }
        let ids: Vec<&str> = revoked.iter().map(String::as_str).collect();
        let written = match policy.has_items {
            true => Value::from(ids),
            false => Value::from(ids.join(",")),
        };
        let anew = policy
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

/// Whether a text is meant to be YAML with fields, or JSON: it can be read as such, or begins like it and has a syntax
/// error.
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
