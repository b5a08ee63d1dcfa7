//! Builds a plugin configuration.
//!
//! In: a policy to start from, keys, revocations, a zone, each with the place it came from. Out: the document for the
//! filter, as JSON or YAML. Fields that are set here have types; every other field is passed on as written, and the
//! filter's own code judges the whole document ([`Plugin::check`]).

use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::{Map, Value, json};
use zonegate::config::{Config, ConfigError};
use zonegate::credential::Kind;
use zonegate::token::PublicKey;

use super::base_error::{BaseError, DuplicateKid};
use super::dp_token;
use super::written::{Readable, pem};
use crate::kuma_inputs::Secrets;
use crate::plugin_config::Revocations;
use crate::plugin_config::generation::{GENERATION, Generation};
use crate::plugin_config::schema::whole;

const HOLD_HEADERS: &str = "holdHeaders";

/// A plugin configuration that is being built.
#[derive(Debug, Clone, Default)]
pub struct Plugin {
    zone: Option<String>,
    keys: Vec<Key>,
    revocations: Option<Revocations>,
    /// The fields without a type here.
    others: Map<String, Value>,
}

#[derive(Debug, Clone)]
struct Key {
    kid: String,
    key: PublicKey,
    place: String,
}

impl Plugin {
    /// Starts from a policy, which may be incomplete. `place` is its source.
    ///
    /// # Errors
    /// See [`BaseError`].
    pub fn from_base(base: &Value, place: &str) -> Result<Self, BaseError> {
        let mut others = base.as_object().ok_or(BaseError::NotAnObject)?.clone();
        let mut plugin = Self::default();
        if let Some(zone) = others.remove("zone") {
            plugin.zone = Some(text("zone", &zone)?);
        }
        if let Some(revocations) = others.remove("revocations") {
            plugin.revocations = Some(Revocations::of(revocations));
        }
        let keys = others.remove("publicKeys");
        plugin.others = others.into_iter().map(|(name, value)| (name, plain(value))).collect();
        let keys = keys.as_ref().map_or(Ok(&[][..]), |keys| list("publicKeys", keys))?;
        for (index, item) in keys.iter().enumerate() {
            let path = |field: &str| format!("publicKeys[{index}].{field}");
            let field = |name: &str| text(&path(name), item.get(name).unwrap_or(&Value::Null));
            let key = PublicKey::from_pem(&field("key")?).map_err(|error| BaseError::Field {
                path: path("key"),
                problem: error.to_string(),
            })?;
            let kid = match item.get("kid").cloned().map(whole) {
                Some(Value::Number(number)) if !number.is_f64() => number.to_string(),
                _ => field("kid")?,
            };
            plugin.add_key(kid, key, place).map_err(BaseError::Duplicate)?;
        }
        Ok(plugin)
    }

    /// Adds a key.
    ///
    /// # Errors
    /// The kid exists already: Kuma would silently use one of the keys.
    pub fn add_key(
        &mut self,
        kid: String,
        key: PublicKey,
        place: &str,
    ) -> Result<(), DuplicateKid> {
        match self.keys.iter().find(|other| other.kid == kid) {
            Some(other) => Err(DuplicateKid {
                kid,
                places: [other.place.clone(), place.to_owned()],
                is_same_key: other.key == key,
            }),
            None => {
                self.keys.push(Key { kid, key, place: place.to_owned() });
                Ok(())
            }
        }
    }

    /// Adds the keys and revocations of a control plane's secrets. `place` is their source.
    ///
    /// # Errors
    /// A kid exists already.
    pub fn add_secrets(&mut self, secrets: &Secrets, place: &str) -> Result<(), DuplicateKid> {
        for (kid, key, secret) in secrets.keys() {
            self.add_key(kid.to_owned(), key.clone(), &format!("{place} (secret {secret})"))?;
        }
        if let Some(text) = secrets.revocations() {
            self.revoke(Revocations::Text(text.to_owned()));
        }
        for (mesh, kid, key, secret) in secrets.mesh_keys() {
            let place = format!("{place} (secret {secret})");
            dp_token::add_key(&mut self.others, mesh, kid, key, &place)?;
        }
        // If no proxy may connect with dataplane tokens, their revocations are not needed.
        if self.admits(Kind::DataplaneToken) || secrets.mesh_keys().next().is_some() {
            for (mesh, text) in secrets.mesh_revocations() {
                dp_token::revoke(&mut self.others, mesh, Revocations::Text(text.to_owned()));
            }
        }
        Ok(())
    }

    /// Adds a key of dataplane tokens, for every mesh if `mesh` is empty.
    ///
    /// # Errors
    /// The kid exists already, for this mesh.
    pub fn add_mesh_key(
        &mut self,
        mesh: &str,
        kid: &str,
        key: &PublicKey,
        place: &str,
    ) -> Result<(), DuplicateKid> {
        dp_token::add_key(&mut self.others, mesh, kid, key, place)
    }

    /// Adds a cluster whose service-account tokens are accepted: its issuer and its JWK Set, unchanged.
    ///
    /// # Errors
    /// See [`BaseError`].
    pub fn add_cluster(&mut self, issuer: &str, jwks: Value) -> Result<(), BaseError> {
        let path = "serviceAccountToken.issuers";
        let token = self.others.entry("serviceAccountToken").or_insert_with(|| json!({}));
        let issuers = token
            .as_object_mut()
            .map(|fields| fields.entry("issuers").or_insert_with(|| json!([])));
        let issuers = issuers.and_then(Value::as_array_mut).ok_or_else(|| BaseError::Field {
            path: path.to_owned(),
            problem: "must be a list of issuer and jwks".to_owned(),
        })?;
        issuers.push(json!({ "issuer": issuer, "jwks": jwks }));
        Ok(())
    }

    /// Whether a type of proxy may connect with tokens of this kind.
    pub fn admits(&self, kind: Kind) -> bool {
        let proxies = self.others.get("proxies");
        [("ingress", "zoneToken"), ("egress", "zoneToken"), ("dataplane", "deny")].into_iter().any(
            |(proxy, default)| {
                let word = proxies.and_then(|proxies| proxies.get(proxy)).and_then(Value::as_str);
                word.unwrap_or(default) == kind.as_str()
            },
        )
    }

    /// Whether there is a key of any kind.
    pub fn has_keys(&self) -> bool {
        let list = |pointer: &[&str]| {
            let (first, rest) = pointer.split_first()?;
            let first = self.others.get(*first)?;
            rest.iter().try_fold(first, |value, name| value.get(*name))?.as_array()
        };
        let is_there = |pointer: &[&str]| list(pointer).is_some_and(|list| !list.is_empty());
        !self.keys.is_empty()
            || is_there(&["dpToken", "publicKeys"])
            || is_there(&["serviceAccountToken", "issuers"])
    }

    /// Adds these revocations.
    pub fn revoke(&mut self, more: Revocations) {
        self.revocations = Some(match self.revocations.take() {
            None => more,
            Some(before) => before.and(more),
        });
    }

    /// The zone, if it is set.
    pub fn zone(&self) -> Option<&str> {
        self.zone.as_deref()
    }

    /// Sets the zone.
    pub fn set_zone(&mut self, zone: String) {
        self.zone = Some(zone);
    }

    /// Sets a field that is not a key, a revocation or the zone.
    pub fn set(&mut self, field: &str, value: Value) {
        self.others.insert(field.to_owned(), value);
    }

    /// Counts each of these zones by itself, in addition to those of the policy.
    ///
    /// # Errors
    /// The existing value is not a list.
    pub fn count_zones(&mut self, zones: &[String]) -> Result<(), BaseError> {
        if zones.is_empty() {
            return Ok(());
        }
        let counted = self.others.entry("countZones").or_insert_with(|| json!([]));
        let counted = counted.as_array_mut().ok_or_else(|| BaseError::Field {
            path: "countZones".to_owned(),
            problem: "must be a list of zones".to_owned(),
        })?;
        for zone in zones.iter().map(|zone| json!(zone)) {
            if !counted.contains(&zone) {
                counted.push(zone);
            }
        }
        Ok(())
    }

    /// Sets the mark that makes this push different from all earlier ones.
    pub fn set_generation(&mut self, generation: &Generation) {
        self.set(GENERATION, generation.to_string().into());
    }

    /// Sets `holdHeaders: false`, unless it is set already: for hosts that cannot hold headers. A gate of a global
    /// control plane holds nothing.
    pub fn let_headers_go(&mut self) {
        if !self.is_for_global() && !self.others.contains_key(HOLD_HEADERS) {
            self.set(HOLD_HEADERS, false.into());
        }
    }

    /// Whether it is for a global control plane, which has no zone.
    pub fn is_for_global(&self) -> bool {
        self.others.get("profile").and_then(Value::as_str) == Some("globalKds")
    }

    /// The number of keys.
    pub fn keys(&self) -> usize {
        self.keys.len()
    }

    /// Reads it with the filter's own code.
    ///
    /// # Errors
    /// The reason why the filter would refuse it.
    pub fn check(&self) -> Result<Config, ConfigError> {
        Config::from_json(self.to_json().to_string().as_bytes())
    }

    /// The document for the filter.
    pub fn to_json(&self) -> Value {
        // Text, lists and values from JSON always have a JSON form.
        serde_json::to_value(self).unwrap_or_default()
    }
}

/// Fields that come first, because readers look for them first.
const FIRST: [&str; 3] = ["profile", "mode", GENERATION];

impl Serialize for Plugin {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        let (first, last): (Vec<_>, Vec<_>) =
            self.others.iter().partition(|(name, _)| FIRST.contains(&name.as_str()));
        if let Some(zone) = &self.zone {
            map.serialize_entry("zone", zone)?;
        }
        for (name, value) in first {
            map.serialize_entry(name, value)?;
        }
        // A gate of other tokens needs no keys of zone tokens.
        if !self.keys.is_empty() || !self.has_keys() {
            map.serialize_entry("publicKeys", &self.keys)?;
        }
        if let Some(revocations) = &self.revocations {
            map.serialize_entry("revocations", revocations)?;
        }
        for (name, value) in last {
            map.serialize_entry(name, &Readable(value))?;
        }
        map.end()
    }
}

impl Serialize for Key {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("kid", &self.kid)?;
        // YAML has the lines of the key; JSON has a string.
        map.serialize_entry("key", &serde_saphyr::LitStr(&pem(&self.key)))?;
        map.end()
    }
}

/// Writes whole numbers without a decimal point: in YAML, Envoy reads `5.0` as text.
fn plain(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            fields.into_iter().map(|(name, field)| (name, plain(field))).collect()
        }
        other => whole(other),
    }
}

fn text(path: &str, value: &Value) -> Result<String, BaseError> {
    value.as_str().map(str::to_owned).ok_or_else(|| BaseError::Field {
        path: path.to_owned(),
        problem: match value {
            Value::Null => "is missing".to_owned(),
            Value::Number(number) => format!("must be text: write it in quotes, \"{number}\""),
            _ => "must be text".to_owned(),
        },
    })
}

fn list<'a>(path: &str, value: &'a Value) -> Result<&'a [Value], BaseError> {
    value.as_array().map(Vec::as_slice).ok_or_else(|| BaseError::Field {
        path: path.to_owned(),
        problem: "must be a list of kid and key".to_owned(),
    })
}

#[cfg(test)]
mod tests;
