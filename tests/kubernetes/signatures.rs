//! Algorithms and signatures.

use p256::ecdsa::Signature;
use ring::hmac;
use serde_json::json;
use sha2::{Digest, Sha384, Sha512};

use crate::cases::{Base, Draft};
use crate::mint::{Rsa, join, signing_input};

pub(crate) fn drafts(base: &Base<'_>) -> Vec<Draft> {
    [rsa(base), swapped(base), ecdsa(base), larger_ecdsa(base)].concat()
}

/// The signing input under the RSA key's kid, with this algorithm in the header.
fn input(base: &Base<'_>, algorithm: &str) -> String {
    input_of(base, algorithm, &base.keys.rsa_kid)
}

fn input_of(base: &Base<'_>, algorithm: &str, kid: &str) -> String {
    let header = json!({ "alg": algorithm, "kid": kid });
    signing_input(header.to_string(), base.claims.to_string())
}

fn rsa(base: &Base<'_>) -> Vec<Draft> {
    let keys = base.keys;
    let make = |name, description: &str, algorithm: &str, how: Rsa| {
        let input = input(base, algorithm);
        Draft::new(name, description, join(&input, &keys.sign_rsa(how, input.as_bytes())))
    };
    let usual = input(base, "RS256");
    let signature = keys.sign_rsa(Rsa::Rs256, usual.as_bytes());
    let mut flipped = signature.clone();
    flipped[100] ^= 1;
    let longer = [&[0], signature.as_slice()].concat();
    let (short_input, short) = with_leading_zero(base);
    vec![
        make("rs256", "RS256, as the API server signs", "RS256", Rsa::Rs256),
        make("rs384", "RS384", "RS384", Rsa::Rs384),
        make("rs512", "RS512", "RS512", Rsa::Rs512),
        make("ps256", "PS256", "PS256", Rsa::Ps256),
        make("rs256-is-ps256", "RS256 in the header, signed with PS256", "RS256", Rsa::Ps256),
        make("rs256-is-rs512", "RS256 in the header, signed with RS512", "RS256", Rsa::Rs512),
        make("alg-lower", "rs256", "rs256", Rsa::Rs256),
        Draft::new("flipped", "one bit of the signature is another", join(&usual, &flipped)),
        Draft::new("signature-longer", "a zero byte before the signature", join(&usual, &longer)),
        Draft::new("signature-zeros", "zeros in place of the signature", join(&usual, &[0; 256])),
        Draft::new(
            "leading-zero",
            "the signature begins with a zero byte",
            join(&short_input, &short),
        ),
        Draft::new(
            "leading-zero-cut",
            "the signature without the zero byte that it begins with",
            join(&short_input, &short[1..]),
        ),
    ]
}

/// About one signature in 256 begins with a zero byte.
fn with_leading_zero(base: &Base<'_>) -> (String, Vec<u8>) {
    let found = (0..10_000).find_map(|number: u32| {
        let claims = base.with(&["jti"], number.to_string());
        let input = signing_input(base.keys.header().to_string(), claims);
        let signature = base.keys.sign_rsa(Rsa::Rs256, input.as_bytes());
        (signature[0] == 0).then_some((input, signature))
    });
    found.unwrap()
}

/// Algorithms that do not match the key.
fn swapped(base: &Base<'_>) -> Vec<Draft> {
    let keys = base.keys;
    let hmac = |secret: &[u8]| {
        let input = input(base, "HS256");
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
        join(&input, hmac::sign(&key, input.as_bytes()).as_ref())
    };
    let rs256 = |algorithm: serde_json::Value| {
        let header = json!({ "alg": algorithm, "kid": keys.rsa_kid });
        keys.token_of(header.to_string(), base.claims.to_string())
    };
    let none = input(base, "none");
    let es256 = input(base, "ES256");
    let second = input_of(base, "RS256", &keys.p256_kid);
    let pem = &keys.rsa_public_pem;
    vec![
        Draft::new("none", "alg none, no signature", join(&none, &[])),
        Draft::new("none-signed", "alg none, signed with RS256", rs256(json!("none"))),
        Draft::new("alg-null", "alg is null", rs256(json!(null))),
        Draft::new("alg-number", "alg is a number", rs256(json!(1))),
        Draft::new("alg-empty", "alg is empty", rs256(json!(""))),
        Draft::new(
            "alg-missing",
            "no alg",
            keys.token_of(json!({ "kid": keys.rsa_kid }).to_string(), base.claims.to_string()),
        ),
        Draft::new(
            "hs256",
            "HS256 with the public key, as PEM, for a secret",
            hmac(pem.as_bytes()),
        ),
        Draft::new(
            "hs256-trimmed",
            "the same without the last line feed",
            hmac(pem.trim_end().as_bytes()),
        ),
        Draft::new(
            "es256-is-rs256",
            "ES256 in the header, signed with RS256",
            rs256(json!("ES256")),
        ),
        Draft::new(
            "es256-under-rsa",
            "ES256 by the second key, under the kid of the RSA key",
            join(&es256, &keys.sign_p256(es256.as_bytes()).to_bytes()),
        ),
        Draft::new(
            "rs256-under-p256",
            "RS256 by the RSA key, under the kid of the second key",
            join(&second, &keys.sign_rsa(Rsa::Rs256, second.as_bytes())),
        ),
        Draft::new(
            "rs256-by-p256",
            "RS256 in the header, signed with ES256 by the second key",
            join(&second, &keys.sign_p256(second.as_bytes()).to_bytes()),
        ),
    ]
}

/// ES256 by the second key: in RFC 7518 §3.4 the signature is two numbers of 32 bytes.
fn ecdsa(base: &Base<'_>) -> Vec<Draft> {
    let input = input_of(base, "ES256", &base.keys.p256_kid);
    let signature = base.keys.sign_p256(input.as_bytes());
    let bytes = signature.to_bytes().to_vec();
    let (low, high) = both_forms(&signature);
    let swapped = [&bytes[32..], &bytes[..32]].concat();
    let mut flipped = bytes.clone();
    flipped[10] ^= 1;
    let order = "FFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551";
    let order: Vec<u8> =
        (0..32).map(|at| u8::from_str_radix(&order[2 * at..][..2], 16).unwrap()).collect();
    let make = |name, description: &str, signature: &[u8]| {
        Draft::new(name, description, join(&input, signature))
    };
    vec![
        make("es256", "ES256 by the second key of the API server", &bytes),
        make("es256-low-s", "the same signature with the smaller s", &low.to_bytes()),
        make("es256-high-s", "the same signature with the larger s", &high.to_bytes()),
        make("es256-der", "the signature as DER", signature.to_der().as_bytes()),
        make("es256-swapped", "r and s changed over", &swapped),
        make("es256-flipped", "one bit of the signature is another", &flipped),
        make("es256-short", "one byte too few", &bytes[..63]),
        make("es256-long", "a zero byte too many", &[bytes.as_slice(), &[0]].concat()),
        make("es256-zeros", "r and s are 0", &[0; 64]),
        make(
            "es256-order",
            "r and s are the order of the group",
            &[order.as_slice(), &order].concat(),
        ),
        make("es256-padded", "r and s of 48 bytes, with zeros before them", &padded(&bytes, 48)),
        make("es256-empty", "no signature", &[]),
    ]
}

/// With the smaller and with the larger s: both are valid.
fn both_forms(signature: &Signature) -> (Signature, Signature) {
    let (r, s) = signature.split_scalars();
    let other = Signature::from_scalars(r.to_bytes(), (-s).to_bytes()).unwrap();
    match signature.normalize_s() == *signature {
        true => (*signature, other),
        false => (other, *signature),
    }
}

fn padded(bytes: &[u8], size: usize) -> Vec<u8> {
    let zeros = vec![0; size - 32];
    [zeros.as_slice(), &bytes[..32], &zeros, &bytes[32..]].concat()
}

/// The larger algorithms, by the second and the third key.
fn larger_ecdsa(base: &Base<'_>) -> Vec<Draft> {
    let keys = base.keys;
    let es384 = input_of(base, "ES384", &keys.p256_kid);
    let by_p256 = keys.sign_p256_digest(&Sha384::digest(&es384)).to_bytes();
    let es512 = input_of(base, "ES512", &keys.p256_kid);
    let p256_by_512 = keys.sign_p256_digest(&Sha512::digest(&es512)).to_bytes();
    let third = input_of(base, "ES384", &keys.p384_kid);
    let third_es256 = input_of(base, "ES256", &keys.p384_kid);
    vec![
        Draft::new(
            "es384",
            "ES384 by the third key of the API server, on P-384",
            join(&third, &keys.sign_p384(third.as_bytes())),
        ),
        Draft::new(
            "es256-by-p384",
            "ES256 in the header, signed with ES384 by the third key",
            join(&third_es256, &keys.sign_p384(third_es256.as_bytes())),
        ),
        Draft::new(
            "es384-by-p256",
            "ES384 by the second key, on P-256: r and s of 32 bytes",
            join(&es384, &by_p256),
        ),
        Draft::new(
            "es384-by-p256-padded",
            "ES384 by the second key, on P-256: r and s of 48 bytes",
            join(&es384, &padded(&by_p256, 48)),
        ),
        Draft::new(
            "es512-by-p256-padded",
            "ES512 by the second key, on P-256: r and s of 66 bytes",
            join(&es512, &padded(&p256_by_512, 66)),
        ),
    ]
}
