#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // a test may panic

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::token::signature::{
    KNOWN_ES256_SIGNATURE, KNOWN_KEY, KNOWN_SIGNATURE, KNOWN_TEXT, KNOWN_X, KNOWN_Y,
};
use crate::token::{P256Key, PublicKey, RSA_CRATE};

#[derive(Clone, PartialEq, prost::Message)]
struct Arguments {
    #[prost(string, tag = "1")]
    hash_function: String,
    #[prost(bytes = "vec", tag = "2")]
    public_key: Vec<u8>,
    #[prost(bytes = "vec", tag = "3")]
    signature: Vec<u8>,
    #[prost(bytes = "vec", tag = "4")]
    text: Vec<u8>,
}

/// A host that verifies correctly, by the crates.
struct Verifies;
/// The same, and counts how often it is asked.
struct Counts;
static ASKED: AtomicUsize = AtomicUsize::new(0);
/// As [`Verifies`], for RSA keys only.
struct VerifiesRsa;
/// A host that says yes to everything.
struct SaysYes;
/// A host that says no to everything.
struct SaysNo;
/// A host without the function.
struct Lacks;

impl Host for Verifies {
    fn verify_signature(arguments: &[u8]) -> Option<Vec<u8>> {
        let Arguments { hash_function, public_key, signature, text } =
            Arguments::decode(arguments).unwrap();
        assert_eq!(hash_function, "sha256");
        let result = if public_key == rsa_key().spki_der() {
            RSA_CRATE.verifier(&rsa_key()).unwrap().verify(&text, &signature).is_ok()
        } else {
            assert_eq!(public_key, p256_key().spki_der());
            let key = p256::ecdsa::VerifyingKey::from_sec1_bytes(&public_key[26..]).unwrap();
            let signature = p256::ecdsa::DerSignature::from_bytes(&signature);
            let verify =
                |signature| p256::ecdsa::signature::Verifier::verify(&key, &text, signature);
            signature.as_ref().is_ok_and(|signature| verify(signature).is_ok())
        };
        Some(VerifySignatureResult { result }.encode_to_vec())
    }
}

impl Host for Counts {
    fn verify_signature(arguments: &[u8]) -> Option<Vec<u8>> {
        ASKED.fetch_add(1, Ordering::Relaxed);
        Verifies::verify_signature(arguments)
    }
}

impl Host for VerifiesRsa {
    fn verify_signature(arguments: &[u8]) -> Option<Vec<u8>> {
        let Arguments { public_key, .. } = Arguments::decode(arguments).unwrap();
        match public_key == rsa_key().spki_der() {
            true => Verifies::verify_signature(arguments),
            false => None,
        }
    }
}

fn rsa_key() -> VerificationKey {
    PublicKey::from_pem(KNOWN_KEY).unwrap().into()
}

fn p256_key() -> VerificationKey {
    P256Key::from_jwk(KNOWN_X, KNOWN_Y).unwrap().into()
}

impl Host for SaysYes {
    fn verify_signature(_: &[u8]) -> Option<Vec<u8>> {
        Some(VerifySignatureResult { result: true }.encode_to_vec())
    }
}

impl Host for SaysNo {
    fn verify_signature(_: &[u8]) -> Option<Vec<u8>> {
        Some(Vec::new())
    }
}

impl Host for Lacks {
    fn verify_signature(_: &[u8]) -> Option<Vec<u8>> {
        None
    }
}

/// Each of these two hosts fails one part of the self-test.
struct TakesAnySignature;
struct TakesAnyText;

impl Host for TakesAnySignature {
    fn verify_signature(arguments: &[u8]) -> Option<Vec<u8>> {
        let result = Arguments::decode(arguments).unwrap().text == KNOWN_TEXT;
        Some(VerifySignatureResult { result }.encode_to_vec())
    }
}

impl Host for TakesAnyText {
    fn verify_signature(arguments: &[u8]) -> Option<Vec<u8>> {
        let signature = Arguments::decode(arguments).unwrap().signature;
        let known = ecdsa_der(KNOWN_ES256_SIGNATURE).unwrap();
        let result = signature == KNOWN_SIGNATURE || signature == known;
        Some(VerifySignatureResult { result }.encode_to_vec())
    }
}

static VERIFIES: SignatureBackend = host_backend::<Verifies>();
static COUNTS: SignatureBackend = host_backend::<Counts>();
static VERIFIES_RSA: SignatureBackend = host_backend::<VerifiesRsa>();
static SAYS_YES: SignatureBackend = host_backend::<SaysYes>();
static SAYS_NO: SignatureBackend = host_backend::<SaysNo>();
static LACKS: SignatureBackend = host_backend::<Lacks>();
static ANY_SIGNATURE: SignatureBackend = host_backend::<TakesAnySignature>();
static ANY_TEXT: SignatureBackend = host_backend::<TakesAnyText>();

#[test]
fn only_a_host_that_tells_good_from_bad_is_used() {
    assert_eq!(VERIFIES.or_rsa_crate().name(), "host");
    for host in [&SAYS_YES, &SAYS_NO, &LACKS, &ANY_SIGNATURE, &ANY_TEXT] {
        assert_eq!(host.or_rsa_crate().name(), "crate");
    }
}

#[test]
fn a_host_without_es256_leaves_that_to_the_crate() {
    assert_eq!(VERIFIES_RSA.or_rsa_crate().name(), "host");
    assert_eq!(VERIFIES.judges_es256(), Some(true));
    for host in [&VERIFIES_RSA, &SAYS_YES, &SAYS_NO, &LACKS, &ANY_SIGNATURE, &ANY_TEXT] {
        assert_eq!(host.judges_es256(), Some(false));
        let verifier = host.verifier(&p256_key()).unwrap();
        let accepts = |text: &[u8]| verifier.verify(text, &KNOWN_ES256_SIGNATURE.to_vec()).is_ok();
        assert!(accepts(KNOWN_TEXT) && !accepts(b"another text"));
    }
}

#[test]
fn a_host_that_tells_good_from_bad_verifies_signatures_of_either_algorithm() {
    let (rsa, es256) = (Algorithm::RS256, Algorithm::ES256);
    for (key, known, algorithm) in
        [(rsa_key(), KNOWN_SIGNATURE, rsa), (p256_key(), KNOWN_ES256_SIGNATURE, es256)]
    {
        let verifier = COUNTS.verifier(&key).unwrap();
        assert_eq!(verifier.algorithm(), algorithm);
        let before = ASKED.load(Ordering::Relaxed);
        assert!(verifier.verify(KNOWN_TEXT, &known.to_vec()).is_ok());
        assert!(verifier.verify(b"another text", &known.to_vec()).is_err());
        assert_eq!(ASKED.load(Ordering::Relaxed), before + 2, "{algorithm:?}");
    }
}

#[test]
fn numbers_of_a_signature_are_written_in_their_shortest_form() {
    let number = |end: &[u8]| [&vec![0; 32 - end.len()], end].concat();
    let der = |r: &[u8], s: &[u8]| ecdsa_der(&[number(r), number(s)].concat());
    assert_eq!(der(&[1], &[0x7f]), Some(vec![0x30, 6, 2, 1, 1, 2, 1, 0x7f]));
    assert_eq!(der(&[0x80], &[0x12, 0]), Some(vec![0x30, 8, 2, 2, 0, 0x80, 2, 2, 0x12, 0]));
    assert_eq!(der(&[], &[1]), Some(vec![0x30, 6, 2, 1, 0, 2, 1, 1]));
    assert_eq!(der(&[0xff; 32], &[1]).unwrap().len(), 2 + 2 + 33 + 3);
    for length in [0, 31, 32, 63, 65, 96, 128] {
        assert_eq!(ecdsa_der(&vec![1; length]), None, "{length}");
    }
}
