//! Keys of every algorithm with which tokens are signed.
//!
//! In: a public key. Out: a [`VerificationKey`], which knows the one [`Algorithm`] that it verifies: a token does not
//! choose the algorithm (RFC 8725 §3.1). Other modules read keys.

use super::{Fingerprint, P256Key, PublicKey};

/// An algorithm with which tokens are signed (RFC 7518 §3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// ECDSA on P-256 with SHA-256.
    Es256,
}

/// A public key that may verify tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VerificationKey {
    /// For RS256.
    Rsa(PublicKey),
    /// For ES256.
    P256(P256Key),
}

impl Algorithm {
    /// Its value in `alg`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Es256 => "ES256",
        }
    }
}

impl VerificationKey {
    /// The algorithm that it verifies.
    pub fn algorithm(&self) -> Algorithm {
        match self {
            Self::Rsa(_) => Algorithm::Rs256,
            Self::P256(_) => Algorithm::Es256,
        }
    }

    /// `SubjectPublicKeyInfo`, DER.
    pub fn spki_der(&self) -> &[u8] {
        match self {
            Self::Rsa(key) => key.spki_der(),
            Self::P256(key) => key.spki_der(),
        }
    }

    /// The SHA-256 of [`Self::spki_der`].
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(self.spki_der())
    }

    /// Bits of the modulus, or of the curve's field.
    pub fn bits(&self) -> u32 {
        match self {
            Self::Rsa(key) => key.bits(),
            Self::P256(_) => P256Key::BITS,
        }
    }
}

impl From<PublicKey> for VerificationKey {
    fn from(key: PublicKey) -> Self {
        Self::Rsa(key)
    }
}

impl From<P256Key> for VerificationKey {
    fn from(key: P256Key) -> Self {
        Self::P256(key)
    }
}
