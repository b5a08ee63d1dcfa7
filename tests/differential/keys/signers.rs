//! Good keys, and a token of each, also with other exponents for the same primes.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rsa::pkcs1::DecodeRsaPrivateKey;
use rsa::pkcs1v15::SigningKey;
use rsa::signature::{SignatureEncoding, Signer};
use rsa::traits::{PrivateKeyParts, PublicKeyParts};
use rsa::{BoxedUint, PrivateKey};
use sha2::Sha256;

const PRIVATE: [&str; 4] = [
    include_str!("../../data/differential/a-1024.pem"),
    include_str!("../../data/differential/b-1024.pem"),
    include_str!("../../data/differential/c-1536.pem"),
    include_str!("../../data/differential/d-2048.pem"),
];
pub(super) const KEYS: usize = PRIVATE.len();

/// The exponent of every key, unless an edit sets another.
pub(super) const EXPONENT: i128 = 65_537;
/// Other exponents that Go verifies with. Some of the primes make a key with them.
const OTHERS: [i128; 9] = [3, 5, 7, 17, 257, 65_535, 65_539, 2_147_483_645, 2_147_483_647];

struct Signers {
    modulus: Vec<u8>,
    tokens: BTreeMap<i128, String>,
}

static SIGNERS: LazyLock<Vec<Signers>> = LazyLock::new(|| PRIVATE.map(signers).into());

fn signers(pem: &str) -> Signers {
    let key = PrivateKey::from_pkcs1_pem(pem).unwrap();
    let [p, q] = key.primes() else { unreachable!() };
    let with = |exponent: i128| {
        let exponent_uint = BoxedUint::from(u64::try_from(exponent).unwrap());
        // Not every exponent has an inverse for these primes.
        let key = PrivateKey::from_p_q(p.clone().get(), q.clone().get(), exponent_uint).ok()?;
        Some((exponent, token(&key)))
    };
    let tokens = OTHERS.into_iter().chain([EXPONENT]).filter_map(with).collect();
    Signers { modulus: key.n_bytes().to_vec(), tokens }
}

fn token(key: &PrivateKey) -> String {
    let [header, claims] =
        [r#"{"alg":"RS256","kid":"1"}"#, "{}"].map(|json| URL_SAFE_NO_PAD.encode(json));
    let text = format!("{header}.{claims}");
    let signature = SigningKey::<Sha256>::new(key.clone()).sign(text.as_bytes());
    format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature.to_bytes()))
}

/// The modulus of a key, without a sign.
pub(super) fn modulus(key: usize) -> &'static [u8] {
    &SIGNERS[key].modulus
}

/// A token signed by the key with this exponent, or with the usual exponent if there is no such key.
pub(super) fn token_of(key: usize, exponent: Option<i128>) -> &'static str {
    let tokens = &SIGNERS[key].tokens;
    exponent.and_then(|exponent| tokens.get(&exponent)).unwrap_or(&tokens[&EXPONENT])
}

#[test]
fn most_exponents_sign() {
    let count: usize = SIGNERS.iter().map(|signers| signers.tokens.len()).sum();
    assert!(count > KEYS * 5, "{count}");
}
