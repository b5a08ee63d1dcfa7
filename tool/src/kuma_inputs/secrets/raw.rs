//! One secret as Kuma or Kubernetes prints it.
//!
//! In: a resource. Out: its name, whether Kuma reads it, and its contents, as a control plane would read them. The
//! caller decides which names matter.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use zeroize::Zeroizing;
use zonegate::token::{DerKind, KeyError, PublicKey};
use zonegate_issuer::SigningKey;

use super::{DEFAULT_MESH, KUBERNETES_MESH_TYPE, KUBERNETES_TYPE, NO_SERIAL, Unusable};

/// A resource that may be a secret.
pub(super) struct Raw<'a> {
    pub(super) name: &'a str,
    /// Its type, if it is not the type of a global secret.
    pub(super) kind: &'a str,
    pub(super) is_global: bool,
    /// The mesh to which it belongs, if it is a secret of a mesh.
    pub(super) mesh: Option<&'a str>,
    /// Base64, or plain text if it is `stringData` of a Kubernetes manifest.
    data: Option<&'a Value>,
    is_plain: bool,
}

impl<'a> Raw<'a> {
    /// `None` if it is not a resource.
    pub(super) fn of(value: &'a Value) -> Option<Self> {
        let text = |pointer: &str| value.pointer(pointer).and_then(Value::as_str);
        if let Some(kind) = text("/kind") {
            let plain = value.pointer("/stringData/value");
            return Some(Self {
                name: text("/metadata/name").unwrap_or_default(),
                kind: text("/type").unwrap_or(kind),
                mesh: (kind == "Secret" && text("/type") == Some(KUBERNETES_MESH_TYPE))
                    .then(|| text("/metadata/labels/kuma.io~1mesh").unwrap_or(DEFAULT_MESH)),
                is_global: kind == "Secret"
                    && text("/type").is_none_or(|secret_type| secret_type == KUBERNETES_TYPE),
                // As in the API server, stringData overrides data.
                data: plain.or_else(|| value.pointer("/data/value")),
                is_plain: plain.is_some(),
            });
        }
        let kind = text("/type")?;
        Some(Self {
            name: text("/name").unwrap_or_default(),
            kind,
            is_global: kind == "GlobalSecret",
            mesh: (kind == "Secret").then(|| text("/mesh").unwrap_or(DEFAULT_MESH)),
            data: value.get("data"),
            is_plain: false,
        })
    }

    /// The public key of this secret of a mesh, as a control plane would read it.
    pub(super) fn mesh_key(&self, serial: Option<&str>) -> Result<PublicKey, Unusable> {
        match self.mesh {
            None => Err(Unusable::NotOfMesh(self.kind.to_owned())),
            Some(_) => self.key_of(serial, true),
        }
    }

    /// The public key of this global secret, as a control plane would read it.
    pub(super) fn key(
        &self,
        serial: Option<&str>,
        is_private: bool,
    ) -> Result<PublicKey, Unusable> {
        if !self.is_global {
            return Err(Unusable::NotGlobal(self.kind.to_owned()));
        }
        self.key_of(serial, is_private)
    }

    fn key_of(&self, serial: Option<&str>, is_private: bool) -> Result<PublicKey, Unusable> {
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

    pub(super) fn data(&self) -> Result<Zeroizing<Vec<u8>>, Unusable> {
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
