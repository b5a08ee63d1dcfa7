//! The file for Envoy.
//!
//! In: the gateway's policy, a file that is read again each time, the current file, and a control plane's secrets. Out:
//! the new text of the file, which the filter's own code has accepted, or why it was not made. Keys and revocations
//! come from the secrets, and the zone from `--zone`. Everything else comes from the base, or, without a base, from the
//! file. The contents of the file around the policy are kept.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;

use serde_json::{Map, Value};
use zonegate::config::{ConfigError, Warning};
use zonegate::credential::Kind;

use super::changes::Snapshot;
use crate::kuma_inputs::Secrets;
use crate::plugin_config::Generation;
use crate::plugin_config::plugin_file::{MAX_BYTES, PluginConfiguration, PluginFileError};
use crate::render::{BaseError, DuplicateKid, Plugin, RenderError, ecds};
use crate::yaml_edit::{Owned, with_policy};

/// The parts of the file that do not come from secrets.
#[derive(Debug, Clone)]
pub struct Gateway {
    /// The policy to start from; without it, the policy of the file, or the defaults. Its keys and ids count too.
    pub base: Option<PathBuf>,
    /// The zone, if it is not the zone of the base.
    pub zone: Option<String>,
    /// The path of the filter, if it is not the path in the shipped file.
    pub module: Option<String>,
}

/// A new file.
#[derive(Debug)]
pub struct Rendered {
    /// The text of the file.
    pub text: String,
    /// The keys, revoked ids and settings in it.
    pub snapshot: Snapshot,
    /// The filter's warnings.
    pub warnings: Vec<Warning>,
    /// The fields of the policy that come neither from secrets nor from flags. They are used again if the file is
    /// damaged.
    pub own: Value,
    /// Whether no zone is given, so that Kuma's default is used.
    pub is_default_zone: bool,
}

/// Why no file was made.
#[derive(Debug)]
pub enum PolicyError {
    /// The policy cannot be read.
    Unreadable(PathBuf, io::Error),
    /// The policy is not a plugin configuration.
    Form(PathBuf, PluginFileError),
    /// The policy cannot be used as a base.
    Base(PathBuf, BaseError),
    /// A key of the control plane is in the policy, too.
    Duplicate(DuplicateKid),
    /// The filter would refuse the result.
    Refused(ConfigError),
    /// The file cannot be made.
    Render(RenderError),
}

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(path, error) => {
                write!(f, "could not read the policy {}: {error}", path.display())
            }
            Self::Form(path, error) => write!(f, "{}: {error}", path.display()),
            Self::Base(path, error) => write!(f, "{}: {error}", path.display()),
            Self::Duplicate(error) => error.fmt(f),
            Self::Refused(error) => write!(f, "the filter would refuse it: {error}"),
            Self::Render(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for PolicyError {}

/// The current file.
#[derive(Debug, Clone, Copy)]
pub struct Before<'a> {
    /// Its text; `None` if there is no file.
    pub text: Option<&'a str>,
    /// The fields of its policy when it was last good ([`Rendered::own`]).
    pub own: Option<&'a Value>,
}

impl Gateway {
    /// Makes the file with these secrets.
    ///
    /// # Errors
    /// See [`PolicyError`].
    pub fn render(&self, secrets: &Secrets, before: Before<'_>) -> Result<Rendered, PolicyError> {
        let (mut plugin, own) = match (&self.base, own(before.text).or(before.own.cloned())) {
            (Some(_), _) | (None, None) => (self.start()?, Value::Null),
            (None, Some(own)) => {
                let plugin = Plugin::from_base(&own, "the file")
                    .map_err(|error| PolicyError::Base(PathBuf::from("the file"), error))?;
                (plugin, own)
            }
        };
        self.name_zone(&mut plugin);
        // The new generation only gets into the file if something else has changed.
        plugin.set_generation(&Generation::fresh());
        plugin.add_secrets(secrets, "the control plane").map_err(PolicyError::Duplicate)?;
        let config = plugin.check().map_err(PolicyError::Refused)?;
        let owned = match (&self.base, &self.zone) {
            (Some(_), _) => Owned::All,
            (None, Some(_)) => Owned::SecretsAndZone,
            (None, None) => Owned::Secrets,
        };
        let module = self.module.as_deref();
        let in_place = before.text.and_then(|text| with_policy(text, &plugin, owned, module));
        let text = match in_place {
            Some(text) => text,
            None => ecds(&plugin, module).map_err(PolicyError::Render)?,
        };
        let snapshot = Snapshot::of(plugin.to_json().to_string().as_bytes());
        let is_default_zone = plugin.zone().is_none() && !plugin.is_for_global();
        Ok(Rendered { text, snapshot, warnings: config.warnings, own, is_default_zone })
    }

    /// The kinds of token whose secrets are needed: those that the policy accepts.
    ///
    /// # Errors
    /// See [`PolicyError`].
    pub fn reads(&self, before: Before<'_>) -> Result<Reads, PolicyError> {
        let own = own(before.text).or(before.own.cloned());
        let plugin = match (&self.base, own) {
            (None, Some(own)) => Plugin::from_base(&own, "the file")
                .map_err(|error| PolicyError::Base(PathBuf::from("the file"), error))?,
            (Some(_), _) | (None, None) => self.start()?,
        };
        Ok(Reads::of(&plugin))
    }

    /// The policy to start from, as it is now.
    ///
    /// # Errors
    /// See [`PolicyError`].
    pub fn plugin(&self) -> Result<Plugin, PolicyError> {
        let mut plugin = self.start()?;
        self.name_zone(&mut plugin);
        Ok(plugin)
    }

    fn name_zone(&self, plugin: &mut Plugin) {
        if let Some(zone) = &self.zone {
            plugin.set_zone(zone.clone());
        }
    }

    fn start(&self) -> Result<Plugin, PolicyError> {
        let Some(path) = &self.base else {
            return Plugin::from_base(&Value::Object(Map::new()), "the defaults")
                .map_err(|error| PolicyError::Base(PathBuf::new(), error));
        };
        let form = |error| PolicyError::Form(path.clone(), error);
        let bytes = read(path).map_err(|error| PolicyError::Unreadable(path.clone(), error))?;
        let found = PluginConfiguration::find(&bytes).map_err(form)?;
        let base: Value =
            serde_json::from_slice(&found.json).map_err(|_| form(PluginFileError::NotAnObject))?;
        Plugin::from_base(&base, &path.display().to_string())
            .map_err(|error| PolicyError::Base(path.clone(), error))
    }
}

/// The kinds of token whose secrets the file needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reads {
    /// Zone tokens.
    pub zone_tokens: bool,
    /// Dataplane tokens, of every mesh.
    pub dataplane_tokens: bool,
}

impl Reads {
    /// Zone tokens are included, unless the policy only accepts dataplane tokens.
    fn of(plugin: &Plugin) -> Self {
        let dataplane_tokens = plugin.admits(Kind::DataplaneToken);
        let zone_tokens = plugin.admits(Kind::ZoneToken) || !dataplane_tokens;
        Self { zone_tokens, dataplane_tokens }
    }
}

/// The fields of the policy in a file that do not come from secrets; `None` if the filter would refuse the policy.
fn own(text: Option<&str>) -> Option<Value> {
    let found = PluginConfiguration::find(text?.as_bytes()).ok()?;
    found.config().ok()?;
    let mut own: Value = serde_json::from_slice(&found.json).ok()?;
    let fields = own.as_object_mut()?;
    fields.remove("generation");
    let reads = Reads::of(&Plugin::from_base(&Value::Object(fields.clone()), "the file").ok()?);
    if reads.zone_tokens {
        for name in ["publicKeys", "revocations", "useSecrets"] {
            fields.remove(name);
        }
    }
    let dp_token = fields.get_mut("dpToken").and_then(Value::as_object_mut);
    if let Some(dp_token) = dp_token.filter(|_| reads.dataplane_tokens) {
        for name in ["publicKeys", "revocations"] {
            dp_token.remove(name);
        }
    }
    Some(own)
}

/// Reads the file up to a limit. A longer file is cut, and is then not a configuration.
fn read(path: &PathBuf) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let limit = u64::try_from(MAX_BYTES).unwrap_or(u64::MAX);
    File::open(path)?.take(limit).read_to_end(&mut bytes)?;
    Ok(bytes)
}
