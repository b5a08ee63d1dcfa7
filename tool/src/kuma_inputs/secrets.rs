//! The secrets of a control plane that zone tokens depend on.
//!
//! In: what `kumactl get global-secrets -o yaml` or `-o json` prints, the API's own answer, one
//! GlobalSecret, or Kubernetes Secrets, alone, in a list or one after the other. Out: public keys by kid,
//! and the text of the revocations. A signing key is reduced to its public half as it is read.
//!
//! A key that Kuma cannot use is left out and named: tokens under its kid are refused by the control
//! plane as well. A revocation list that cannot be read is an error: without it the gate would let in
//! what is revoked. What else a control plane keeps secret is not looked at.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use zeroize::Zeroizing;
use zonegate::gate::Quoted;
use zonegate::token::{DerKind, KeyError, PublicKey};
use zonegate_issuer::{SigningKey, SigningKeyError};

use crate::readers::{Document, FileKind, SyntaxError};

/// What zone tokens depend on.
#[derive(Debug, Default)]
pub struct Secrets {
    keys: BTreeMap<String, (PublicKey, String)>,
    revocations: Option<String>,
    skipped: Vec<Skipped>,
    others: usize,
}

/// A secret with the name of a key or of revocations, or one like it, that Kuma does not use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// The secret's name.
    pub secret: String,
    /// What is wrong with it.
    pub why: Unusable,
}

/// Why Kuma does not use a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unusable {
    /// A kid of `0` is looked up under the name without a serial.
    NeverLookedUp,
    /// It is a secret of a mesh, or of another kind; of which type.
    NotGlobal(String),
    /// Its name is like this one, and not it.
    OtherName(&'static str),
    /// No data in it.
    NoData,
    /// The data are not base64.
    NotBase64,
    /// The data are no signing key.
    SigningKey(SigningKeyError),
    /// The data are no public key.
    PublicKey(KeyError),
}

/// Why secrets cannot be taken at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretsError {
    /// Not YAML, not JSON.
    Syntax(SyntaxError),
    /// A document, or an item of a list, is no resource; where.
    NotAResource(String),
    /// It is another file that operators have.
    OtherKind(FileKind),
    /// A list from which something is missing.
    Incomplete {
        /// How many items it has.
        there: usize,
        /// How many it says there are; `None` where it only says that there are more.
        total: Option<u64>,
    },
    /// The revocation list cannot be read; why.
    Revocations(&'static str),
    /// Two secrets of one name with different contents.
    TwoRevocations,
    /// Two secrets hold different keys for one kid.
    TwoKeys {
        /// The kid.
        kid: String,
        /// The names of both secrets.
        secrets: [String; 2],
    },
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NeverLookedUp => {
                f.write_str("Kuma looks the kid 0 up under the name without a serial")
            }
            Self::NotGlobal(kind) if kind.is_empty() => f.write_str("it is not a GlobalSecret"),
            Self::NotGlobal(kind) => write!(
                f,
                "it is of type {}, and Kuma reads it from a GlobalSecret alone (on Kubernetes: type \
                 {KUBERNETES_TYPE})",
                Quoted(kind)
            ),
            Self::OtherName(name) => write!(f, "Kuma reads {name}, and no secret of another name"),
            Self::NoData => f.write_str("it holds no data"),
            Self::NotBase64 => f.write_str("its data are not base64"),
            Self::SigningKey(error) => error.fmt(f),
            // No reason to crash, from a secret.
            Self::PublicKey(KeyError::NotPem(what)) => what.fmt(f),
            Self::PublicKey(error) => error.fmt(f),
        }
    }
}

impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "secret {} is left out: {}", self.secret, self.why)
    }
}

impl fmt::Display for SecretsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Syntax(error) => error.fmt(f),
            Self::NotAResource(place) => {
                write!(
                    f,
                    "{place} is no resource: it has neither a type (Kuma) nor a kind (Kubernetes)"
                )
            }
            Self::OtherKind(kind) => kind.fmt(f),
            Self::Incomplete { there, total: Some(total) } => write!(
                f,
                "a part of a list: {there} of {total} items; a missing revocation list would let \
                 revoked tokens in (kumactl: leave out --size and --offset)"
            ),
            Self::Incomplete { there, total: None } => {
                write!(f, "a part of a list: {there} items, and it says that there are more")
            }
            Self::Revocations(why) => write!(f, "secret {REVOCATIONS}: {why}"),
            Self::TwoRevocations => {
                write!(f, "secret {REVOCATIONS} is there twice, with different contents")
            }
            Self::TwoKeys { kid, secrets: [first, second] } => {
                write!(f, "kid {kid:?}: secrets {first} and {second} hold different keys")
            }
        }
    }
}

impl std::error::Error for SecretsError {}

/// Kuma: `pkg/core/resources/apis/system/constants.go`.
const SIGNING_KEY: &str = "zone-token-signing-key";
const PUBLIC_KEY: &str = "zone-token-signing-public-key";
const REVOCATIONS: &str = "zone-token-revocations";
/// Under this kid a token means the secret without a serial (Kuma: `SigningKeyResourceKey`).
const NO_SERIAL: &str = "0";
/// Of a Kubernetes Secret that Kuma reads as a GlobalSecret.
const KUBERNETES_TYPE: &str = "system.kuma.io/global-secret";

impl Secrets {
    /// Reads `text`, of which the caller wipes their own copy.
    ///
    /// # Errors
    /// See [`SecretsError`].
    pub fn parse(text: &str) -> Result<Self, SecretsError> {
        let kind = FileKind::of_text(text.as_bytes());
        let documents = Document::all(text)
            .map_err(|error| kind.map_or(SecretsError::Syntax(error), SecretsError::OtherKind))?;
        let mut secrets = Self::default();
        let several = documents.len() > 1;
        for (index, document) in documents.iter().enumerate() {
            let place =
                if several { format!("document {}", index.saturating_add(1)) } else { "it".into() };
            secrets.read(document, &place).map_err(|error| match (error, kind) {
                (SecretsError::NotAResource(_), Some(kind)) => SecretsError::OtherKind(kind),
                (error, _) => error,
            })?;
        }
        Ok(secrets)
    }

    /// The public keys in the order of their kids, each with the name of its secret.
    pub fn keys(&self) -> impl Iterator<Item = (&str, &PublicKey, &str)> {
        self.keys.iter().map(|(kid, (key, secret))| (kid.as_str(), key, secret.as_str()))
    }

    /// The text of the revocations, where there is such a secret.
    pub fn revocations(&self) -> Option<&str> {
        self.revocations.as_deref()
    }

    /// The keys that were left out.
    pub fn skipped(&self) -> &[Skipped] {
        &self.skipped
    }

    /// How many other resources were there.
    pub fn others(&self) -> usize {
        self.others
    }

    fn read(&mut self, value: &Value, place: &str) -> Result<(), SecretsError> {
        if let Some(items) = value.get("items").and_then(Value::as_array) {
            complete(value, items.len())?;
            return items
                .iter()
                .enumerate()
                .try_for_each(|(index, item)| self.read_one(item, &format!("items[{index}]")));
        }
        // The API lists nothing as null.
        match value.get("items") {
            Some(Value::Null) => Ok(()),
            _ => self.read_one(value, place),
        }
    }

    fn read_one(&mut self, value: &Value, place: &str) -> Result<(), SecretsError> {
        let other = FileKind::of(value).filter(|kind| *kind != FileKind::Secrets);
        let secret = match (other, Raw::of(value)) {
            (Some(kind), _) => return Err(SecretsError::OtherKind(kind)),
            (None, Some(secret)) => secret,
            (None, None) => return Err(SecretsError::NotAResource(place.to_owned())),
        };
        let name = secret.name;
        if name == REVOCATIONS {
            if secret.is_global {
                return self.read_revocations(&secret);
            }
            self.skip(name, Unusable::NotGlobal(secret.kind.to_owned()));
            return Ok(());
        }
        let (kid, is_private) = match (kid(name, SIGNING_KEY), kid(name, PUBLIC_KEY)) {
            (Some(kid), _) => (kid, true),
            (_, Some(kid)) => (kid, false),
            _ => {
                match meant(name) {
                    Some(meant) => self.skip(name, Unusable::OtherName(meant)),
                    None => self.others = self.others.saturating_add(1),
                }
                return Ok(());
            }
        };
        match secret.key(kid, is_private) {
            Ok(key) => self.insert(kid_of(kid), key, name),
            Err(why) => {
                self.skip(name, why);
                Ok(())
            }
        }
    }

    /// Names it, once.
    fn skip(&mut self, secret: &str, why: Unusable) {
        let skipped = Skipped { secret: secret.to_owned(), why };
        if !self.skipped.contains(&skipped) {
            self.skipped.push(skipped);
        }
    }

    fn read_revocations(&mut self, secret: &Raw<'_>) -> Result<(), SecretsError> {
        let bytes = match secret.data() {
            Ok(bytes) => bytes,
            Err(Unusable::NoData) => Zeroizing::default(),
            Err(_) => return Err(SecretsError::Revocations("its data are not base64")),
        };
        let text =
            std::str::from_utf8(&bytes).map_err(|_| SecretsError::Revocations("it is not text"))?;
        match &self.revocations {
            Some(before) if before != text => Err(SecretsError::TwoRevocations),
            _ => {
                self.revocations = Some(text.to_owned());
                Ok(())
            }
        }
    }

    /// A global control plane has the private and a zone's the public half of one key.
    fn insert(&mut self, kid: &str, key: PublicKey, secret: &str) -> Result<(), SecretsError> {
        match self.keys.get(kid) {
            Some((other, first)) if *other != key => Err(SecretsError::TwoKeys {
                kid: kid.to_owned(),
                secrets: [first.clone(), secret.to_owned()],
            }),
            Some(_) => Ok(()),
            None => {
                self.keys.insert(kid.to_owned(), (key, secret.to_owned()));
                Ok(())
            }
        }
    }
}

/// A list that was cut into pages says so: kumactl by `total`, Kuma's API and Kubernetes' by a way to
/// the rest.
fn complete(list: &Value, there: usize) -> Result<(), SecretsError> {
    let total = list.get("total").and_then(Value::as_u64);
    if total.is_some_and(|total| u64::try_from(there).is_ok_and(|there| there < total)) {
        return Err(SecretsError::Incomplete { there, total });
    }
    let more = [list.get("next"), list.pointer("/metadata/continue")];
    match more.into_iter().flatten().any(|more| more.as_str().is_some_and(|text| !text.is_empty()))
    {
        true => Err(SecretsError::Incomplete { there, total: None }),
        false => Ok(()),
    }
}

/// What stands behind `prefix-`, or nothing where the name is the prefix alone.
fn kid<'a>(name: &'a str, prefix: &str) -> Option<Option<&'a str>> {
    match name.strip_prefix(prefix)? {
        "" => Some(None),
        rest => rest.strip_prefix('-').map(Some),
    }
}

/// The name that a name like it is meant to be. Other tokens have secrets of their own
/// (`dataplane-token-…`, `user-token-…`).
fn meant(name: &str) -> Option<&'static str> {
    let name = name.to_ascii_lowercase().replace(['_', '.', ' '], "-");
    if !name.starts_with("zone") && !name.starts_with("token") && !name.starts_with("revo") {
        return None;
    }
    match () {
        () if name.contains("revo") => Some(REVOCATIONS),
        () if name.contains("public-key") => Some(PUBLIC_KEY),
        () if name.contains("signing-key") => Some(SIGNING_KEY),
        () => None,
    }
}

fn kid_of(serial: Option<&str>) -> &str {
    serial.unwrap_or(NO_SERIAL)
}

/// A resource that may be a secret.
struct Raw<'a> {
    name: &'a str,
    /// Its type, where that is not the one of a global secret.
    kind: &'a str,
    is_global: bool,
    /// Base64, or plain where a Kubernetes manifest says `stringData`.
    data: Option<&'a Value>,
    is_plain: bool,
}

impl<'a> Raw<'a> {
    /// `None` for what is no resource at all.
    fn of(value: &'a Value) -> Option<Self> {
        let text = |pointer: &str| value.pointer(pointer).and_then(Value::as_str);
        if let Some(kind) = text("/kind") {
            let plain = value.pointer("/stringData/value");
            return Some(Self {
                name: text("/metadata/name").unwrap_or_default(),
                kind: text("/type").unwrap_or(kind),
                is_global: kind == "Secret"
                    && text("/type").is_none_or(|secret_type| secret_type == KUBERNETES_TYPE),
                // As the API server does: stringData over data.
                data: plain.or_else(|| value.pointer("/data/value")),
                is_plain: plain.is_some(),
            });
        }
        let kind = text("/type")?;
        Some(Self {
            name: text("/name").unwrap_or_default(),
            kind,
            is_global: kind == "GlobalSecret",
            data: value.get("data"),
            is_plain: false,
        })
    }

    /// The public key of this secret, as a control plane would read it.
    fn key(&self, serial: Option<&str>, is_private: bool) -> Result<PublicKey, Unusable> {
        if !self.is_global {
            return Err(Unusable::NotGlobal(self.kind.to_owned()));
        }
        if serial == Some(NO_SERIAL) || serial == Some("") {
            return Err(Unusable::NeverLookedUp);
        }
        let bytes = self.data()?;
        match is_private {
            true => SigningKey::from_secret(&bytes)
                .map(|key| key.public_key())
                .map_err(Unusable::SigningKey),
            false => public_key(&bytes).map_err(Unusable::PublicKey),
        }
    }

    fn data(&self) -> Result<Zeroizing<Vec<u8>>, Unusable> {
        let text = match self.data {
            None | Some(Value::Null) => return Err(Unusable::NoData),
            Some(value) => value.as_str().ok_or(Unusable::NotBase64)?,
        };
        if self.is_plain {
            return Ok(Zeroizing::new(text.as_bytes().to_vec()));
        }
        // Go's decoder skips line ends.
        let mut packed = Zeroizing::new(String::with_capacity(text.len()));
        packed.extend(text.split(['\r', '\n']));
        let bytes = STANDARD.decode(packed.as_bytes()).map_err(|_| Unusable::NotBase64)?;
        if bytes.is_empty() { Err(Unusable::NoData) } else { Ok(Zeroizing::new(bytes)) }
    }
}

/// PEM, or PKCS#1 DER (Kuma: `keyBytesToRsaPublicKey`).
fn public_key(bytes: &[u8]) -> Result<PublicKey, KeyError> {
    match DerKind::of(bytes) {
        Some(DerKind::Pkcs1Public) => PublicKey::from_pkcs1_der(bytes),
        _ => PublicKey::from_pem_bytes(bytes),
    }
}

#[cfg(test)]
mod tests;
