//! kuma-cp's own configuration, as far as it concerns tokens.
//!
//! In: its YAML file (or the JSON that its API shows at `/config`), and its environment, which overrides the file, as
//! in Kuma. Out: the zone, public keys, and notices for the operator of a gate. Kuma reads no public keys from its
//! environment: the list has no variable (`pkg/config/dp-server`). Files that the configuration names are not opened
//! here.

mod environment;
mod error;
mod notice;

use std::borrow::Cow;

use serde_json::{Map, Value};

pub use error::ControlPlaneError;
pub use notice::Notice;

use super::NoZoneTokens;
use crate::readers::{FileKind, text};
use environment::{go_bool, variables};

/// The settings of kuma-cp that concern tokens.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ControlPlane {
    mode: Option<String>,
    environment: Option<String>,
    zone: Option<String>,
    authn: Option<String>,
    use_secrets: Option<bool>,
    keys: Vec<ConfiguredKey>,
    mesh_keys: Vec<ConfiguredKey>,
    no_zone_tokens: Option<NoZoneTokens>,
}

/// An item of `dpServer.authn.zoneProxy.zoneToken.validator.publicKeys`, or of
/// `dpServer.authn.dpProxy.dpToken.validator.publicKeys`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfiguredKey {
    /// Its path in the file.
    pub path: String,
    /// Its kid.
    pub kid: String,
    /// For a key of dataplane tokens: its mesh, empty for every mesh. `None` for a key of zone tokens.
    pub mesh: Option<String>,
    /// The key.
    pub key: KeySource,
}

/// The source of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySource {
    /// PEM in the configuration itself.
    Text(String),
    /// A file on the control plane's machine.
    File(String),
}

const VALIDATOR: &str = "dpServer.authn.zoneProxy.zoneToken.validator";
const DP_VALIDATOR: &str = "dpServer.authn.dpProxy.dpToken.validator";

impl ControlPlane {
    /// Reads kuma-cp's file.
    ///
    /// # Errors
    /// See [`ControlPlaneError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, ControlPlaneError> {
        let labelled = text::value(bytes).ok().and_then(|(file, _)| NoZoneTokens::of_labels(&file));
        let bytes = &*wrapped(bytes)?;
        let (file, _) = text::value(bytes).map_err(|error| match FileKind::of_text(bytes) {
            Some(kind) => ControlPlaneError::OtherKind(kind),
            None => ControlPlaneError::Text(error),
        })?;
        match FileKind::of(&file).or_else(|| FileKind::of_text(bytes)) {
            None | Some(FileKind::KumaCp) => {}
            Some(kind) => return Err(ControlPlaneError::OtherKind(kind)),
        }
        if !file.is_object() {
            return Err(ControlPlaneError::NotAnObject);
        }
        Ok(Self {
            mode: word(&file, "mode")?,
            environment: word(&file, "environment")?,
            zone: word(&file, "multizone.zone.name")?,
            authn: word(&file, "dpServer.authn.zoneProxy.type")?,
            use_secrets: at(&file, &format!("{VALIDATOR}.useSecrets"))?
                .map(|value| value.as_bool())
                .map(|value| {
                    value.ok_or_else(|| field(&format!("{VALIDATOR}.useSecrets"), "true or false"))
                })
                .transpose()?,
            keys: keys(&file, VALIDATOR)?,
            mesh_keys: keys(&file, DP_VALIDATOR)?,
            no_zone_tokens: labelled.or_else(|| NoZoneTokens::of_settings(&file)),
        })
    }

    /// Overrides settings by the variables in `text` (lines of `NAME=VALUE`).
    ///
    /// # Errors
    /// [`ControlPlaneError::Line`], or [`ControlPlaneError::Field`].
    pub fn override_by(&mut self, text: &str) -> Result<(), ControlPlaneError> {
        let variables = variables(text)?;
        let value = |name: &str| variables.get(name).cloned();
        for (field, name) in [
            (&mut self.mode, "KUMA_MODE"),
            (&mut self.environment, "KUMA_ENVIRONMENT"),
            (&mut self.zone, "KUMA_MULTIZONE_ZONE_NAME"),
            (&mut self.authn, "KUMA_DP_SERVER_AUTHN_ZONE_PROXY_TYPE"),
        ] {
            *field = value(name).or(field.take());
        }
        let by_name = NoZoneTokens::of_variables(variables.keys().map(String::as_str));
        self.no_zone_tokens = self.no_zone_tokens.take().or(by_name);
        if let Some(text) = value(USE_SECRETS) {
            let parsed = go_bool(&text).ok_or_else(|| field(USE_SECRETS, "true or false"))?;
            self.use_secrets = Some(parsed);
        }
        Ok(())
    }

    /// The zone, if it is set.
    pub fn zone(&self) -> Option<&str> {
        self.zone.as_deref().filter(|zone| !zone.is_empty())
    }

    /// The public keys of dataplane tokens.
    pub fn mesh_keys(&self) -> &[ConfiguredKey] {
        &self.mesh_keys
    }

    /// The public keys of zone tokens.
    pub fn keys(&self) -> &[ConfiguredKey] {
        &self.keys
    }

    /// The sign that it refuses zone tokens of proxies, if there is one.
    pub fn no_zone_tokens(&self) -> Option<&NoZoneTokens> {
        self.no_zone_tokens.as_ref()
    }

    /// Notices for the operator of a gate. `has_secrets`: the control plane's secrets are given too. `is_for_global`:
    /// the gate is in front of a global control plane.
    pub fn notices(&self, has_secrets: bool, is_for_global: bool) -> Vec<Notice> {
        let mut notices = Vec::new();
        if self.mode.as_deref() == Some("global") && !is_for_global {
            notices.push(Notice::Global);
        }
        // A global control plane does not decide which tokens the zones accept.
        if let Some(sign) = self.no_zone_tokens.clone().filter(|_| !is_for_global) {
            notices.push(Notice::NoZoneTokens(sign));
        }
        // An empty type follows the environment (Kuma: `autoconfigure` in app/kuma-cp).
        let on_kubernetes = self.environment.as_deref() == Some("kubernetes");
        match self.authn.as_deref().unwrap_or_default() {
            "zoneToken" => {}
            "" if on_kubernetes => {
                notices.push(Notice::OtherAuthentication("serviceAccountToken".to_owned()));
            }
            "" => {}
            other => notices.push(Notice::OtherAuthentication(other.chars().take(40).collect())),
        }
        if self.use_secrets.unwrap_or(true) && !has_secrets {
            notices.push(Notice::SecretsToo);
        }
        notices
    }
}

const USE_SECRETS: &str = "KUMA_DP_SERVER_AUTHN_ZONE_PROXY_ZONE_TOKEN_VALIDATOR_USE_SECRETS";

fn field(path: &str, form: &'static str) -> ControlPlaneError {
    ControlPlaneError::Field(path.to_owned(), form)
}

/// The file in a ConfigMap of Kuma's Helm chart; for any other file, the bytes themselves.
fn wrapped(bytes: &[u8]) -> Result<Cow<'_, [u8]>, ControlPlaneError> {
    let Ok((file, _)) = text::value(bytes) else { return Ok(Cow::Borrowed(bytes)) };
    if file.get("kind").and_then(Value::as_str) != Some("ConfigMap") {
        return Ok(Cow::Borrowed(bytes));
    }
    let files = file.get("data").and_then(Value::as_object);
    let mut texts = files.into_iter().flat_map(Map::values).filter_map(Value::as_str);
    let is_kumas = |text: &&str| {
        text::value(text.as_bytes())
            .is_ok_and(|(file, _)| FileKind::of(&file) == Some(FileKind::KumaCp))
    };
    let text = texts.find(is_kumas).ok_or(ControlPlaneError::OtherKind(FileKind::ConfigMap))?;
    Ok(Cow::Owned(text.as_bytes().to_vec()))
}

/// The value at `path`. A parent that is not an object is an error.
fn at<'a>(file: &'a Value, path: &str) -> Result<Option<&'a Value>, ControlPlaneError> {
    let mut value = file;
    let mut seen = String::new();
    for name in path.split('.') {
        match value {
            Value::Object(fields) => match fields.get(name) {
                None | Some(Value::Null) => return Ok(None),
                Some(below) => value = below,
            },
            _ => return Err(field(&seen, "an object")),
        }
        if !seen.is_empty() {
            seen.push('.');
        }
        seen.push_str(name);
    }
    Ok(Some(value))
}

fn word(file: &Value, path: &str) -> Result<Option<String>, ControlPlaneError> {
    at(file, path)?.map(|value| plain(value).ok_or_else(|| field(path, "text"))).transpose()
}

/// Text as Kuma reads it: a number becomes text where text is expected.
fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) if !number.is_f64() => Some(number.to_string()),
        _ => None,
    }
}

fn keys(file: &Value, validator: &str) -> Result<Vec<ConfiguredKey>, ControlPlaneError> {
    let has_mesh = validator == DP_VALIDATOR;
    let path = format!("{validator}.publicKeys");
    let Some(value) = at(file, &path)? else { return Ok(Vec::new()) };
    let items = value.as_array().ok_or_else(|| field(&path, "a list of kid and key"))?;
    let keys = items.iter().enumerate();
    keys.map(|(index, item)| key(item, format!("{path}[{index}]"), has_mesh)).collect()
}

/// A key that passes Kuma's `PublicKey.Validate` (`pkg/config/types/keys.go`).
fn key(item: &Value, path: String, has_mesh: bool) -> Result<ConfiguredKey, ControlPlaneError> {
    let text = |name: &str| match item.get(name) {
        None | Some(Value::Null) => Ok(String::new()),
        Some(value) => {
            plain(value).ok_or_else(|| field(&format!("{path}.{name}"), "text: write it in quotes"))
        }
    };
    let (kid, key, file) = (text("kid")?, text("key")?, text("keyFile")?);
    let mesh = has_mesh.then(|| text("mesh")).transpose()?;
    if kid.is_empty() {
        return Err(field(&format!("{path}.kid"), "there, and not empty"));
    }
    let key = match (key.is_empty(), file.is_empty()) {
        (false, true) => KeySource::Text(key),
        (true, false) => KeySource::File(file),
        _ => return Err(field(&path, "a kid with either key or keyFile")),
    };
    Ok(ConfiguredKey { path, kid, mesh, key })
}

#[cfg(test)]
mod tests;
