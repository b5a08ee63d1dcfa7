//! Why one secret cannot be used, or all of them.

use std::fmt;

use zonegate::text::Quoted;
use zonegate::token::KeyError;
use zonegate_issuer::SigningKeyError;

use super::{KUBERNETES_MESH_TYPE, KUBERNETES_TYPE};
use crate::readers::{FileKind, SyntaxError};

/// A secret that Kuma does not use, although it has the name of a key or of revocations, or a similar name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// The secret's name.
    pub secret: String,
    /// Why Kuma does not use it.
    pub why: Unusable,
}

/// Why Kuma does not use a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unusable {
    /// A kid of `0` means the name without a serial.
    NeverLookedUp,
    /// It is a secret of a mesh, or of another kind. Its type.
    NotGlobal(String),
    /// It is not a secret of a mesh. Its type.
    NotOfMesh(String),
    /// Its name is similar to this one.
    OtherName(&'static str),
    /// It has no data.
    NoData,
    /// The data are not base64.
    NotBase64,
    /// The data are not a signing key.
    SigningKey(SigningKeyError),
    /// The data are not a public key.
    PublicKey(KeyError),
}

/// Why no secret can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretsError {
    /// Neither YAML nor JSON.
    Syntax(SyntaxError),
    /// A document, or an item of a list, is not a resource. Its place.
    NotAResource(String),
    /// It is another known kind of file.
    OtherKind(FileKind),
    /// A list with missing items.
    Incomplete {
        /// The number of items in it.
        there: usize,
        /// The number of items that it claims to have; `None` if it only says that there are more.
        total: Option<u64>,
    },
    /// The revocation list in this secret cannot be read, for this reason.
    Revocations(String, &'static str),
    /// Two secrets with this name have different contents.
    TwoRevocations(String),
    /// Two secrets have different keys for one kid.
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
            Self::NotOfMesh(kind) => write!(
                f,
                "it is of type {}, and Kuma reads it from a Secret of the mesh alone (on Kubernetes: type \
                 {KUBERNETES_MESH_TYPE})",
                Quoted(kind)
            ),
            Self::OtherName(name) => write!(f, "Kuma reads {name}, and no secret of another name"),
            Self::NoData => f.write_str("it holds no data"),
            Self::NotBase64 => f.write_str("its data are not base64"),
            Self::SigningKey(error) => error.fmt(f),
            // The fault alone: a secret cannot make Kuma crash.
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
            Self::Revocations(secret, why) => write!(f, "secret {secret}: {why}"),
            Self::TwoRevocations(secret) => {
                write!(f, "secret {secret} occurs twice, with different contents")
            }
            Self::TwoKeys { kid, secrets: [first, second] } => {
                write!(f, "kid {kid:?}: secrets {first} and {second} hold different keys")
            }
        }
    }
}

impl std::error::Error for SecretsError {}
