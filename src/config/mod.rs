//! The plugin configuration.
//!
//! In: JSON, or a `google.protobuf.Struct`. Out: a [`Policy`] and warnings, or one error that names its
//! path (`publicKeys[2].key: …`). A field that is unknown or cannot be honoured is an error: there
//! is no configuration that is half in force.

mod issuers;
mod profile;
mod raw;
mod revocation_rules;
mod wire;
mod zone;

use std::fmt;
use std::str::Utf8Error;
use std::time::Duration;

use crate::credential::Kind;
use crate::gate::{OpenStreams, Policy};
use crate::revocation::{OddKind, RevocationList};
use crate::text::Quoted;
use crate::token::{RSA_CRATE, SignatureBackend};
use issuers::RawIssuers;
use profile::Fields;
use raw::{RawConfig, Revocations};
use wire::{EncodedRevocations, HostConfig};
pub use zone::{ZoneDoubt, ZoneError, zone};

/// A configuration that can be honoured in full.
#[derive(Debug)]
pub struct Config {
    /// What it allows.
    pub policy: Policy,
    /// What its author may not have meant.
    pub warnings: Vec<Warning>,
    /// Makes two pushes different. No judgement depends on it.
    pub generation: String,
}

/// What is wrong with a configuration, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    path: String,
    problem: String,
}

/// What the author of a configuration may not have meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Warning {
    /// An empty entry in the revocation list at this path revokes every token without an ID, as in Kuma.
    EmptyRevocation(String),
    /// Entries in the revocation list at this path that are not ids of tokens.
    OddRevocations(String, OddKind),
    /// A zone at this path that may not be meant.
    OddZone(String, String, ZoneDoubt),
    /// Keys of a kind of token with which no type of proxy connects.
    UnusedKeys(Kind),
    /// A rule at this path that ends before the time that it names.
    RuleEndsEarly(String),
    /// A key at this path whose algorithm no token may have, and which; it is left out.
    OtherAlgorithm(String, String),
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EmptyRevocation(path) => write!(
                f,
                "{path}: an empty entry (a comma too many?) revokes every token without an ID"
            ),
            Self::OddRevocations(path, odd) => write!(f, "{path}: {odd}"),
            Self::UnusedKeys(kind) => {
                let (path, word) = (issuers::keys_path(*kind), kind.as_str());
                write!(f, "{path}: no proxy type connects with {word}, so these keys let nobody in")
            }
            Self::OtherAlgorithm(path, what) => write!(
                f,
                "{path}: a key for {}, which is left out: tokens must be signed with RS256 or ES256",
                Quoted(what)
            ),
            Self::RuleEndsEarly(path) => {
                write!(f, "{path}: until is before issuedBefore, so the rule has ended by then")
            }
            Self::OddZone(path, zone, doubt) => write!(f, "{path}: {}: {doubt}", Quoted(zone)),
        }
    }
}

impl ConfigError {
    fn new(path: impl Into<String>, problem: impl fmt::Display) -> Self {
        Self { path: path.into(), problem: problem.to_string() }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.path.as_str() {
            "" | "." => f.write_str(&self.problem),
            path => write!(f, "{path}: {}", self.problem),
        }
    }
}

impl std::error::Error for ConfigError {}

impl Config {
    /// Reads what a host hands over: a `google.protobuf.Struct`, or JSON.
    ///
    /// # Errors
    /// The first thing in it that cannot be honoured.
    pub fn from_host(
        bytes: Vec<u8>,
        backend: &'static SignatureBackend,
    ) -> Result<Self, ConfigError> {
        let HostConfig { json, revocations } = HostConfig::read(bytes);
        let raw = parse(&json)?;
        let revocations = match revocations {
            Some(EncodedRevocations::Text(text)) => {
                RevocationList::from_text(&text).map_err(|error| not_utf8("revocations", error))?
            }
            Some(EncodedRevocations::Ids(ids)) => {
                let texts = ids.iter().map(utf8).collect::<Result<Vec<_>, _>>()?;
                RevocationList::from_ids(texts)
            }
            None => revocation_list("revocations", &raw.revocations)?,
        };
        Self::from_raw(raw, revocations, backend)
    }

    /// Reads `json`.
    ///
    /// # Errors
    /// The first thing in it that cannot be honoured.
    pub fn from_json(json: &[u8]) -> Result<Self, ConfigError> {
        let raw = parse(json)?;
        let revocations = revocation_list("revocations", &raw.revocations)?;
        Self::from_raw(raw, revocations, &RSA_CRATE)
    }

    fn from_raw(
        raw: RawConfig,
        revocations: RevocationList,
        backend: &'static SignatureBackend,
    ) -> Result<Self, ConfigError> {
        let RawConfig {
            profile,
            zone,
            public_keys,
            use_secrets,
            revocations: _, // read already
            revocation_rules,
            dp_token,
            service_account_token,
            proxies,
            bootstrap,
            count_zones,
            require_expiration,
            leeway_seconds,
            max_token_bytes,
            first_message_seconds,
            hold_headers,
            mode,
            open_streams,
            error_detail,
            generation,
        } = raw;
        let raw::OpenStreams {
            on_revoked,
            on_key_removed,
            on_expired,
            on_enforce,
            cut_within_milliseconds,
        } = open_streams;
        if use_secrets {
            return Err(ConfigError::new("useSecrets", USE_SECRETS));
        }
        let profile_fields =
            Fields { zone, proxies, bootstrap, first_message_seconds, hold_headers, count_zones };
        let profile = profile_fields.of(profile)?;
        let issuers = RawIssuers { public_keys, revocations, dp_token, service_account_token };
        let (issuers, mut warnings) = issuers.read(backend)?;
        warnings.extend(issuers::judge_use(&profile, &issuers)?);
        warnings.extend(issuers::odd_revocations(&issuers));
        let (revocation_rules, odd_rules) = revocation_rules::read(revocation_rules)?;
        warnings.extend(odd_rules);
        let policy = Policy {
            profile,
            issuers,
            revocation_rules,
            require_expiration,
            leeway: Duration::from_secs(within("leewaySeconds", leeway_seconds, 0, 300)?),
            max_token_bytes: max_token_length(max_token_bytes)?,
            mode,
            open_streams: OpenStreams { on_revoked, on_key_removed, on_expired, on_enforce },
            cut_within: Duration::from_millis(within(
                "openStreams.cutWithinMilliseconds",
                cut_within_milliseconds,
                0,
                60_000,
            )?),
            error_detail,
        };
        warnings.extend(odd_zones(&policy));
        Ok(Self { policy, warnings, generation })
    }
}

/// protobuf texts are UTF-8, but nobody has looked yet.
fn utf8(text: &[u8]) -> Result<&str, ConfigError> {
    std::str::from_utf8(text).map_err(|error| not_utf8("revocations", error))
}

fn not_utf8(path: &str, error: Utf8Error) -> ConfigError {
    ConfigError::new(path, error)
}

fn parse(json: &[u8]) -> Result<RawConfig, ConfigError> {
    match json.trim_ascii_start().first() {
        None => return Err(ConfigError::new("", "no configuration")),
        Some(b'{') => {}
        Some(_) => return Err(ConfigError::new("", "the configuration is not a JSON object")),
    }
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    let raw = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let path = error.path().to_string();
        ConfigError::new(path, plain(&error.into_inner().to_string()))
    })?;
    deserializer.end().map_err(|error| ConfigError::new("", error))?;
    Ok(raw)
}

const USE_SECRETS: &str = "the gate has no access to the control plane's secrets; \
                           give its public keys in publicKeys and set useSecrets to false";

fn odd_zones(policy: &Policy) -> impl Iterator<Item = Warning> + use<'_> {
    let own = policy.zone().map(|name| ("zone".to_owned(), name));
    let counted = policy.counted_zones().map(|name| ("countZones".to_owned(), &**name));
    own.into_iter().chain(counted).filter_map(|(path, name)| {
        let doubt = zone(name).ok().flatten()?;
        Some(Warning::OddZone(path, name.to_owned(), doubt))
    })
}

fn revocation_list(path: &str, raw: &Revocations) -> Result<RevocationList, ConfigError> {
    match raw {
        Revocations::Text(text) => {
            RevocationList::from_text(text.as_bytes()).map_err(|error| not_utf8(path, error))
        }
        Revocations::Ids(ids) => Ok(RevocationList::from_ids(ids.iter().map(String::as_str))),
    }
}

/// A token shorter than 512 bytes cannot hold a 2048-bit signature and its claims; beyond 64 KiB
/// Envoy's own header limit ends it.
fn max_token_length(value: u64) -> Result<usize, ConfigError> {
    let value = within("maxTokenBytes", value, 512, 65_536)?;
    usize::try_from(value).map_err(|error| ConfigError::new("maxTokenBytes", error))
}

fn within(path: &str, value: u64, least: u64, most: u64) -> Result<u64, ConfigError> {
    match (least..=most).contains(&value) {
        true => Ok(value),
        false => {
            Err(ConfigError::new(path, format_args!("{value}: must be from {least} to {most}")))
        }
    }
}

/// serde_json's position in a text that Envoy made helps nobody.
fn plain(message: &str) -> &str {
    message.split(" at line ").next().unwrap_or(message)
}

#[cfg(test)]
mod tests;
