//! Signatures that anyone can make, so that a fuzzer passes the check of the signature.
//!
//! In: a public key, a header and claims. Out: the token; and a [`SignatureBackend`] that accepts only these
//! signatures. Such a signature is a hash of the key and the text, so it is good for one key and one text only. The
//! rest of the gate is the real code.

use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::Algorithm;
use jsonwebtoken::crypto::JwtVerifier;
use serde_json::Value;
use sha2::{Digest, Sha256};
use zonegate::token::{KeyError, KeySet, PublicKey, SignatureBackend, VerificationKey, Verifier};

/// Accepts the signatures of [`sign`].
pub(crate) static STAND_IN: SignatureBackend = SignatureBackend::new("stand-in", prepare);

/// Public keys whose private halves were thrown away.
pub(crate) static RECORDED: LazyLock<Value> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../../tests/data/kuma-zone-token.json")).unwrap()
});

/// The recorded public key of this kid, PEM.
pub(crate) fn pem(kid: &str) -> &'static str {
    RECORDED["keys"][kid].as_str().unwrap()
}

/// The recorded public key of this kid.
pub(crate) fn key(kid: &str) -> VerificationKey {
    PublicKey::from_pem(pem(kid)).unwrap().into()
}

/// The two recorded keys under these kids, by `backend`.
pub(crate) fn key_set(backend: &'static SignatureBackend, kids: [&str; 2]) -> KeySet {
    let mut keys = KeySet::new(backend);
    for (kid, recorded) in kids.into_iter().zip(["1", "2"]) {
        keys.insert(kid.to_owned(), key(recorded)).unwrap();
    }
    keys
}

/// The token of this header and these claims.
pub(crate) fn sign(key: &VerificationKey, header: &[u8], claims: &[u8]) -> String {
    let [header, claims] = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part));
    let input = format!("{header}.{claims}");
    let signature = URL_SAFE_NO_PAD.encode(signature(key, input.as_bytes()));
    format!("{input}.{signature}")
}

fn signature(key: &VerificationKey, text: &[u8]) -> Vec<u8> {
    Sha256::new().chain_update(key.spki_der()).chain_update(text).finalize().to_vec()
}

#[allow(clippy::unnecessary_wraps)] // the type of a backend
fn prepare(key: &VerificationKey) -> Result<Verifier, KeyError> {
    Ok(Box::new(StandIn(key.clone())))
}

struct StandIn(VerificationKey);

impl signature::Verifier<Vec<u8>> for StandIn {
    fn verify(&self, message: &[u8], given: &Vec<u8>) -> Result<(), signature::Error> {
        let is_right = *given == signature(&self.0, message);
        is_right.then_some(()).ok_or_else(signature::Error::new)
    }
}

impl JwtVerifier for StandIn {
    fn algorithm(&self) -> Algorithm {
        Algorithm::RS256
    }
}
