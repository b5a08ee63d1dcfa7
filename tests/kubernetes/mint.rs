//! Tokens signed with the API server's own keys, so that only the intended fault is wrong with them.
//!
//! In: bytes of a header and of claims. Out: a token. Nothing is checked.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use p256::ecdsa::Signature;
use p256::ecdsa::signature::hazmat::PrehashSigner;
use p256::pkcs8::DecodePrivateKey;
use rcgen::KeyPair;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384,
    RSA_PKCS1_SHA512, RSA_PSS_SHA256, RsaEncoding, RsaKeyPair,
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use zonegate_issuer::{SigningKey, spki_pem};

/// The private keys of a cluster, and the kids that its API server gives to them.
pub(crate) struct Keys {
    rsa: RsaKeyPair,
    p256: p256::ecdsa::SigningKey,
    p384: EcdsaKeyPair,
    pub(crate) rsa_kid: String,
    pub(crate) p256_kid: String,
    pub(crate) p384_kid: String,
    /// The RSA key's public half as PEM, which an attacker has too.
    pub(crate) rsa_public_pem: String,
}

/// How an RSA key signs.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Rsa {
    Rs256,
    Rs384,
    Rs512,
    Ps256,
}

impl Keys {
    pub(crate) fn new(rsa: &SigningKey, p256: &KeyPair, p384: &KeyPair, jwks: &str) -> Self {
        let algorithm = &ECDSA_P384_SHA384_FIXED_SIGNING;
        let der = p384.serialize_der();
        Self {
            rsa: RsaKeyPair::from_der(pem::parse(&*rsa.to_pem()).unwrap().contents()).unwrap(),
            p256: p256::ecdsa::SigningKey::from_pkcs8_der(&p256.serialize_der()).unwrap(),
            p384: EcdsaKeyPair::from_pkcs8(algorithm, &der, &SystemRandom::new()).unwrap(),
            rsa_kid: kid(jwks, "RS256"),
            p256_kid: kid(jwks, "ES256"),
            p384_kid: kid(jwks, "ES384"),
            rsa_public_pem: spki_pem(&rsa.public_key()),
        }
    }

    /// The header that the API server writes.
    pub(crate) fn header(&self) -> Value {
        json!({ "alg": "RS256", "kid": self.rsa_kid })
    }

    /// A token with any claims, as the API server signs it.
    pub(crate) fn token(&self, claims: impl AsRef<[u8]>) -> String {
        self.token_of(self.header().to_string(), claims)
    }

    /// RS256, with any header and claims.
    pub(crate) fn token_of(&self, header: impl AsRef<[u8]>, claims: impl AsRef<[u8]>) -> String {
        let input = signing_input(header, claims);
        let signature = self.sign_rsa(Rsa::Rs256, input.as_bytes());
        join(&input, &signature)
    }

    pub(crate) fn sign_rsa(&self, how: Rsa, input: &[u8]) -> Vec<u8> {
        let padding: &'static dyn RsaEncoding = match how {
            Rsa::Rs256 => &RSA_PKCS1_SHA256,
            Rsa::Rs384 => &RSA_PKCS1_SHA384,
            Rsa::Rs512 => &RSA_PKCS1_SHA512,
            Rsa::Ps256 => &RSA_PSS_SHA256,
        };
        let mut signature = vec![0; self.rsa.public().modulus_len()];
        self.rsa.sign(padding, &SystemRandom::new(), input, &mut signature).unwrap();
        signature
    }

    /// ES256.
    pub(crate) fn sign_p256(&self, input: &[u8]) -> Signature {
        self.sign_p256_digest(&Sha256::digest(input))
    }

    /// ECDSA on P-256, with any digest.
    pub(crate) fn sign_p256_digest(&self, digest: &[u8]) -> Signature {
        self.p256.sign_prehash(digest).unwrap()
    }

    /// ES384.
    pub(crate) fn sign_p384(&self, input: &[u8]) -> Vec<u8> {
        self.p384.sign(&SystemRandom::new(), input).unwrap().as_ref().to_vec()
    }
}

/// The signing input: RFC 7515 §5.1.
pub(crate) fn signing_input(header: impl AsRef<[u8]>, claims: impl AsRef<[u8]>) -> String {
    format!("{}.{}", encode(header), encode(claims))
}

pub(crate) fn join(input: &str, signature: &[u8]) -> String {
    format!("{input}.{}", encode(signature))
}

pub(crate) fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Header, claims and signature of a token.
pub(crate) fn segments(token: &str) -> [&str; 3] {
    token.split('.').collect::<Vec<_>>().try_into().unwrap()
}

/// The JSON in a segment; `None` if there is none.
pub(crate) fn decode(segment: &str) -> Option<Value> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(segment).ok()?).ok()
}

/// The kid that the API server gives to its key for this algorithm.
fn kid(jwks: &str, algorithm: &str) -> String {
    let jwks: Value = serde_json::from_str(jwks).unwrap();
    let mut keys = jwks["keys"].as_array().unwrap().iter();
    let key = keys.find(|key| key["alg"] == algorithm);
    key.unwrap_or_else(|| panic!("no key for {algorithm}"))["kid"].as_str().unwrap().to_owned()
}
