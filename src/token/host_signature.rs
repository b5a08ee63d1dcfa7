//! RS256 and ES256, verified by the host of the module: Envoy verifies in machine code, several times faster than a VM
//! can.
//!
//! In: a [`Host`] that calls the foreign function `verify_signature`. Out: a [`SignatureBackend`] that uses it.
//! [`SignatureBackend::or_rsa_crate`], and for ES256 [`SignatureBackend::verifier`], detect a host that lacks the
//! function or accepts a bad signature. The shell calls the function.

use std::marker::PhantomData;

use jsonwebtoken::Algorithm;
use jsonwebtoken::crypto::JwtVerifier;
use prost::Message;

use super::der::{INTEGER, SEQUENCE, element};
use super::{KeyError, SignatureBackend, VerificationKey, Verifier};

/// A host with the foreign function `verify_signature`.
pub trait Host: Send + Sync + 'static {
    /// Calls the function with a `VerifySignatureArguments`. Out: a `VerifySignatureResult`, or `None` if the host has
    /// no such function or refuses the arguments (Envoy: `source/extensions/common/wasm/foreign.cc`).
    fn verify_signature(arguments: &[u8]) -> Option<Vec<u8>>;
}

/// A backend that verifies RS256 and ES256 by host `H`.
pub const fn host_backend<H: Host>() -> SignatureBackend {
    SignatureBackend::new("host", prepare::<H>)
}

fn prepare<H: Host>(key: &VerificationKey) -> Result<Verifier, KeyError> {
    let key_of_host = HostKey::<H>::new(key.spki_der());
    Ok(match key {
        VerificationKey::Rsa(_) => Box::new(HostRs256(key_of_host)),
        VerificationKey::P256(_) => Box::new(HostEs256(key_of_host)),
    })
}

/// A key of any type, in the form that the host takes.
struct HostKey<H> {
    /// The fields that are the same for every token, encoded once.
    prefix: Vec<u8>,
    host: PhantomData<H>,
}

impl<H: Host> HostKey<H> {
    fn new(spki_der: &[u8]) -> Self {
        let fixed =
            FixedArguments { hash_function: "sha256".to_owned(), public_key: spki_der.to_vec() };
        Self { prefix: fixed.encode_to_vec(), host: PhantomData }
    }

    /// The whole message: encoded fields of a protobuf message can simply be appended.
    fn arguments(&self, text: &[u8], signature: &[u8]) -> Vec<u8> {
        // A tag and a length of up to five bytes before each of the two.
        let capacity = [self.prefix.len(), text.len(), signature.len(), 12];
        let mut arguments = Vec::with_capacity(capacity.into_iter().fold(0, usize::saturating_add));
        arguments.extend_from_slice(&self.prefix);
        push_bytes(&mut arguments, 3, signature);
        push_bytes(&mut arguments, 4, text);
        arguments
    }

    fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), signature::Error> {
        let answer = H::verify_signature(&self.arguments(message, signature));
        let answer = answer.and_then(|bytes| VerifySignatureResult::decode(bytes.as_slice()).ok());
        match answer {
            Some(VerifySignatureResult { result: true }) => Ok(()),
            _ => Err(signature::Error::new()),
        }
    }
}

struct HostRs256<H>(HostKey<H>);

impl<H: Host> signature::Verifier<Vec<u8>> for HostRs256<H> {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), signature::Error> {
        self.0.verify(message, signature)
    }
}

impl<H: Host> JwtVerifier for HostRs256<H> {
    fn algorithm(&self) -> Algorithm {
        Algorithm::RS256
    }
}

struct HostEs256<H>(HostKey<H>);

impl<H: Host> signature::Verifier<Vec<u8>> for HostEs256<H> {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), signature::Error> {
        let signature = ecdsa_der(signature).ok_or_else(signature::Error::new)?;
        self.0.verify(message, &signature)
    }
}

impl<H: Host> JwtVerifier for HostEs256<H> {
    fn algorithm(&self) -> Algorithm {
        Algorithm::ES256
    }
}

/// Converts a signature from the form in tokens, `r` and `s` of 32 bytes each (RFC 7518 §3.4), to the form that the
/// host takes, `Ecdsa-Sig-Value` (RFC 3279 §2.2.3).
fn ecdsa_der(signature: &[u8]) -> Option<Vec<u8>> {
    let (r, s) = signature.split_at_checked(32).filter(|(_, s)| s.len() == 32)?;
    Some(element(SEQUENCE, &[&unsigned_integer(r), &unsigned_integer(s)]))
}

/// An INTEGER in its shortest form. INTEGER is signed, so a zero precedes digits that begin with a set bit.
fn unsigned_integer(digits: &[u8]) -> Vec<u8> {
    let start = digits.iter().position(|byte| *byte != 0).unwrap_or(digits.len());
    let digits = digits.get(start..).unwrap_or_default();
    match digits.first() {
        Some(..=0x7f) => element(INTEGER, &[digits]),
        Some(0x80..) | None => element(INTEGER, &[&[0], digits]),
    }
}

/// Appends a field of bytes, without copying them into a message first.
fn push_bytes(message: &mut Vec<u8>, field: u32, bytes: &[u8]) {
    prost::encoding::encode_key(field, prost::encoding::WireType::LengthDelimited, message);
    prost::encoding::encode_varint(u64::try_from(bytes.len()).unwrap_or(u64::MAX), message);
    message.extend_from_slice(bytes);
}

/// `envoy.source.extensions.common.wasm.VerifySignatureArguments`, the fields that do not change. Field 3 is
/// `signature`, field 4 is `text`.
#[derive(Clone, PartialEq, prost::Message)]
struct FixedArguments {
    #[prost(string, tag = "1")]
    hash_function: String,
    #[prost(bytes = "vec", tag = "2")]
    public_key: Vec<u8>,
}

/// `envoy.source.extensions.common.wasm.VerifySignatureResult`, as far as it matters here.
#[derive(Clone, PartialEq, prost::Message)]
struct VerifySignatureResult {
    #[prost(bool, tag = "1")]
    result: bool,
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)] // a test may panic
mod tests {
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
    /// The same, for RSA keys only.
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
            let accepts =
                |text: &[u8]| verifier.verify(text, &KNOWN_ES256_SIGNATURE.to_vec()).is_ok();
            assert!(accepts(KNOWN_TEXT) && !accepts(b"another text"));
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
}
