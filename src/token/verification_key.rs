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

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a test may panic
mod tests {
    use super::*;
    use crate::token::signature::{KNOWN_X, KNOWN_Y};

    const RSA: &str = include_str!("../../tests/data/key-1.pub.pem");

    /// The fingerprint is what `openssl rsa -RSAPublicKey_in -pubout -outform DER | openssl dgst -sha256 -binary |
    /// base64` makes of the key.
    #[test]
    fn a_key_knows_its_algorithm_its_size_and_its_fingerprint() {
        let rsa = PublicKey::from_pem(RSA).unwrap();
        let fingerprint = "SHA256:fA3cNGrgw7sY1/9BkmLmnIL02yXXjsVPgNbrqV20Ue8";
        assert_eq!(rsa.fingerprint(), fingerprint);
        let rsa = VerificationKey::from(rsa);
        assert_eq!(rsa.fingerprint().to_string(), fingerprint);
        assert_eq!((rsa.algorithm(), rsa.bits()), (Algorithm::Rs256, 2048));
        let p256 = VerificationKey::from(P256Key::from_jwk(KNOWN_X, KNOWN_Y).unwrap());
        assert_eq!((p256.algorithm(), p256.bits()), (Algorithm::Es256, 256));
    }
}
