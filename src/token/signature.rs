//! The signature seam: RSASSA-PKCS1-v1_5 with SHA-256 (RFC 7518 §3.3, RFC 8017 §8.2.2).
//!
//! In: a [`PublicKey`]. Out: a [`Verifier`], prepared once per configuration. The arithmetic behind it
//! is that of a [`SignatureBackend`]: crate `rsa` here, the host's in
//! [`host_signature`](super::host_signature).
//!
//! jsonwebtoken stands behind this seam: a verifier is its [`JwtVerifier`]. Its `CryptoProvider` is not
//! used, because the verifiers of one cannot be shared by threads; nor is its `decode`: that reads a
//! token more strictly than Kuma in some places (line breaks and spare bits in base64, duplicate
//! members) and more laxly in others (dates), and the gate must read it exactly as Kuma does.

use std::fmt;

use jsonwebtoken::Algorithm;
use jsonwebtoken::crypto::JwtVerifier;
use rsa::pkcs1::DecodeRsaPublicKey;
use rsa::pkcs1v15::{Signature, VerifyingKey};
use rsa::signature::Verifier as _;
use sha2::Sha256;

use super::{KeyError, PublicKey};

/// RS256 by one key.
pub type Verifier = Box<dyn JwtVerifier + Send + Sync>;

/// Whose arithmetic verifies signatures.
pub struct SignatureBackend {
    name: &'static str,
    prepare: fn(&PublicKey) -> Result<Verifier, KeyError>,
}

/// RS256 by crate `rsa`.
pub static RSA_CRATE: SignatureBackend = SignatureBackend::new("crate", rsa_crate);

/// A key that was made for the self-test, and thrown away, with its signature of [`KNOWN_TEXT`].
pub(super) const KNOWN_KEY: &str = include_str!("self_test/key.pem");
pub(super) const KNOWN_SIGNATURE: &[u8] = include_bytes!("self_test/signature.bin");
pub(super) const KNOWN_TEXT: &[u8] = b"zonegate: known text";

impl fmt::Debug for SignatureBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SignatureBackend({})", self.name)
    }
}

impl SignatureBackend {
    /// A backend of this name, with verifiers by `prepare`.
    pub const fn new(
        name: &'static str,
        prepare: fn(&PublicKey) -> Result<Verifier, KeyError>,
    ) -> Self {
        Self { name, prepare }
    }

    /// Its one spelling.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// A verifier of RS256 signatures by `key`.
    ///
    /// # Errors
    /// The backend cannot use the key. [`RSA_CRATE`] uses every [`PublicKey`].
    pub fn verifier(&self, key: &PublicKey) -> Result<Verifier, KeyError> {
        (self.prepare)(key)
    }

    /// This backend where it judges known signatures rightly, otherwise [`RSA_CRATE`].
    pub fn or_rsa_crate(&'static self) -> &'static Self {
        match self.is_right() {
            Some(true) => self,
            Some(false) | None => &RSA_CRATE,
        }
    }

    /// Whether the backend judges one good signature and two bad ones rightly; `None` where it cannot
    /// be tried.
    pub(super) fn is_right(&self) -> Option<bool> {
        let key = PublicKey::from_pem(KNOWN_KEY).ok()?;
        let verifier = self.verifier(&key).ok()?;
        let mut altered = KNOWN_SIGNATURE.to_vec();
        *altered.last_mut()? ^= 1;
        let accepts = |text: &[u8], signature| verifier.verify(text, &signature).is_ok();
        Some(
            accepts(KNOWN_TEXT, KNOWN_SIGNATURE.to_vec())
                && !accepts(KNOWN_TEXT, altered)
                && !accepts(b"another text", KNOWN_SIGNATURE.to_vec()),
        )
    }
}

fn rsa_crate(key: &PublicKey) -> Result<Verifier, KeyError> {
    let key = rsa::PublicKey::from_pkcs1_der(key.pkcs1_der()).map_err(|_| KeyError::NotRsa)?;
    Ok(Box::new(Rs256(VerifyingKey::new(key))))
}

struct Rs256(VerifyingKey<Sha256>);

impl signature::Verifier<Vec<u8>> for Rs256 {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), signature::Error> {
        let signature =
            Signature::try_from(signature.as_slice()).map_err(|_| signature::Error::new())?;
        self.0.verify(message, &signature).map_err(|_| signature::Error::new())
    }
}

impl JwtVerifier for Rs256 {
    fn algorithm(&self) -> Algorithm {
        Algorithm::RS256
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_known_signature_is_good() {
        assert_eq!(RSA_CRATE.is_right(), Some(true));
    }
}
