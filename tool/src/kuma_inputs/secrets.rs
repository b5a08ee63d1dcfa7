//! The secrets of a control plane that zone tokens and dataplane tokens depend on.
//!
//! In: the output of `kumactl get global-secrets -o yaml` and `kumactl get secrets -o yaml` (or `-o json`), the API's
//! own response, one secret, or Kubernetes Secrets: alone, in a list or as several documents. Out: public keys by kid,
//! and the text of the revocations; the same for each mesh. A signing key is reduced to its public key as it is read.
//!
//! A key that Kuma cannot use is left out and named: the control plane refuses tokens under its kid, too. A revocation
//! list that cannot be read is an error, because without the list the gate would allow revoked tokens. Other secrets of
//! the control plane are ignored.

mod error;
mod names;
mod raw;

use std::collections::BTreeMap;

use serde_json::Value;
use zeroize::Zeroizing;
use zonegate::token::PublicKey;

pub use error::{SecretsError, Skipped, Unusable};

use crate::readers::{Document, FileKind};
use names::{kid, kid_of, meant};
use raw::Raw;

/// The keys and revocations of zone tokens and dataplane tokens.
#[derive(Debug, Default)]
pub struct Secrets {
    keys: BTreeMap<String, (PublicKey, String)>,
    revocations: Option<String>,
    /// By mesh and kid.
    mesh_keys: BTreeMap<(String, String), (PublicKey, String)>,
    /// By mesh, and whether it is the global secret or the secret of the mesh.
    mesh_revocations: BTreeMap<(String, bool), String>,
    skipped: Vec<Skipped>,
    others: usize,
}

/// Kuma: `pkg/core/resources/apis/system/constants.go`.
const SIGNING_KEY: &str = "zone-token-signing-key";
const PUBLIC_KEY: &str = "zone-token-signing-public-key";
const REVOCATIONS: &str = "zone-token-revocations";
/// Kuma: `pkg/tokens/builtin/issuer`.
const MESH_SIGNING_KEY: &str = "dataplane-token-signing-key-";
const MESH_REVOCATIONS: &str = "dataplane-token-revocations-";
/// A token with this kid means the secret without a serial (Kuma: `SigningKeyResourceKey`).
const NO_SERIAL: &str = "0";
/// The type of a Kubernetes Secret that Kuma reads as a GlobalSecret.
const KUBERNETES_TYPE: &str = "system.kuma.io/global-secret";
/// The type of a Kubernetes Secret that Kuma reads as a secret of a mesh.
const KUBERNETES_MESH_TYPE: &str = "system.kuma.io/secret";
/// The mesh of a secret that names none.
const DEFAULT_MESH: &str = "default";

impl Secrets {
    /// Reads `text`. The caller wipes its own copy.
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

    /// The text of the revocations, if there is such a secret.
    pub fn revocations(&self) -> Option<&str> {
        self.revocations.as_deref()
    }

    /// The public keys of dataplane tokens, by mesh and kid, each with the name of its secret.
    pub fn mesh_keys(&self) -> impl Iterator<Item = (&str, &str, &PublicKey, &str)> {
        self.mesh_keys
            .iter()
            .map(|((mesh, kid), (key, secret))| (mesh.as_str(), kid.as_str(), key, secret.as_str()))
    }

    /// The texts of the revocations of dataplane tokens, by mesh. A mesh can have two: Kuma reads the global secret
    /// since 2.10, and the secret of the mesh before. An id in either of them is revoked.
    pub fn mesh_revocations(&self) -> impl Iterator<Item = (&str, &str)> {
        self.mesh_revocations.iter().map(|((mesh, _), text)| (mesh.as_str(), text.as_str()))
    }

    /// Whether there is nothing about tokens.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
            && self.revocations.is_none()
            && self.mesh_keys.is_empty()
            && self.mesh_revocations.is_empty()
    }

    /// Adds the secrets of another response of the same control plane.
    ///
    /// # Errors
    /// Both have a secret with the same name and different contents.
    pub fn and(mut self, other: Self) -> Result<Self, SecretsError> {
        for (kid, (key, secret)) in other.keys {
            self.insert(&kid, key, &secret)?;
        }
        for ((mesh, kid), (key, secret)) in other.mesh_keys {
            self.insert_of_mesh(&mesh, &kid, key, &secret)?;
        }
        self.revocations = self.revocations.or(other.revocations);
        self.mesh_revocations.extend(other.mesh_revocations);
        self.skipped.extend(other.skipped);
        self.others = self.others.saturating_add(other.others);
        Ok(self)
    }

    /// The keys that were left out.
    pub fn skipped(&self) -> &[Skipped] {
        &self.skipped
    }

    /// The number of other resources.
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
        // The API returns `null` for an empty list.
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
        if let Some(mesh) = name.strip_prefix(MESH_REVOCATIONS) {
            return self.read_mesh_revocations(&secret, mesh);
        }
        if let Some(rest) = name.strip_prefix(MESH_SIGNING_KEY) {
            return self.read_mesh_key(&secret, rest);
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

    /// Notes the secret, once.
    fn skip(&mut self, secret: &str, why: Unusable) {
        let skipped = Skipped { secret: secret.to_owned(), why };
        if !self.skipped.contains(&skipped) {
            self.skipped.push(skipped);
        }
    }

    fn read_revocations(&mut self, secret: &Raw<'_>) -> Result<(), SecretsError> {
        let text = revocation_text(secret)?;
        match &self.revocations {
            Some(before) if *before != text => {
                Err(SecretsError::TwoRevocations(secret.name.to_owned()))
            }
            _ => {
                self.revocations = Some(text);
                Ok(())
            }
        }
    }

    /// The secret must be global, or of the mesh that its name ends with. Kuma does not read such a secret of another
    /// mesh.
    fn read_mesh_revocations(&mut self, secret: &Raw<'_>, mesh: &str) -> Result<(), SecretsError> {
        if !secret.is_global && secret.mesh != Some(mesh) {
            self.skip(secret.name, Unusable::NotOfMesh(secret.kind.to_owned()));
            return Ok(());
        }
        let text = revocation_text(secret)?;
        match self.mesh_revocations.get(&(mesh.to_owned(), secret.is_global)) {
            Some(before) if *before != text => {
                Err(SecretsError::TwoRevocations(secret.name.to_owned()))
            }
            _ => {
                self.mesh_revocations.insert((mesh.to_owned(), secret.is_global), text);
                Ok(())
            }
        }
    }

    /// `rest` is the mesh and then the kid. The secret's own mesh says where the mesh ends.
    fn read_mesh_key(&mut self, secret: &Raw<'_>, rest: &str) -> Result<(), SecretsError> {
        let kid = kid(rest, secret.mesh.unwrap_or(rest));
        let (Some(mesh), Some(kid)) = (secret.mesh, kid) else {
            self.skip(secret.name, Unusable::NotOfMesh(secret.kind.to_owned()));
            return Ok(());
        };
        match secret.mesh_key(kid) {
            Ok(key) => self.insert_of_mesh(mesh, kid_of(kid), key, secret.name),
            Err(why) => {
                self.skip(secret.name, why);
                Ok(())
            }
        }
    }

    fn insert_of_mesh(
        &mut self,
        mesh: &str,
        kid: &str,
        key: PublicKey,
        secret: &str,
    ) -> Result<(), SecretsError> {
        let place = (mesh.to_owned(), kid.to_owned());
        match self.mesh_keys.get(&place) {
            Some((other, first)) if *other != key => Err(SecretsError::TwoKeys {
                kid: kid.to_owned(),
                secrets: [first.clone(), secret.to_owned()],
            }),
            Some(_) => Ok(()),
            None => {
                self.mesh_keys.insert(place, (key, secret.to_owned()));
                Ok(())
            }
        }
    }

    /// A key may occur twice: a global control plane has the private key, and a zone's control plane its public key.
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

fn revocation_text(secret: &Raw<'_>) -> Result<String, SecretsError> {
    let error = |why| SecretsError::Revocations(secret.name.to_owned(), why);
    let bytes = match secret.data() {
        Ok(bytes) => bytes,
        Err(Unusable::NoData) => Zeroizing::default(),
        Err(_) => return Err(error("its data are not base64")),
    };
    let text = std::str::from_utf8(&bytes).map_err(|_| error("it is not text"))?;
    // It may be a private key under the wrong name, and this text is written into a policy.
    if text.contains("-----BEGIN ") {
        return Err(error("it holds a PEM block, and no ids"));
    }
    Ok(text.to_owned())
}

/// Whether a list is complete. A list that was cut into pages says so: kumactl by `total`, the APIs of Kuma and
/// Kubernetes by a reference to the next page.
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

#[cfg(test)]
mod tests;
