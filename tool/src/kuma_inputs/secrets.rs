//! The secrets of a control plane that zone tokens depend on.
//!
//! In: what `kumactl get global-secrets -o yaml` or `-o json` prints, the API's own answer, one
//! GlobalSecret, or Kubernetes Secrets, alone, in a list or one after the other. Out: public keys by kid,
//! and the text of the revocations. A signing key is reduced to its public half as it is read.
//!
//! A key that Kuma cannot use is left out and named: tokens under its kid are refused by the control
//! plane as well. A revocation list that cannot be read is an error: without it the gate would let in
//! what is revoked. What else a control plane keeps secret is not looked at.

mod error;
mod raw;

use std::collections::BTreeMap;

use serde_json::Value;
use zeroize::Zeroizing;
use zonegate::token::PublicKey;

pub use error::{SecretsError, Skipped, Unusable};

use crate::readers::{Document, FileKind};
use raw::Raw;

/// What zone tokens depend on.
#[derive(Debug, Default)]
pub struct Secrets {
    keys: BTreeMap<String, (PublicKey, String)>,
    revocations: Option<String>,
    skipped: Vec<Skipped>,
    others: usize,
}

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

#[cfg(test)]
mod tests;
