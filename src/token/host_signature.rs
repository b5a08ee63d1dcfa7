//! RS256 by the host that the module runs in: Envoy verifies in machine code, several times faster than
//! any arithmetic inside a VM.
//!
//! In: a [`Host`] that calls the foreign function `verify_signature`. Out: a [`SignatureBackend`] over
//! it. A host that lacks the function, or says yes to a signature that is wrong, is found by
//! [`SignatureBackend::or_rsa_crate`]. How the function is called is the shell's business.

use std::marker::PhantomData;

use jsonwebtoken::Algorithm;
use jsonwebtoken::crypto::JwtVerifier;
use prost::Message;

use super::{KeyError, PublicKey, SignatureBackend, Verifier};

/// A host with the foreign function `verify_signature`.
pub trait Host: Send + Sync + 'static {
    /// Calls it with a `VerifySignatureArguments`. Out: a `VerifySignatureResult`, or `None` where the
    /// host has no such function or refuses the arguments (Envoy:
    /// `source/extensions/common/wasm/foreign.cc`).
    fn verify_signature(arguments: &[u8]) -> Option<Vec<u8>>;
}

/// RS256 by host `H`.
pub const fn host_backend<H: Host>() -> SignatureBackend {
    SignatureBackend::new("host", prepare::<H>)
}

fn prepare<H: Host>(key: &PublicKey) -> Result<Verifier, KeyError> {
    Ok(Box::new(HostRs256::<H>::new(key)))
}

struct HostRs256<H> {
    /// The fields that are the same for every token, encoded once.
    prefix: Vec<u8>,
    host: PhantomData<H>,
}

impl<H> HostRs256<H> {
    fn new(key: &PublicKey) -> Self {
        let fixed = FixedArguments {
            hash_function: "sha256".to_owned(),
            public_key: key.spki_der().to_vec(),
        };
        Self { prefix: fixed.encode_to_vec(), host: PhantomData }
    }

    /// The whole message: fields of a protobuf message may be encoded one after the other.
    fn arguments(&self, text: &[u8], signature: &[u8]) -> Vec<u8> {
        // A tag and a length of up to five bytes before each of the two.
        let capacity = [self.prefix.len(), text.len(), signature.len(), 12];
        let mut arguments = Vec::with_capacity(capacity.into_iter().fold(0, usize::saturating_add));
        arguments.extend_from_slice(&self.prefix);
        push_bytes(&mut arguments, 3, signature);
        push_bytes(&mut arguments, 4, text);
        arguments
    }
}

impl<H: Host> signature::Verifier<Vec<u8>> for HostRs256<H> {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), signature::Error> {
        let answer = H::verify_signature(&self.arguments(message, signature));
        let answer = answer.and_then(|bytes| VerifySignatureResult::decode(bytes.as_slice()).ok());
        match answer {
            Some(VerifySignatureResult { result: true }) => Ok(()),
            _ => Err(signature::Error::new()),
        }
    }
}

impl<H: Host> JwtVerifier for HostRs256<H> {
    fn algorithm(&self) -> Algorithm {
        Algorithm::RS256
    }
}

/// Appends a field of bytes, without copying them into a message first.
fn push_bytes(message: &mut Vec<u8>, field: u32, bytes: &[u8]) {
    prost::encoding::encode_key(field, prost::encoding::WireType::LengthDelimited, message);
    prost::encoding::encode_varint(u64::try_from(bytes.len()).unwrap_or(u64::MAX), message);
    message.extend_from_slice(bytes);
}

/// `envoy.source.extensions.common.wasm.VerifySignatureArguments`, the fields that do not change.
/// `signature` is 3 and `text` is 4.
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
#[allow(clippy::unwrap_used)] // a test may panic
mod tests {
    use super::*;
    use crate::token::RSA_CRATE;
    use crate::token::signature::{KNOWN_KEY, KNOWN_SIGNATURE, KNOWN_TEXT};

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

    /// A host that verifies, by crate `rsa`.
    struct Verifies;
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
            let key = PublicKey::from_pem(KNOWN_KEY).unwrap();
            assert_eq!(public_key, key.spki_der());
            let result = RSA_CRATE.verifier(&key).unwrap().verify(&text, &signature).is_ok();
            Some(VerifySignatureResult { result }.encode_to_vec())
        }
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

    /// Fails one part of the self-test each.
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
            let result = Arguments::decode(arguments).unwrap().signature == KNOWN_SIGNATURE;
            Some(VerifySignatureResult { result }.encode_to_vec())
        }
    }

    static VERIFIES: SignatureBackend = host_backend::<Verifies>();
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
}
