//! What kuma-cp's own configuration says about zone tokens.
//!
//! In: its YAML file (or the JSON that its API shows at `/config`), and its environment, which has the
//! last word, as in Kuma. Out: the zone, public keys, and what of it an operator of a gate should know.
//! Kuma reads no public keys from its environment: the list has no variable (`pkg/config/dp-server`).
//! Files that the configuration names are not opened here.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Map, Value};

use crate::readers::FileKind;
use crate::readers::text::{self, TextError};

/// What kuma-cp's own configuration says about zone tokens.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ControlPlane {
    mode: Option<String>,
    environment: Option<String>,
    zone: Option<String>,
    authn: Option<String>,
    use_secrets: Option<bool>,
    keys: Vec<ConfiguredKey>,
}

/// An item of `dpServer.authn.zoneProxy.zoneToken.validator.publicKeys`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfiguredKey {
    /// Where it stands.
    pub path: String,
    /// Its kid.
    pub kid: String,
    /// The key.
    pub key: KeySource,
}

/// Where a key is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySource {
    /// Here, PEM.
    Text(String),
    /// In a file on the control plane's machine.
    File(String),
}

/// What the operator of a gate should know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// Zone proxies do not connect to a global control plane.
    Global,
    /// Zone proxies do not authenticate with zone tokens there.
    OtherAuthentication(String),
    /// The control plane takes keys from its secrets as well.
    SecretsToo,
}

/// Why a configuration cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ControlPlaneError {
    /// Not YAML or JSON.
    Text(TextError),
    /// No fields in it.
    NotAnObject,
    /// A field has not the form that it must have; which, and what form.
    Field(String, &'static str),
    /// It is another file that operators have.
    OtherKind(FileKind),
    /// A line of an environment is no `NAME=VALUE`; which, from 1.
    Line(usize),
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Global => f.write_str(
                "mode global: zone proxies connect to a zone's control plane, not to this one; a gate in \
                 front of this one has profile: globalKds (in --base)",
            ),
            Self::OtherAuthentication(kind) => write!(
                f,
                "dpServer.authn.zoneProxy.type is {kind} here: zone proxies send no zone tokens, and \
                 the gate would deny them"
            ),
            Self::SecretsToo => f.write_str(
                "useSecrets is true: this control plane also takes tokens of the keys in its secrets; \
                 give them with --secrets, or the gate denies those tokens",
            ),
        }
    }
}

impl fmt::Display for ControlPlaneError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(error) => error.fmt(f),
            Self::NotAnObject => f.write_str("not a configuration of kuma-cp: no fields in it"),
            Self::OtherKind(kind) => write!(f, "not a configuration of kuma-cp: {kind}"),
            Self::Field(path, form) => write!(f, "{path}: must be {form}"),
            Self::Line(line) => write!(f, "line {line} is not NAME=VALUE"),
        }
    }
}

impl std::error::Error for ControlPlaneError {}

const VALIDATOR: &str = "dpServer.authn.zoneProxy.zoneToken.validator";

impl ControlPlane {
    /// Reads kuma-cp's file.
    ///
    /// # Errors
    /// See [`ControlPlaneError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, ControlPlaneError> {
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
            keys: keys(&file)?,
        })
    }

    /// Lets the variables in `text` (lines of `NAME=VALUE`) have the last word.
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
        if let Some(text) = value(USE_SECRETS) {
            let parsed = go_bool(&text).ok_or_else(|| field(USE_SECRETS, "true or false"))?;
            self.use_secrets = Some(parsed);
        }
        Ok(())
    }

    /// The zone, where it is named.
    pub fn zone(&self) -> Option<&str> {
        self.zone.as_deref().filter(|zone| !zone.is_empty())
    }

    /// The public keys.
    pub fn keys(&self) -> &[ConfiguredKey] {
        &self.keys
    }

    /// What the operator of a gate should know; `has_secrets` where the control plane's secrets are
    /// given too, `is_for_global` where the gate stands in front of a global control plane.
    pub fn notices(&self, has_secrets: bool, is_for_global: bool) -> Vec<Notice> {
        let mut notices = Vec::new();
        if self.mode.as_deref() == Some("global") && !is_for_global {
            notices.push(Notice::Global);
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

/// The file that a ConfigMap of Kuma's Helm chart holds; of all else, the bytes themselves.
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

/// What stands at `path`; a field on the way that is no object is an error.
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

/// Text as Kuma takes it: its reader makes text of a number where text is wanted.
fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) if !number.is_f64() => Some(number.to_string()),
        _ => None,
    }
}

fn keys(file: &Value) -> Result<Vec<ConfiguredKey>, ControlPlaneError> {
    let path = format!("{VALIDATOR}.publicKeys");
    let Some(value) = at(file, &path)? else { return Ok(Vec::new()) };
    let items = value.as_array().ok_or_else(|| field(&path, "a list of kid and key"))?;
    items.iter().enumerate().map(|(index, item)| key(item, format!("{path}[{index}]"))).collect()
}

/// As Kuma's `PublicKey.Validate` wants it (`pkg/config/types/keys.go`).
fn key(item: &Value, path: String) -> Result<ConfiguredKey, ControlPlaneError> {
    let text = |name: &str| match item.get(name) {
        None | Some(Value::Null) => Ok(String::new()),
        Some(value) => {
            plain(value).ok_or_else(|| field(&format!("{path}.{name}"), "text: write it in quotes"))
        }
    };
    let (kid, key, file) = (text("kid")?, text("key")?, text("keyFile")?);
    if kid.is_empty() {
        return Err(field(&format!("{path}.kid"), "there, and not empty"));
    }
    let key = match (key.is_empty(), file.is_empty()) {
        (false, true) => KeySource::Text(key),
        (true, false) => KeySource::File(file),
        _ => return Err(field(&path, "a kid with either key or keyFile")),
    };
    Ok(ConfiguredKey { path, kid, key })
}

/// Lines of `NAME=VALUE`, as `env` prints them and as systemd and Docker read them, or the same with a NUL
/// behind each, as `/proc/PID/environ` has them. Lines that are empty or a comment are passed over.
fn variables(text: &str) -> Result<BTreeMap<String, String>, ControlPlaneError> {
    let mut variables = BTreeMap::new();
    if text.contains('\0') {
        // As the kernel has them: nothing is quoted, and a line feed belongs to its value.
        for (index, variable) in text.split('\0').enumerate().filter(|(_, it)| !it.is_empty()) {
            let (name, value) =
                variable.split_once('=').ok_or(ControlPlaneError::Line(index.saturating_add(1)))?;
            variables.insert(name.to_owned(), value.to_owned());
        }
        return Ok(variables);
    }
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        let line = line.strip_prefix("export ").unwrap_or(line).trim_start();
        let (name, value) =
            line.split_once('=').ok_or(ControlPlaneError::Line(index.saturating_add(1)))?;
        variables.insert(name.trim().to_owned(), unquoted(value.trim()).to_owned());
    }
    Ok(variables)
}

fn unquoted(value: &str) -> &str {
    let within = |quote| value.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote));
    within('"').or_else(|| within('\'')).unwrap_or(value)
}

/// Go's `strconv.ParseBool`.
fn go_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a test may panic
mod tests {
    use super::*;

    const FILE: &str = r#"
mode: zone
environment: universal
multizone:
  zone: { name: us-east }
dpServer:
  authn:
    zoneProxy:
      type: ""
      zoneToken:
        enableIssuer: false
        validator:
          useSecrets: false
          publicKeys:
          - kid: 1
            key: PEM
          - kid: "2"
            keyFile: /keys/public.pem
"#;

    #[test]
    fn the_file_is_read_where_zone_tokens_are_concerned() {
        let read = ControlPlane::parse(FILE.as_bytes()).unwrap();
        assert_eq!(read.zone(), Some("us-east"));
        let keys: Vec<_> = read.keys().iter().map(|key| (key.kid.as_str(), &key.key)).collect();
        let file = KeySource::File("/keys/public.pem".into());
        assert_eq!(keys, [("1", &KeySource::Text("PEM".into())), ("2", &file)]);
        assert_eq!(read.notices(false, false), []);
    }

    #[test]
    fn the_environment_has_the_last_word() {
        let mut read = ControlPlane::parse(FILE.as_bytes()).unwrap();
        read.override_by(
            "# from kuma-cp\n\nPATH=/bin\nexport KUMA_MULTIZONE_ZONE_NAME='west'\nKUMA_MODE=global\n\
             KUMA_DP_SERVER_AUTHN_ZONE_PROXY_ZONE_TOKEN_VALIDATOR_USE_SECRETS=\"T\"\n",
        )
        .unwrap();
        assert_eq!(read.zone(), Some("west"));
        assert_eq!(read.notices(false, false), [Notice::Global, Notice::SecretsToo]);
        assert_eq!(read.notices(true, false), [Notice::Global]);
        assert_eq!(read.notices(true, true), []);
    }

    #[test]
    fn an_environment_of_the_kernel_is_read_too() {
        let mut read = ControlPlane::default();
        read.override_by("A=x\ny\0KUMA_MULTIZONE_ZONE_NAME=east\0KUMA_MODE=zone\0").unwrap();
        assert_eq!(read.zone(), Some("east"));
        let broken = read.override_by("A=1\0secret\0");
        assert_eq!(broken, Err(ControlPlaneError::Line(2)));
    }

    #[test]
    fn an_authentication_without_zone_tokens_is_noticed() {
        let other = |kind: &str| vec![Notice::OtherAuthentication(kind.into())];
        for (file, wanted) in [
            ("environment: kubernetes", other("serviceAccountToken")),
            ("dpServer: {authn: {zoneProxy: {type: none}}}", other("none")),
            ("environment: kubernetes\ndpServer: {authn: {zoneProxy: {type: zoneToken}}}", vec![]),
            ("environment: universal", vec![]),
        ] {
            assert_eq!(
                ControlPlane::parse(file.as_bytes()).unwrap().notices(true, false),
                wanted,
                "{file}"
            );
        }
    }

    #[test]
    fn what_kuma_would_not_take_is_refused_with_its_path() {
        let keys = |items: &str| {
            format!(
                "dpServer: {{authn: {{zoneProxy: {{zoneToken: {{validator: {{publicKeys: {items}}}}}}}}}}}"
            )
        };
        let path = format!("{VALIDATOR}.publicKeys");
        for (file, wanted) in [
            (String::new(), "it is empty".to_owned()),
            ("[]".to_owned(), "not a configuration of kuma-cp: no fields in it".to_owned()),
            ("multizone: {zone: x}".to_owned(), "multizone.zone: must be an object".to_owned()),
            ("mode: [zone]".to_owned(), "mode: must be text".to_owned()),
            (keys("{}"), format!("{path}: must be a list of kid and key")),
            (keys("[{key: a}]"), format!("{path}[0].kid: must be there, and not empty")),
            (keys("[{kid: a}]"), format!("{path}[0]: must be a kid with either key or keyFile")),
            (
                keys("[{kid: a, key: b, keyFile: c}]"),
                format!("{path}[0]: must be a kid with either key or keyFile"),
            ),
            (
                keys("[{kid: [a], key: b}]"),
                format!("{path}[0].kid: must be text: write it in quotes"),
            ),
        ] {
            let error = ControlPlane::parse(file.as_bytes()).unwrap_err().to_string();
            assert_eq!(error, wanted, "{file}");
        }
        let mut none = ControlPlane::default();
        assert_eq!(none.override_by("A=1\nsecret"), Err(ControlPlaneError::Line(2)));
        let bad = none.override_by(&format!("{USE_SECRETS}=yes"));
        assert_eq!(bad, Err(field(USE_SECRETS, "true or false")));
    }
}
