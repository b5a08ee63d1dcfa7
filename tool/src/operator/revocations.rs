//! Revocations as an operator has them: the text of the secret, a list, or something else.
//!
//! In: the value of `revocations`. Out: the same, or several of them as one list. What an id revokes is
//! the filter's to say; see [`RevocationList`](zonegate::gate::RevocationList).

use serde::ser::{Serialize, Serializer};
use serde_json::Value;

/// What is revoked, as it was written.
#[derive(Debug, Clone, PartialEq)]
pub enum Revocations {
    /// The text of the secret.
    Text(String),
    /// A list of ids.
    Ids(Vec<String>),
    /// Another form, which only the filter reads.
    Other(Value),
}

impl Serialize for Revocations {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => text.serialize(serializer),
            Self::Ids(ids) => ids.serialize(serializer),
            Self::Other(value) => value.serialize(serializer),
        }
    }
}

impl Revocations {
    /// As a configuration has them.
    pub fn of(value: Value) -> Self {
        let ids = value.as_array().map(|items| {
            items.iter().map(|item| item.as_str().map(str::to_owned)).collect::<Option<Vec<_>>>()
        });
        match (value, ids) {
            (Value::String(text), _) => Self::Text(text),
            (_, Some(Some(ids))) => Self::Ids(ids),
            (value, _) => Self::Other(value),
        }
    }

    /// Both, as a list. A form that is not known here stays as it is, beside nothing: the caller
    /// gets it back from the filter as an error.
    pub(super) fn and(self, more: Self) -> Self {
        match (self.ids(), more.ids()) {
            (Ok(mut ids), Ok(more)) => {
                ids.extend(more);
                let mut seen = std::collections::BTreeSet::new();
                ids.retain(|id| seen.insert(id.clone()));
                Self::Ids(ids)
            }
            (Err(one), Ok(ids)) => Self::Other(Value::Array(vec![one, ids.into()])),
            (Ok(ids), Err(other)) => Self::Other(Value::Array(vec![ids.into(), other])),
            (Err(one), Err(other)) => Self::Other(Value::Array(vec![one, other])),
        }
    }

    /// Every entry that a reader of the text compares with: as Kuma splits it, and between white
    /// space as well.
    pub(super) fn ids(self) -> Result<Vec<String>, Value> {
        match self {
            Self::Ids(ids) => Ok(ids),
            Self::Other(value) => Err(value),
            Self::Text(text) if text.is_empty() => Ok(Vec::new()),
            Self::Text(text) => {
                let as_kuma = text.strip_suffix('\n').unwrap_or(&text).split(',');
                Ok(as_kuma.flat_map(entry).map(str::to_owned).collect())
            }
        }
    }
}

/// A list entry is taken without the white space around it too, but not split within.
fn entry(text: &str) -> Vec<&str> {
    let pieces: Vec<&str> = text.split_whitespace().collect();
    match pieces.as_slice() {
        [] | [_] => vec![text],
        _ => [text].into_iter().chain(pieces).collect(),
    }
}
