//! The plugin configuration as it is written: names, defaults and what values may look like.
//!
//! In: a deserializer. Out: [`RawConfig`]. Nothing is checked here that needs more than one field.

use serde::Deserialize;
use serde::de::{Deserializer, Error, SeqAccess, Unexpected, Visitor};

use std::collections::BTreeMap;

use super::revocation_rules::RawRule;
use crate::credential::{Kind, RequireWorkload};
use crate::gate::{Admission, BootstrapPolicy, ErrorDetail, Mode, OnOpen};

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, expecting = "the plugin configuration")]
pub(super) struct RawConfig {
    #[serde(default)]
    pub(super) profile: Profile,
    #[serde(default, deserialize_with = "given")]
    pub(super) zone: Option<String>,
    #[serde(default)]
    pub(super) public_keys: Vec<PublicKeyItem>,
    /// Stands beside `publicKeys` in kuma-cp's file.
    #[serde(default)]
    pub(super) use_secrets: bool,
    #[serde(default)]
    pub(super) revocations: Revocations,
    #[serde(default)]
    pub(super) revocation_rules: Vec<RawRule>,
    #[serde(default)]
    pub(super) dp_token: RawDpToken,
    #[serde(default)]
    pub(super) service_account_token: RawServiceAccountToken,
    #[serde(default, deserialize_with = "given")]
    pub(super) proxies: Option<RawProxies>,
    #[serde(default, deserialize_with = "given")]
    pub(super) bootstrap: Option<BootstrapPolicy>,
    #[serde(default, deserialize_with = "given")]
    pub(super) count_zones: Option<Vec<String>>,
    #[serde(default = "yes")]
    pub(super) require_expiration: bool,
    #[serde(default, deserialize_with = "whole_number")]
    pub(super) leeway_seconds: u64,
    #[serde(default = "default_max_token_bytes", deserialize_with = "whole_number")]
    pub(super) max_token_bytes: u64,
    #[serde(default, deserialize_with = "given_whole_number")]
    pub(super) first_message_seconds: Option<u64>,
    #[serde(default, deserialize_with = "given")]
    pub(super) hold_headers: Option<bool>,
    #[serde(default)]
    pub(super) mode: Mode,
    #[serde(default)]
    pub(super) open_streams: OpenStreams,
    #[serde(default)]
    pub(super) error_detail: ErrorDetail,
    /// Makes two pushes different, and means nothing else.
    #[serde(default)]
    pub(super) generation: String,
}

fn yes() -> bool {
    true
}

fn default_max_token_bytes() -> u64 {
    16_384
}

#[derive(Debug, Clone, Copy, Default)]
pub(super) enum Profile {
    #[default]
    DpServer,
    GlobalKds,
}

/// An item of kuma-cp's `dpServer.authn.zoneProxy.zoneToken.validator.publicKeys`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, expecting = "an object of kid and key")]
pub(super) struct PublicKeyItem {
    #[serde(deserialize_with = "kid")]
    pub(super) kid: String,
    /// Of a dataplane token's key.
    #[serde(default)]
    pub(super) mesh: String,
    #[serde(default)]
    pub(super) key: String,
    #[serde(default)]
    pub(super) key_file: String,
}

/// kuma-cp's `dpServer.authn.dpProxy.dpToken.validator`, and the revocations of each mesh.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, expecting = "an object", default)]
pub(super) struct RawDpToken {
    pub(super) public_keys: Vec<PublicKeyItem>,
    pub(super) use_secrets: bool,
    pub(super) revocations: BTreeMap<String, Revocations>,
    pub(super) require_workload: RequireWorkload,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, expecting = "an object", default)]
pub(super) struct RawServiceAccountToken {
    pub(super) issuers: Vec<RawCluster>,
    pub(super) service_accounts: Vec<String>,
    pub(super) revocations: Revocations,
}

#[derive(Debug, Deserialize)]
#[serde(
    rename_all = "camelCase",
    deny_unknown_fields,
    expecting = "an object of issuer, audiences and jwks"
)]
pub(super) struct RawCluster {
    pub(super) issuer: String,
    #[serde(default)]
    pub(super) audiences: Vec<String>,
    pub(super) jwks: RawJwks,
}

/// A JWK Set (RFC 7517 §5), as `/openid/v1/jwks` gives it. Members that are not known mean nothing there.
#[derive(Debug, Deserialize)]
#[serde(expecting = "a JWK Set: an object with keys")]
pub(super) struct RawJwks {
    pub(super) keys: Vec<RawJwk>,
}

/// A key of it (RFC 7518 §6).
#[derive(Debug, Deserialize)]
#[serde(expecting = "a JWK")]
pub(super) struct RawJwk {
    pub(super) kty: String,
    #[serde(default)]
    pub(super) kid: String,
    #[serde(default)]
    pub(super) alg: String,
    #[serde(default, rename = "use")]
    pub(super) usage: String,
    #[serde(default)]
    pub(super) n: String,
    #[serde(default)]
    pub(super) e: String,
    #[serde(default)]
    pub(super) crv: String,
    #[serde(default)]
    pub(super) x: String,
    #[serde(default)]
    pub(super) y: String,
}

#[derive(Debug)]
pub(super) enum Revocations {
    Text(String),
    Ids(Vec<String>),
}

impl Default for Revocations {
    fn default() -> Self {
        Self::Ids(Vec::new())
    }
}

/// By hand, so that an error inside the list keeps its path (`revocations[3]`).
impl<'de> Deserialize<'de> for Revocations {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextOrIds;
        impl<'de> Visitor<'de> for TextOrIds {
            type Value = Revocations;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a text of ids or a list of ids")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Revocations, E> {
                Ok(Revocations::Text(text.to_owned()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Revocations, A::Error> {
                let mut ids = Vec::new();
                while let Some(id) = seq.next_element()? {
                    ids.push(id);
                }
                Ok(Revocations::Ids(ids))
            }
        }
        deserializer.deserialize_any(TextOrIds)
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, expecting = "an object by proxy type")]
pub(super) struct RawProxies {
    #[serde(default)]
    pub(super) ingress: ZoneProxy,
    #[serde(default)]
    pub(super) egress: ZoneProxy,
    #[serde(default)]
    pub(super) dataplane: Dataplane,
}

/// With what a zone proxy may connect.
#[derive(Debug, Clone, Copy, Default)]
pub(super) enum ZoneProxy {
    #[default]
    ZoneToken,
    ServiceAccountToken,
    Deny,
}

/// With what a dataplane may connect.
#[derive(Debug, Clone, Copy, Default)]
pub(super) enum Dataplane {
    #[default]
    Deny,
    DpToken,
    ServiceAccountToken,
    Pass,
}

impl From<ZoneProxy> for Admission {
    fn from(word: ZoneProxy) -> Self {
        match word {
            ZoneProxy::ZoneToken => Self::Token(Kind::ZoneToken),
            ZoneProxy::ServiceAccountToken => Self::Token(Kind::ServiceAccountToken),
            ZoneProxy::Deny => Self::Deny,
        }
    }
}

impl From<Dataplane> for Admission {
    fn from(word: Dataplane) -> Self {
        match word {
            Dataplane::DpToken => Self::Token(Kind::DataplaneToken),
            Dataplane::ServiceAccountToken => Self::Token(Kind::ServiceAccountToken),
            Dataplane::Pass => Self::Pass,
            Dataplane::Deny => Self::Deny,
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, expecting = "an object")]
#[serde(default)]
pub(super) struct OpenStreams {
    pub(super) on_revoked: OnOpen,
    pub(super) on_key_removed: OnOpen,
    pub(super) on_expired: OnOpen,
    pub(super) on_enforce: OnOpen,
    #[serde(deserialize_with = "whole_number")]
    pub(super) cut_within_milliseconds: u64,
}

impl Default for OpenStreams {
    fn default() -> Self {
        Self {
            on_revoked: OnOpen::Cut,
            on_key_removed: OnOpen::Keep,
            on_expired: OnOpen::Keep,
            on_enforce: OnOpen::Keep,
            cut_within_milliseconds: 500,
        }
    }
}

/// A kid. kuma-cp's reader (sigs.k8s.io/yaml) turns a number into text where text is wanted, so `kid: 1` is a kid there
/// too. It changes fractions, large numbers and `yes`, so those must be in quotes.
fn kid<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    struct Kid;
    impl Visitor<'_> for Kid {
        type Value = String;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("text (put it in quotes) or a whole number")
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<String, E> {
            Ok(text.to_owned())
        }

        fn visit_u64<E: Error>(self, number: u64) -> Result<String, E> {
            Ok(number.to_string())
        }

        fn visit_i64<E: Error>(self, number: i64) -> Result<String, E> {
            Ok(number.to_string())
        }

        /// Every number in a `google.protobuf.Struct` is a double.
        #[allow(clippy::cast_possible_truncation)] // in range, checked here
        fn visit_f64<E: Error>(self, number: f64) -> Result<String, E> {
            match number.fract() == 0.0 && number.abs() < 9e15 {
                true => Ok((number as i64).to_string()),
                false => Err(E::invalid_value(Unexpected::Float(number), &self)),
            }
        }
    }
    deserializer.deserialize_any(Kid)
}

/// A setting that is one of these words. Every setting is read as a text first, by the same code. Derived code would be in
/// the module once for each setting.
macro_rules! words {
    ($setting:ty: $($word:literal => $value:ident),+) => {
        impl<'de> Deserialize<'de> for $setting {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                match String::deserialize(deserializer)?.as_str() {
                    $($word => Ok(Self::$value),)+
                    other => Err(D::Error::unknown_variant(other, &[$($word),+])),
                }
            }
        }
    };
}

words!(Profile: "dpServer" => DpServer, "globalKds" => GlobalKds);
words!(ZoneProxy:
    "zoneToken" => ZoneToken, "serviceAccountToken" => ServiceAccountToken, "deny" => Deny);
words!(Dataplane:
    "dpToken" => DpToken, "serviceAccountToken" => ServiceAccountToken, "deny" => Deny, "pass" => Pass);
words!(RequireWorkload: "never" => Never, "whenLabelled" => WhenLabelled);
words!(BootstrapPolicy: "verify" => Verify, "pass" => Pass, "deny" => Deny);
words!(Mode: "enforce" => Enforce, "shadow" => Shadow);
words!(OnOpen: "cut" => Cut, "keep" => Keep);
words!(ErrorDetail: "reason" => Reason, "none" => None);

/// An optional field. A field that is set must have a value: `null` is not one.
fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

fn given_whole_number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    whole_number(deserializer).map(Some)
}

/// A whole number, also as a float: every number in a `google.protobuf.Struct` is a double, and
/// hosts differ in how they print it.
fn whole_number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let number = f64::deserialize(deserializer)?;
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // in range, checked here
    match number.fract() == 0.0 && (0.0..9e15).contains(&number) {
        true => Ok(number as u64),
        false => Err(D::Error::invalid_value(Unexpected::Float(number), &"a whole number")),
    }
}
