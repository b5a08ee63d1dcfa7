//! The signature seam: RSASSA-PKCS1-v1_5 with SHA-256 (RFC 7518 §3.3, RFC 8017 §8.2.2).
//!
//! In: a [`PublicKey`]. Out: a [`JwtVerifier`], prepared once per configuration. The arithmetic behind
//! it is that of a [`CryptoProvider`]: crate `rsa` here, the host's in
//! [`host_signature`](super::host_signature).
//!
//! jsonwebtoken gives the traits and the algorithm names. Its `decode` is not used: it reads a token
//! more strictly than Kuma in some places (line breaks and spare bits in base64, duplicate members)
//! and more laxly in others (dates), and the gate must read it exactly as Kuma does.

use jsonwebtoken::crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{Error, ErrorKind};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey};
use rsa::pkcs1::DecodeRsaPublicKey;
use rsa::pkcs1v15::{Signature, VerifyingKey};
use rsa::signature::Verifier as _;
use sha2::Sha256;

use super::PublicKey;

/// RS256 by crate `rsa`; it verifies and does not sign.
pub static PROVIDER: CryptoProvider =
    CryptoProvider { signer_factory, verifier_factory, key_utils: KeyUtils::new_unimplemented() };

/// A verifier of RS256 signatures by `key`, with the arithmetic of `provider`.
///
/// # Errors
/// The provider cannot use the key. [`PROVIDER`] uses every [`PublicKey`].
pub fn verifier(provider: &CryptoProvider, key: &PublicKey) -> Result<Box<dyn JwtVerifier>, Error> {
    let key = DecodingKey::from_rsa_der(key.pkcs1_der());
    (provider.verifier_factory)(&Algorithm::RS256, &key)
}

fn verifier_factory(
    algorithm: &Algorithm,
    key: &DecodingKey,
) -> Result<Box<dyn JwtVerifier>, Error> {
    if *algorithm != Algorithm::RS256 {
        return Err(ErrorKind::InvalidAlgorithm.into());
    }
    let key = rsa::PublicKey::from_pkcs1_der(key.try_get_as_bytes()?)
        .map_err(|_| ErrorKind::InvalidKeyFormat)?;
    Ok(Box::new(Rs256(VerifyingKey::new(key))))
}

/// Signs nothing: a gate has public keys only.
pub(super) fn signer_factory(_: &Algorithm, _: &EncodingKey) -> Result<Box<dyn JwtSigner>, Error> {
    Err(ErrorKind::InvalidAlgorithm.into())
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
