//! Finds the plugin configuration in an operator's file.
//!
//! In: the bytes of YAML or JSON: a plugin configuration, an ECDS file or a bootstrap configuration of Envoy, its
//! `/config_dump`, an Istio `WasmPlugin`, an Envoy Gateway `EnvoyExtensionPolicy`, or a ConfigMap with one of these in
//! it. Out: the plugin configuration as JSON, as the filter would get it, and its place in the file. Whether Envoy
//! accepts the rest of the file is not checked.

mod error;

use serde::de::IgnoredAny;
use serde_json::{Map, Value};
use zonegate::config::Config;

pub use error::PluginFileError;

use super::filters::{Filter, Form, filters, watched_files};
use crate::readers::FileKind;
use crate::readers::text::{self, Syntax};

/// The largest file: a list of a million revoked ids is 40 MB.
pub const MAX_BYTES: usize = 64 * 1024 * 1024;

/// A plugin configuration, and its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PluginConfiguration {
    /// The path to it; empty if the whole file is the plugin configuration.
    pub place: String,
    /// The text that the filter gets.
    pub json: Vec<u8>,
}

impl PluginConfiguration {
    /// Finds the plugin configuration in `bytes`.
    ///
    /// # Errors
    /// There is none, or more than one.
    pub fn find(bytes: &[u8]) -> Result<Self, PluginFileError> {
        Self::open(bytes).map(|(found, _)| found)
    }

    /// Finds the plugin configuration in `bytes`, and the file around it: for a ConfigMap, the file in it.
    ///
    /// # Errors
    /// There is none, or more than one.
    pub fn open(bytes: &[u8]) -> Result<(Self, Value), PluginFileError> {
        let (file, syntax) =
            text::value(bytes).map_err(|error| match FileKind::of_text(bytes) {
                Some(kind) => PluginFileError::OtherKind(kind),
                None => PluginFileError::Text(error),
            })?;
        let Some(fields) = file.as_object() else {
            let kind = FileKind::of_text(bytes).map(PluginFileError::OtherKind);
            return Err(kind.unwrap_or(PluginFileError::NotAnObject));
        };
        if file.get("kind").and_then(Value::as_str) == Some("ConfigMap") {
            return in_config_map(&file);
        }
        let whole = || Self { place: String::new(), json: as_given(bytes, &file) };
        if fields.contains_key("publicKeys") {
            return Ok((whole(), file));
        }
        let found = match ours(filters(&file)).as_slice() {
            [] => match FileKind::of(&file) {
                Some(kind) if kind != FileKind::Policy => {
                    return Err(PluginFileError::OtherKind(kind));
                }
                _ if names_another_kind(fields) => return Err(nowhere(&file)),
                _ => whole(),
            },
            [filter] => filter.configuration(syntax)?,
            several => {
                let places = several.iter().map(|it| it.place.clone()).collect();
                return Err(PluginFileError::Several(places));
            }
        };
        Ok((found, file))
    }

    /// Reads it with the filter's own code.
    ///
    /// # Errors
    /// [`PluginFileError::Refused`], if the filter would refuse it.
    pub fn config(&self) -> Result<Config, PluginFileError> {
        Config::from_json(&self.json)
            .map_err(|error| PluginFileError::Refused { place: self.place.clone(), error })
    }
}

/// Finds it in one of the files of a ConfigMap, as a gateway mounts it.
fn in_config_map(file: &Value) -> Result<(PluginConfiguration, Value), PluginFileError> {
    let files = file.get("data").and_then(Value::as_object);
    let mut found = Vec::new();
    let mut problem = PluginFileError::OtherKind(FileKind::ConfigMap);
    for (name, text) in files.into_iter().flatten() {
        let Some(text) = text.as_str() else { continue };
        match PluginConfiguration::open(text.as_bytes()) {
            Ok((mut inner, file)) => {
                let place = format!("data[{}]", zonegate::text::Quoted(name));
                let dot = if inner.place.is_empty() { "" } else { "." };
                inner.place = format!("{place}{dot}{}", inner.place);
                found.push((inner, file));
            }
            // An error in a file of the right kind is more useful than one about another kind.
            Err(
                error @ (PluginFileError::OtherKind(FileKind::KumaCp) | PluginFileError::Number(_)),
            ) => {
                problem = error;
            }
            Err(_) => {}
        }
    }
    match (found.pop(), found.pop()) {
        (None, _) => Err(problem),
        (Some(one), None) => Ok(one),
        (Some((one, _)), Some((other, _))) => {
            Err(PluginFileError::Several(vec![other.place, one.place]))
        }
    }
}

/// JSON is kept unchanged, so that the filter's own reader sees repeated names. YAML has no repeated names.
fn as_given(bytes: &[u8], file: &Value) -> Vec<u8> {
    match serde_json::from_slice::<IgnoredAny>(bytes) {
        Ok(_) => bytes.to_vec(),
        Err(_) => file.to_string().into_bytes(),
    }
}

impl Filter<'_> {
    fn configuration(&self, syntax: Syntax) -> Result<PluginConfiguration, PluginFileError> {
        let Some(configuration) = self.configuration else {
            return Err(PluginFileError::NoConfiguration(self.place.clone()));
        };
        match self.form {
            Form::Plain => Ok(self.found("", configuration.to_string())),
            Form::Any if syntax == Syntax::Yaml && holds_text_to_envoy(configuration) => {
                Err(PluginFileError::Number(self.place.clone()))
            }
            Form::Any => self.in_any(configuration),
        }
    }

    fn in_any(&self, any: &Value) -> Result<PluginConfiguration, PluginFileError> {
        let type_url = any.get("@type").and_then(Value::as_str).unwrap_or_default();
        let value = any.get("value");
        match (type_url.rsplit('/').next().unwrap_or_default(), value) {
            ("google.protobuf.Struct", Some(value @ Value::Object(_))) => {
                Ok(self.found(".value", value.to_string()))
            }
            ("google.protobuf.StringValue", Some(Value::String(text))) => {
                Ok(self.found(".value", text.clone()))
            }
            ("google.protobuf.Struct" | "google.protobuf.StringValue", _) => {
                Err(PluginFileError::NoConfiguration(self.place.clone()))
            }
            _ => Err(PluginFileError::OtherType {
                place: self.place.clone(),
                type_url: type_url.chars().take(80).collect(),
            }),
        }
    }

    fn found(&self, below: &str, json: String) -> PluginConfiguration {
        PluginConfiguration { place: format!("{}{below}", self.place), json: json.into_bytes() }
    }
}

/// Whether `value` has a number that Envoy does not read as a number: its YAML reader reads only whole numbers of 32
/// bits as numbers, and all others as text (Envoy: `source/common/protobuf/yaml_utility.cc`).
fn holds_text_to_envoy(value: &Value) -> bool {
    match value {
        Value::Number(number) => number.as_i64().and_then(|it| i32::try_from(it).ok()).is_none(),
        Value::Array(items) => items.iter().any(holds_text_to_envoy),
        Value::Object(fields) => fields.values().any(holds_text_to_envoy),
        Value::Null | Value::Bool(_) | Value::String(_) => false,
    }
}

/// If there are several filters, only those with the name of Zonegate count: a gateway may run others.
fn ours(mut filters: Vec<Filter<'_>>) -> Vec<Filter<'_>> {
    if filters.iter().any(|filter| filter.is_named_zonegate) {
        filters.retain(|filter| filter.is_named_zonegate);
    }
    filters
}

/// Whether a file claims to be of Envoy or of Kubernetes.
fn names_another_kind(fields: &Map<String, Value>) -> bool {
    const MARKS: &[&str] = &[
        "@type",
        "admin",
        "apiVersion",
        "configs",
        "dynamic_resources",
        "dynamicResources",
        "kind",
        "name",
        "resources",
        "static_resources",
        "staticResources",
    ];
    MARKS.iter().any(|mark| fields.contains_key(*mark))
}

/// Why a file of Envoy has no configuration of the filter.
fn nowhere(file: &Value) -> PluginFileError {
    watched_files(file).first().map_or(PluginFileError::NoFilter, |path| {
        PluginFileError::Elsewhere(path.chars().take(200).collect())
    })
}

#[cfg(test)]
mod tests;
