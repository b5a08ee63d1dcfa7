//! Revocations in the forms that operators have: the text of the secret, a list, or another form.
//!
//! In: the value of `revocations`. Out: the same, several of them as one list, or their entries. The filter's code
//! reads texts and defines what an id revokes; see [`zonegate::revocation`].

use std::collections::BTreeSet;

use serde::ser::{Serialize, Serializer};
use serde_json::Value;
use zonegate::revocation::{Entry, entries, items};

/// Revocations, as written.
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
    /// The revocations in a configuration.
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

    /// Both, as one list. A form that is not known here is kept unchanged beside the other: the filter then reports it
    /// as an error.
    pub(crate) fn and(self, more: Self) -> Self {
        match (self.ids(), more.ids()) {
            (Ok(mut ids), Ok(more)) => {
                ids.extend(more);
                let mut seen = BTreeSet::new();
                ids.retain(|id| seen.insert(id.clone()));
                Self::Ids(ids)
            }
            (Err(one), Ok(ids)) => Self::Other(Value::Array(vec![one, ids.into()])),
            (Ok(ids), Err(other)) => Self::Other(Value::Array(vec![ids.into(), other])),
            (Err(one), Err(other)) => Self::Other(Value::Array(vec![one, other])),
        }
    }

    /// All revoked ids, in the order of the text, with repetitions.
    pub(crate) fn ids(self) -> Result<Vec<String>, Value> {
        match self {
            Self::Other(value) => Err(value),
            other => Ok(other.entries().map(|entry| entry.id.to_owned()).collect()),
        }
    }

    /// The entries as the filter reads them; empty for a form that only the filter reads.
    pub fn entries(&self) -> Box<dyn Iterator<Item = Entry<'_>> + '_> {
        match self {
            Self::Text(text) => Box::new(entries(text)),
            Self::Ids(ids) => Box::new(items(ids.iter().map(String::as_str))),
            Self::Other(_) => Box::new(std::iter::empty()),
        }
    }

    /// The set of revoked ids, in any form; `None` for a form that only the filter reads.
    pub fn revoked(&self) -> Option<BTreeSet<&str>> {
        match self {
            Self::Other(_) => None,
            other => Some(other.entries().map(|entry| entry.id).collect()),
        }
    }
}
