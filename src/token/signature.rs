//! Signatures: RSASSA-PKCS1-v1_5 with SHA-256 (RFC 7518 §3.3, RFC 8017 §8.2.2), and ECDSA on P-256 with SHA-256
//! (RFC 7518 §3.4).
//!
//! In: a [`VerificationKey`]. Out: a [`Verifier`], prepared once per configuration. A [`SignatureBackend`] does the
//! arithmetic: crates `rsa` and `p256` here, the host in [`host_signature`](super::host_signature).
//!
//! A verifier is a [`JwtVerifier`] of jsonwebtoken. Its `CryptoProvider` is not used, because threads cannot share its
//! verifiers. Its `decode` is not used either: it reads a token more strictly than Kuma in some places (line breaks and
//! spare bits in base64, duplicate members) and more laxly in others (dates), and the gate must read tokens exactly as
//! Kuma does.

use std::fmt;

use jsonwebtoken::Algorithm;
use jsonwebtoken::crypto::JwtVerifier;
use rsa::pkcs1::DecodeRsaPublicKey;
use rsa::pkcs1v15::{Signature, VerifyingKey};
use rsa::signature::Verifier as _;
use sha2::Sha256;

use super::{KeyError, P256Key, PublicKey, VerificationKey};

/// Verifies signatures by one key. A signature of ES256 is `r` and `s`, 32 bytes each.
pub type Verifier = Box<dyn JwtVerifier + Send + Sync>;

/// An implementation of the arithmetic that verifies signatures.
pub struct SignatureBackend {
    name: &'static str,
    prepare: fn(&VerificationKey) -> Result<Verifier, KeyError>,
}

/// RS256 by crate `rsa`, ES256 by crate `p256`.
pub static RSA_CRATE: SignatureBackend = SignatureBackend::new("crate", crates);

/// A VM configuration that is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnknownVmConfiguration;

impl fmt::Display for UnknownVmConfiguration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("it must be empty or crypto=crate")
    }
}

/// Public keys for the self-test, whose private keys were thrown away, with their signatures of [`KNOWN_TEXT`].
pub(super) const KNOWN_KEY: &str = include_str!("self_test/key.pem");
pub(super) const KNOWN_SIGNATURE: &[u8] = include_bytes!("self_test/signature.bin");
pub(super) const KNOWN_X: &str = "XXAEGjbRXKtyPMztq4gRJl938IDGlfdtu-2akNp_7dQ";
pub(super) const KNOWN_Y: &str = "tZel7CN64gkVBPXR_z56fs0oDvCTqgJc6n7gBDz6wrY";
pub(super) const KNOWN_ES256_SIGNATURE: &[u8] = include_bytes!("self_test/signature_es256.bin");
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
        prepare: fn(&VerificationKey) -> Result<Verifier, KeyError>,
    ) -> Self {
        Self { name, prepare }
    }

    /// Its name, as in the log.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// A verifier of signatures by `key`. If this backend fails the self-test of ES256, the verifier is that of crate
    /// `p256`: a host may have one algorithm and not the other.
    ///
    /// # Errors
    /// The backend cannot use the key. [`RSA_CRATE`] uses every [`VerificationKey`].
    pub fn verifier(&self, key: &VerificationKey) -> Result<Verifier, KeyError> {
        match key {
            // RS256 is tested once, when the backend is chosen.
            VerificationKey::Rsa(_) => (self.prepare)(key),
            VerificationKey::P256(_) if self.judges_es256() == Some(true) => (self.prepare)(key),
            VerificationKey::P256(_) => crates(key),
        }
    }

    /// The backend for a module of this VM configuration: this one, or [`RSA_CRATE`] if this one fails the self-test or
    /// the text is `crypto=crate`.
    ///
    /// # Errors
    /// The text is neither empty nor `crypto=crate`.
    pub fn choose(
        &'static self,
        vm_configuration: &[u8],
    ) -> Result<&'static Self, UnknownVmConfiguration> {
        match vm_configuration.trim_ascii() {
            b"" => Ok(self.or_rsa_crate()),
            b"crypto=crate" => Ok(&RSA_CRATE),
            _ => Err(UnknownVmConfiguration),
        }
    }

    /// This backend if it passes the self-test of RS256, otherwise [`RSA_CRATE`].
    pub fn or_rsa_crate(&'static self) -> &'static Self {
        match self.judges_rs256() {
            Some(true) => self,
            Some(false) | None => &RSA_CRATE,
        }
    }

    pub(super) fn judges_rs256(&self) -> Option<bool> {
        let key = PublicKey::from_pem(KNOWN_KEY).ok()?;
        self.judges_known(&key.into(), KNOWN_SIGNATURE)
    }

    pub(super) fn judges_es256(&self) -> Option<bool> {
        let key = P256Key::from_jwk(KNOWN_X, KNOWN_Y).ok()?;
        self.judges_known(&key.into(), KNOWN_ES256_SIGNATURE)
    }

    /// The self-test: whether the backend accepts one good signature and refuses two bad ones; `None` if it cannot be
    /// tried.
    fn judges_known(&self, key: &VerificationKey, signature: &[u8]) -> Option<bool> {
        let verifier = (self.prepare)(key).ok()?;
        let mut altered = signature.to_vec();
        *altered.last_mut()? ^= 1;
        let accepts = |text: &[u8], signature| verifier.verify(text, &signature).is_ok();
        Some(
            accepts(KNOWN_TEXT, signature.to_vec())
                && !accepts(KNOWN_TEXT, altered)
                && !accepts(b"another text", signature.to_vec()),
        )
    }
}

fn crates(key: &VerificationKey) -> Result<Verifier, KeyError> {
    match key {
        VerificationKey::Rsa(key) => {
            let key = rsa::PublicKey::from_pkcs1_der(key.pkcs1_der());
            Ok(Box::new(Rs256(VerifyingKey::new(key.map_err(|_| KeyError::NotRsa)?))))
        }
        VerificationKey::P256(key) => Ok(Box::new(Es256(*key.verifying_key()))),
    }
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

struct Es256(p256::ecdsa::VerifyingKey);

impl signature::Verifier<Vec<u8>> for Es256 {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), signature::Error> {
        let signature =
            p256::ecdsa::Signature::from_slice(signature).map_err(|_| signature::Error::new())?;
        self.0.verify(message, &signature).map_err(|_| signature::Error::new())
    }
}

impl JwtVerifier for Es256 {
    fn algorithm(&self) -> Algorithm {
        Algorithm::ES256
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a test may panic
mod tests {
    use super::*;

    #[test]
    fn the_known_signatures_are_good() {
        assert_eq!(RSA_CRATE.judges_rs256(), Some(true));
        assert_eq!(RSA_CRATE.judges_es256(), Some(true));
    }

    #[test]
    fn a_verifier_names_the_algorithm_of_its_key() {
        let rsa = PublicKey::from_pem(KNOWN_KEY).unwrap().into();
        let p256 = P256Key::from_jwk(KNOWN_X, KNOWN_Y).unwrap().into();
        let algorithm = |key| RSA_CRATE.verifier(key).unwrap().algorithm();
        assert_eq!([&rsa, &p256].map(algorithm), [Algorithm::RS256, Algorithm::ES256]);
    }

    #[test]
    fn a_vm_configuration_is_empty_or_names_the_crate() {
        static OTHER: SignatureBackend = SignatureBackend::new("other", crates);
        let name = |text: &[u8]| OTHER.choose(text).map(SignatureBackend::name);
        assert_eq!(name(b" \n"), Ok("other"));
        assert_eq!(name(b"crypto=crate\n"), Ok("crate"));
        assert_eq!(name(b"crypto=none"), Err(UnknownVmConfiguration));
    }
}
