//! Public keys, as operators and clusters hand them over.
//!
//! In: a file: PEM, DER, a JWK Set, or any other bytes. Out: a panic, unless
//!
//! - a key that is read can verify, and is the same once it is written and read again, in each form;
//! - no private key is taken for a public key;
//! - an error is one short line.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use zonegate::config::Config;
use zonegate::token::pem::Block;
use zonegate::token::{
    Algorithm, DerKind, KeyError, MAX_BITS, MIN_BITS, P256Key, PublicKey, RSA_CRATE,
    VerificationKey,
};

/// More bytes than any error about a key has.
const LINE: usize = 400;

/// See the module.
pub fn keys(bytes: &[u8]) {
    read(&PublicKey::from_pem_bytes(bytes));
    let of_der = PublicKey::from_pkcs1_der(bytes);
    read(&of_der);
    if let Ok(key) = of_der {
        assert_eq!(key.pkcs1_der(), bytes, "DER has one form");
        assert_eq!(DerKind::of(bytes), Some(DerKind::Pkcs1Public));
    }
    if let Some(block) = Block::first(bytes)
        && block.label.ends_with(b"PRIVATE KEY")
    {
        assert_eq!(PublicKey::from_pem_bytes(bytes), Err(KeyError::PrivateKey));
    }
    // The contents of a block may be any bytes.
    for label in ["PUBLIC KEY", "RSA PUBLIC KEY"] {
        read(&PublicKey::from_pem_bytes(&pem(label, bytes)));
    }
    if let Ok(jwks) = serde_json::from_slice::<Value>(bytes) {
        jwk_set(&jwks);
    }
}

/// Checks the promises about a key, or about an error.
fn read(key: &Result<PublicKey, KeyError>) {
    match key {
        Ok(key) => is_whole(key),
        Err(error) => is_a_line(&error.to_string()),
    }
}

fn is_whole(key: &PublicKey) {
    assert!((MIN_BITS..=MAX_BITS).contains(&key.bits()));
    assert_eq!(PublicKey::from_pkcs1_der(key.pkcs1_der()).as_ref(), Ok(key));
    for (label, der) in [("RSA PUBLIC KEY", key.pkcs1_der()), ("PUBLIC KEY", key.spki_der())] {
        assert_eq!(PublicKey::from_pem_bytes(&pem(label, der)).as_ref(), Ok(key));
    }
    assert_eq!(DerKind::of(key.spki_der()), Some(DerKind::Spki));
    let verification: VerificationKey = key.clone().into();
    assert_eq!(verification.algorithm(), Algorithm::Rs256);
    assert!(RSA_CRATE.verifier(&verification).is_ok(), "crate rsa does not take it");
}

fn pem(label: &str, der: &[u8]) -> Vec<u8> {
    let text = STANDARD.encode(der);
    format!("-----BEGIN {label}-----\n{text}\n-----END {label}-----\n").into_bytes()
}

/// Reads the set as that of a cluster, and each key by itself.
fn jwk_set(jwks: &Value) {
    for jwk in jwks["keys"].as_array().into_iter().flatten() {
        let text = |name: &str| jwk[name].as_str().unwrap_or_default();
        read(&PublicKey::from_jwk(text("n"), text("e")));
        match P256Key::from_jwk(text("x"), text("y")) {
            Ok(key) => {
                let spki = key.spki_der();
                let [x, y] = [64, 32].map(|from_end| {
                    let start = spki.len() - from_end;
                    URL_SAFE_NO_PAD.encode(&spki[start..start + 32])
                });
                assert_eq!(P256Key::from_jwk(&x, &y), Ok(key.clone()));
                assert!(RSA_CRATE.verifier(&key.into()).is_ok());
            }
            Err(error) => is_a_line(&error.to_string()),
        }
    }
    let config = json!({
        "zone": "east",
        "proxies": { "ingress": "serviceAccountToken", "egress": "deny" },
        "serviceAccountToken": { "issuers": [{ "issuer": "https://cluster", "jwks": jwks }] },
    });
    match Config::from_json(config.to_string().as_bytes()) {
        Ok(config) => {
            let given = jwks["keys"].as_array().unwrap().len();
            let taken = config.policy.issuers.keys().count();
            let left_out = config.warnings.len();
            assert!(0 < taken && taken <= given && given <= taken + left_out, "{taken} of {given}");
        }
        Err(error) => assert!(error.to_string().starts_with("serviceAccountToken"), "{error}"),
    }
}

fn is_a_line(error: &str) {
    assert!(error.len() < LINE && !error.chars().any(char::is_control), "{error}");
}
