//! The entries of a revocation list, as they are written.
//!
//! In: the text of a secret, or a list of ids. Out: the same with some more or fewer, in its order and
//! its form. An empty entry, which revokes every token without an ID, stays.

use std::collections::BTreeSet;

use serde_json::Value;

use super::RevokeError;

/// Entries in their order, and whether they are written as one text.
#[derive(Debug, Clone)]
pub(super) struct Entries {
    list: Vec<String>,
    known: BTreeSet<String>,
    is_text: bool,
    is_spaced: bool,
}

impl Entries {
    /// As Kuma splits the text; white space splits too, as in the gate.
    pub(super) fn of_text(text: &str) -> Self {
        let trimmed = text.strip_suffix('\n').unwrap_or(text).trim_end_matches('\r');
        let list: Vec<String> = match text {
            "" => Vec::new(),
            _ => trimmed.split(',').flat_map(pieces).map(str::to_owned).collect(),
        };
        let is_spaced = trimmed.contains(char::is_whitespace);
        Self { known: list.iter().cloned().collect(), list, is_text: true, is_spaced }
    }

    pub(super) fn of_ids(list: Vec<String>) -> Self {
        let known = list.iter().flat_map(|id| [id.clone(), id.trim().to_owned()]).collect();
        Self { list, known, is_text: false, is_spaced: false }
    }

    /// Whether these can be ids: another text has spaces or colons in its lines, or marks of a PEM.
    pub(super) fn is_a_list(&self) -> bool {
        self.list.iter().all(|id| !id.contains([':', '{', '}']) && !id.starts_with("-----"))
    }

    pub(super) fn is_spaced(&self) -> bool {
        self.is_spaced
    }

    pub(super) fn contains(&self, id: &str) -> bool {
        self.known.contains(id)
    }

    /// How many ids, an empty entry and repetitions aside.
    pub(super) fn count(&self) -> usize {
        self.list.iter().filter(|id| !id.is_empty()).collect::<BTreeSet<_>>().len()
    }

    /// Whether it was not there.
    pub(super) fn add(&mut self, id: &str) -> Result<bool, RevokeError> {
        if id.is_empty() {
            return Err(RevokeError::EmptyId);
        }
        if self.is_text && id.contains(|c: char| c == ',' || c.is_whitespace()) {
            return Err(RevokeError::NotInText(id.to_owned()));
        }
        let is_new = self.known.insert(id.to_owned());
        if is_new {
            self.list.push(id.to_owned());
        }
        Ok(is_new)
    }

    /// Those that were there.
    pub(super) fn drop_all(&mut self, ids: &BTreeSet<String>) -> Vec<String> {
        let gone: Vec<String> = ids.iter().filter(|id| self.known.remove(*id)).cloned().collect();
        self.list.retain(|id| !gone.iter().any(|other| other == id || other == id.trim()));
        gone
    }

    /// As the secret holds them.
    pub(super) fn text(&self) -> String {
        self.list.join(",")
    }

    /// As a plugin configuration holds them, in the form in which they were.
    pub(super) fn value(&self) -> Value {
        match self.is_text {
            true => Value::from(self.text()),
            false => Value::from(self.list.clone()),
        }
    }
}

/// Between white space; an entry without anything else is the empty one.
fn pieces(entry: &str) -> Vec<&str> {
    let pieces: Vec<&str> = entry.split_whitespace().collect();
    if pieces.is_empty() { vec![""] } else { pieces }
}
