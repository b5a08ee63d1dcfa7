//! A file with a plugin configuration, to change its revocations.
//!
//! In: the file that was read, and new revocations. Out: the intended file, and whether a new text has exactly these
//! contents. The new text is made elsewhere.

use std::collections::BTreeSet;

use serde_json::Value;
use zonegate::config::Config;

use crate::plugin_config::generation::{GENERATION, Generation};
use crate::plugin_config::plugin_file::PluginConfiguration;
use crate::plugin_config::rules::RULES;
use crate::plugin_config::{RevocationPlace, Revocations};
use crate::readers::text;

/// A file with a plugin configuration.
#[derive(Debug)]
pub(super) struct PolicyFile {
    pub(super) file: Value,
    pub(super) json: Value,
    pub(super) config: Config,
    /// The list to change.
    pub(super) place: RevocationPlace,
    /// Whether it is a list of items.
    pub(super) has_items: bool,
}

impl PolicyFile {
    /// Whether a new text of the file differs from the old one only in these ids, and the filter accepts it.
    pub(super) fn is_meant(
        &self,
        text: &str,
        revoked: &BTreeSet<String>,
        generation: &Generation,
    ) -> bool {
        let Some((found, file)) = read(text) else { return false };
        let Ok(json) = serde_json::from_slice::<Value>(&found.json) else { return false };
        self::revoked(&self.place.revocations(&json)) == *revoked
            && self
                .place
                .value(&json)
                .and_then(|written| self.with_revocations(written, generation))
                .is_some_and(|meant| same(&meant, &file))
            && found.config().is_ok()
    }

    /// Whether a new text of the file differs from the old one only by this additional rule, and the filter accepts it.
    pub(super) fn is_meant_with_rule(
        &self,
        text: &str,
        rule: &Value,
        generation: &Generation,
    ) -> bool {
        let Some((found, file)) = read(text) else { return false };
        self.with_rule(rule, generation).is_some_and(|meant| same(&meant, &file))
            && found.config().is_ok()
    }

    /// The file with other revocations in its plugin configuration.
    pub(super) fn with_revocations(
        &self,
        revocations: &Value,
        generation: &Generation,
    ) -> Option<Value> {
        self.with(generation, |policy| self.place.set(policy, revocations.clone()))
    }

    /// The file with one more rule in its plugin configuration, after the others.
    pub(super) fn with_rule(&self, rule: &Value, generation: &Generation) -> Option<Value> {
        self.with(generation, |policy| {
            let rules = policy.as_object_mut()?.entry(RULES).or_insert(Value::Null);
            if rules.is_null() {
                *rules = Value::Array(Vec::new());
            }
            rules.as_array_mut()?.push(rule.clone());
            Some(())
        })
    }

    /// The file with a changed plugin configuration, which is part of the file, or the text of a `StringValue`.
    fn with(
        &self,
        generation: &Generation,
        change: impl FnOnce(&mut Value) -> Option<()>,
    ) -> Option<Value> {
        let (mut file, mut changed) = (self.file.clone(), self.json.clone());
        change(&mut changed)?;
        changed.as_object_mut()?.insert(GENERATION.to_owned(), generation.as_str().into());
        set(&mut file, &self.json, &changed).then_some(file)
    }
}

/// Reads a new text of a file, and the plugin configuration in it.
fn read(text: &str) -> Option<(PluginConfiguration, Value)> {
    let found = PluginConfiguration::find(text.as_bytes()).ok()?;
    let (file, _) = text::value(text.as_bytes()).ok()?;
    Some((found, file))
}

/// Replaces the first value in `value`, or `value` itself, that is equal to `before`. Returns whether there was one.
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

/// Whether two files have the same contents. Texts with JSON are compared by their contents.
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

pub(super) fn revoked(revocations: &Revocations) -> BTreeSet<String> {
    revocations.entries().map(|entry| entry.id.to_owned()).collect()
}
