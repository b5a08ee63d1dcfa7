//! The plugin configuration, wherever it stands in a file that an operator has.
//!
//! In: the bytes of YAML or JSON: a plugin configuration, an ECDS file or a bootstrap configuration of
//! Envoy, its `/config_dump`, an Istio `WasmPlugin`, an Envoy Gateway `EnvoyExtensionPolicy`, or a
//! ConfigMap with one of these in it. Out: the plugin
//! configuration as JSON, as the filter would be given it, and its place in the file. Whether Envoy
//! takes the rest of the file is not checked.

use std::fmt;

use serde::de::IgnoredAny;
use serde_json::{Map, Value};
use zonegate::config::{Config, ConfigError};

use super::filters::{Filter, Form, filters, watched_files};
use crate::readers::FileKind;
use crate::readers::text::{self, Syntax, TextError};

/// The largest file: a list of a million revoked ids is 40 MB.
pub const MAX_BYTES: usize = 64 * 1024 * 1024;

/// A plugin configuration, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PluginConfiguration {
    /// The path to it; empty where the file is the plugin configuration itself.
    pub place: String,
    /// What the filter is given.
    pub json: Vec<u8>,
}

/// Why there is no plugin configuration, or none that can be honoured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PluginFileError {
    /// Not YAML or JSON.
    Text(TextError),
    /// Not an object.
    NotAnObject,
    /// Another file that operators have.
    OtherKind(FileKind),
    /// A file of Envoy or Kubernetes without the filter.
    NoFilter,
    /// The filter is there, and its configuration in another file, to be given instead.
    Elsewhere(String),
    /// A filter without a configuration; its place.
    NoConfiguration(String),
    /// A configuration that is neither a Struct nor a StringValue; its place and its type.
    OtherType {
        /// Where.
        place: String,
        /// `@type`.
        type_url: String,
    },
    /// A number that Envoy reads as text; the place of the configuration.
    Number(String),
    /// Several filters; their places.
    Several(Vec<String>),
    /// The filter would refuse it.
    Refused {
        /// Where the plugin configuration stands.
        place: String,
        /// Why.
        error: ConfigError,
    },
}

impl fmt::Display for PluginFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(error) => error.fmt(f),
            Self::NotAnObject => {
                f.write_str("it is neither a plugin configuration nor a file of Envoy")
            }
            Self::OtherKind(kind) => write!(f, "not a policy for the gate: {kind}"),
            Self::NoFilter => f.write_str(
                "no Wasm filter is in it: give a plugin configuration, or the file of Envoy that \
                 holds it",
            ),
            Self::Elsewhere(path) => {
                write!(f, "the filter's configuration is in another file, {path}: give that one")
            }
            Self::NoConfiguration(place) => write!(f, "{place}: the filter has no configuration"),
            Self::OtherType { place, type_url } => write!(
                f,
                "{place}: {type_url:?}: the configuration must be a google.protobuf.Struct, or a \
                 google.protobuf.StringValue with JSON"
            ),
            Self::Number(place) => write!(
                f,
                "{place}: Envoy reads a number in YAML as text where it has a point or is beyond 32 \
                 bits: put it in quotes, or write a smaller whole number"
            ),
            Self::Several(places) => write!(
                f,
                "{} plugin configurations are in it, at {}: give a file with one",
                places.len(),
                places.join(" and ")
            ),
            Self::Refused { place, error } if place.is_empty() => error.fmt(f),
            Self::Refused { place, error } => write!(f, "{place}: {error}"),
        }
    }
}

impl std::error::Error for PluginFileError {}

impl PluginConfiguration {
    /// The plugin configuration in `bytes`.
    ///
    /// # Errors
    /// There is none, or more than one.
    pub fn find(bytes: &[u8]) -> Result<Self, PluginFileError> {
        Self::open(bytes).map(|(found, _)| found)
    }

    /// The plugin configuration in `bytes`, and the file in which it stands: of a ConfigMap, the one in it.
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
    /// [`PluginFileError::Refused`], where the filter would refuse it.
    pub fn config(&self) -> Result<Config, PluginFileError> {
        Config::from_json(&self.json)
            .map_err(|error| PluginFileError::Refused { place: self.place.clone(), error })
    }
}

/// In one of the files of a ConfigMap, as a gateway mounts it.
fn in_config_map(file: &Value) -> Result<(PluginConfiguration, Value), PluginFileError> {
    let files = file.get("data").and_then(Value::as_object);
    let mut found = Vec::new();
    let mut problem = PluginFileError::OtherKind(FileKind::ConfigMap);
    for (name, text) in files.into_iter().flatten() {
        let Some(text) = text.as_str() else { continue };
        match PluginConfiguration::open(text.as_bytes()) {
            Ok((mut inner, file)) => {
                let place = format!("data[{}]", zonegate::gate::Quoted(name));
                let dot = if inner.place.is_empty() { "" } else { "." };
                inner.place = format!("{place}{dot}{}", inner.place);
                found.push((inner, file));
            }
            // A file of the right kind with a fault tells more than one of another kind.
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

/// JSON as it stands, so that the filter's own reader sees a repeated name; YAML has none.
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

/// Whether a number is in `value` that is none to Envoy: its reader of YAML takes only whole numbers of
/// 32 bits for numbers, and all others for text (Envoy: `source/common/protobuf/yaml_utility.cc`).
fn holds_text_to_envoy(value: &Value) -> bool {
    match value {
        Value::Number(number) => number.as_i64().and_then(|it| i32::try_from(it).ok()).is_none(),
        Value::Array(items) => items.iter().any(holds_text_to_envoy),
        Value::Object(fields) => fields.values().any(holds_text_to_envoy),
        Value::Null | Value::Bool(_) | Value::String(_) => false,
    }
}

/// Of several filters, those that are named Zonegate: a gateway may run others.
fn ours(mut filters: Vec<Filter<'_>>) -> Vec<Filter<'_>> {
    if filters.iter().any(|filter| filter.is_named_zonegate) {
        filters.retain(|filter| filter.is_named_zonegate);
    }
    filters
}

/// Whether a file says that it is of Envoy or of Kubernetes.
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

/// Why a file of Envoy has no configuration of the filter in it.
fn nowhere(file: &Value) -> PluginFileError {
    watched_files(file).first().map_or(PluginFileError::NoFilter, |path| {
        PluginFileError::Elsewhere(path.chars().take(200).collect())
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a test may panic
mod tests {
    use serde_json::json;

    use super::*;

    const ECDS: &str = include_str!("../../../envoy/ecds/zonegate.yaml");
    const GATEWAY: &str = include_str!("../../../envoy/gateway.yaml");

    fn plugin() -> Value {
        let (ecds, _) = text::value(ECDS.as_bytes()).unwrap();
        ecds.pointer("/resources/0/typed_config/config/configuration/value").unwrap().clone()
    }

    /// A Wasm filter of Envoy.
    fn filter(name: &str, configuration: Value) -> Value {
        json!({
            "@type": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
            "config": { "root_id": name, "configuration": configuration },
        })
    }

    fn structured(value: Value) -> Value {
        json!({ "@type": "type.googleapis.com/google.protobuf.Struct", "value": value })
    }

    fn find(file: &Value) -> Result<(String, Value), PluginFileError> {
        let found = PluginConfiguration::find(file.to_string().as_bytes())?;
        Ok((found.place, serde_json::from_slice(&found.json).unwrap()))
    }

    #[test]
    fn the_shipped_file_is_found_and_honoured() {
        let found = PluginConfiguration::find(ECDS.as_bytes()).unwrap();
        assert_eq!(found.place, "resources[0].typed_config.config.configuration.value");
        assert_eq!(found.config().unwrap().policy.zone(), Some("default"));
    }

    #[test]
    fn the_plugin_configuration_is_found_wherever_it_stands() {
        let (plugin, text) = (plugin(), plugin().to_string());
        let string = json!({ "@type": "x/google.protobuf.StringValue", "value": text });
        let listener = |filter: Value| json!({ "static_resources": { "listeners": [filter] } });
        let typed = json!({
            "type_url": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
            "value": { "config": { "configuration": structured(plugin.clone()) } },
        });
        let listeners = "static_resources.listeners[0]";
        for (file, place) in [
            (plugin.clone(), String::new()),
            (
                listener(filter("x", structured(plugin.clone()))),
                format!("{listeners}.config.configuration.value"),
            ),
            (listener(filter("x", string)), format!("{listeners}.config.configuration.value")),
            (listener(typed), format!("{listeners}.value.config.configuration.value")),
            (
                json!({ "kind": "WasmPlugin", "spec": { "pluginConfig": plugin } }),
                "spec.pluginConfig".to_owned(),
            ),
            (
                json!({ "kind": "EnvoyExtensionPolicy", "spec": { "wasm": [{ "config": plugin }] } }),
                "spec.wasm[0].config".to_owned(),
            ),
            (
                json!({ "kind": "List", "items": [{ "kind": "WasmPlugin", "spec": { "pluginConfig": plugin } }] }),
                "items[0].spec.pluginConfig".to_owned(),
            ),
            (
                json!({ "kind": "ConfigMap", "data": { "zonegate.yaml": ECDS, "other.txt": "x" } }),
                "data[\"zonegate.yaml\"].resources[0].typed_config.config.configuration.value"
                    .to_owned(),
            ),
            (
                json!({ "kind": "ConfigMap", "data": { "policy.json": text } }),
                "data[\"policy.json\"]".to_owned(),
            ),
            // As Envoy shows it at /config_dump.
            (
                json!({ "configs": [
                    { "@type": "type.googleapis.com/envoy.admin.v3.BootstrapConfigDump" },
                    {
                        "@type": "type.googleapis.com/envoy.admin.v3.EcdsConfigDump",
                        "ecds_filters": [{ "ecds_filter": {
                            "@type": "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig",
                            "name": "zonegate",
                            "typed_config": filter("zonegate", structured(plugin.clone())),
                        }}],
                    },
                ]}),
                "configs[1].ecds_filters[0].ecds_filter.typed_config.config.configuration.value"
                    .to_owned(),
            ),
        ] {
            assert_eq!(find(&file), Ok((place, plugin.clone())), "{file}");
        }
    }

    #[test]
    fn among_several_filters_the_one_named_zonegate_is_meant() {
        let other = filter("other", structured(json!({ "a": 1 })));
        let ours = filter("zonegate", structured(plugin()));
        let found = find(&json!({ "resources": [other, ours] })).unwrap();
        assert_eq!(found.0, "resources[1].config.configuration.value");
        let places = ["resources[0].config.configuration", "resources[1].config.configuration"];
        let several = PluginFileError::Several(places.map(str::to_owned).into());
        assert_eq!(find(&json!({ "resources": [other, other] })), Err(several.clone()));
        assert_eq!(find(&json!({ "resources": [ours, ours] })), Err(several));
    }

    #[test]
    fn what_holds_no_plugin_configuration_is_refused_by_name() {
        let place = "resources[0].config.configuration".to_owned();
        let in_resources = |configuration| json!({ "resources": [filter("x", configuration)] });
        let other_type = json!({ "@type": "x/google.protobuf.BytesValue", "value": "" });
        for (file, wanted) in [
            (json!([]), PluginFileError::NotAnObject),
            (json!("text"), PluginFileError::NotAnObject),
            (json!({ "static_resources": {} }), PluginFileError::NoFilter),
            (
                json!({ "kind": "Secret", "data": {} }),
                PluginFileError::OtherKind(FileKind::Secrets),
            ),
            (json!({ "dpServer": {} }), PluginFileError::OtherKind(FileKind::KumaCp)),
            (json!({ "kind": "ConfigMap" }), PluginFileError::OtherKind(FileKind::ConfigMap)),
            (
                json!({ "kind": "ConfigMap", "data": { "config.yaml": "dpServer: {}" } }),
                PluginFileError::OtherKind(FileKind::KumaCp),
            ),
            (
                json!({ "kind": "WasmPlugin" }),
                PluginFileError::NoConfiguration("spec.pluginConfig".into()),
            ),
            (in_resources(structured(json!(1))), PluginFileError::NoConfiguration(place.clone())),
            (
                in_resources(other_type),
                PluginFileError::OtherType {
                    place,
                    type_url: "x/google.protobuf.BytesValue".into(),
                },
            ),
        ] {
            assert_eq!(find(&file), Err(wanted), "{file}");
        }
        let elsewhere = PluginFileError::Elsewhere("/etc/zonegate/ecds/zonegate.yaml".into());
        assert_eq!(PluginConfiguration::find(GATEWAY.as_bytes()), Err(elsewhere));
    }

    /// What Envoy 1.40 makes of these in a Struct: `leewaySeconds: "5.0"`, `zone: "1.50"`.
    #[test]
    fn a_number_that_envoy_reads_as_text_is_refused_in_yaml_alone() {
        let ecds = |zone: &str| ECDS.replace("zone: default", &format!("zone: {zone}"));
        let place = "resources[0].typed_config.config.configuration".to_owned();
        for number in ["1.50", "1e3", "2147483648"] {
            let found = PluginConfiguration::find(ecds(number).as_bytes());
            assert_eq!(found, Err(PluginFileError::Number(place.clone())), "{number}");
        }
        let quoted = PluginConfiguration::find(ecds("\"1.50\"").as_bytes()).unwrap();
        assert_eq!(quoted.config().unwrap().policy.zone(), Some("1.50"));
        let (json, _) = text::value(ecds("1.50").as_bytes()).unwrap();
        assert!(PluginConfiguration::find(json.to_string().as_bytes()).is_ok());
        let plain = PluginConfiguration::find(b"zone: 1.50\npublicKeys: []\n").unwrap();
        assert!(plain.config().unwrap_err().to_string().starts_with("zone: invalid type"));
    }

    #[test]
    fn an_error_of_the_filter_keeps_its_place() {
        let file = json!({ "resources": [filter("x", structured(json!({ "publicKeys": [] })))] });
        let error = PluginConfiguration::find(file.to_string().as_bytes()).unwrap().config();
        assert_eq!(
            error.unwrap_err().to_string(),
            "resources[0].config.configuration.value: publicKeys: at least one key is required"
        );
    }

    #[test]
    fn a_repeated_name_reaches_the_filters_own_reader() {
        let twice = br#"{"publicKeys":[],"zone":"a","zone":"b"}"#;
        let error = PluginConfiguration::find(twice).unwrap().config().unwrap_err();
        assert!(error.to_string().contains("duplicate field `zone`"), "{error}");
    }
}
