//! RS256 by the host that the module runs in: Envoy verifies in machine code, several times faster than
//! any arithmetic inside a VM.
//!
//! In: a [`Host`] that calls the foreign function `verify_signature`. Out: a [`CryptoProvider`] over
//! it, and whether it is to be used: a host that lacks the function, or says yes to a signature that
//! is wrong, is not. How the function is called is the shell's business.

use std::marker::PhantomData;

use jsonwebtoken::crypto::{CryptoProvider, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{Error, ErrorKind};
use jsonwebtoken::{Algorithm, DecodingKey};
use prost::Message;

use super::signature::signer_factory;
use super::{PROVIDER, PublicKey, verifier};

/// A host with the foreign function `verify_signature`.
pub trait Host: 'static {
    /// Calls it with a `VerifySignatureArguments`. Out: a `VerifySignatureResult`, or `None` where the
    /// host has no such function or refuses the arguments (Envoy:
    /// `source/extensions/common/wasm/foreign.cc`).
    fn verify_signature(arguments: &[u8]) -> Option<Vec<u8>>;
}

/// RS256 by host `H`; it verifies and does not sign.
pub const fn host_provider<H: Host>() -> CryptoProvider {
    CryptoProvider {
        signer_factory,
        verifier_factory: verifier_factory::<H>,
        key_utils: KeyUtils::new_unimplemented(),
    }
}

/// Whose arithmetic verifies signatures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arithmetic {
    /// The host's.
    Host,
    /// Crate `rsa`, compiled into the module.
    Crate,
}

impl Arithmetic {
    /// Tries `host` on a signature that is good and on two that are not.
    pub fn choose(host: &CryptoProvider) -> Self {
        match is_right(host) {
            Some(true) => Self::Host,
            Some(false) | None => Self::Crate,
        }
    }

    /// Its provider, where `host` is that of the host.
    pub fn provider(self, host: &'static CryptoProvider) -> &'static CryptoProvider {
        match self {
            Self::Host => host,
            Self::Crate => &PROVIDER,
        }
    }

    /// Its one spelling.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Crate => "crate",
        }
    }
}

/// A key that was made for this, and thrown away, with its signature of [`KNOWN_TEXT`].
const KNOWN_KEY: &str = include_str!("known/key.pem");
const KNOWN_SIGNATURE: &[u8] = include_bytes!("known/signature.bin");
const KNOWN_TEXT: &[u8] = b"zonegate: known text";

/// Whether `provider` judges three known signatures rightly; `None` where it cannot be tried.
fn is_right(provider: &CryptoProvider) -> Option<bool> {
    let key = PublicKey::from_pem(KNOWN_KEY).ok()?;
    let verifier = verifier(provider, &key).ok()?;
    let mut altered = KNOWN_SIGNATURE.to_vec();
    *altered.last_mut()? ^= 1;
    let accepts = |text: &[u8], signature| verifier.verify(text, &signature).is_ok();
    Some(
        accepts(KNOWN_TEXT, KNOWN_SIGNATURE.to_vec())
            && !accepts(KNOWN_TEXT, altered)
            && !accepts(b"another text", KNOWN_SIGNATURE.to_vec()),
    )
}

fn verifier_factory<H: Host>(
    algorithm: &Algorithm,
    key: &DecodingKey,
) -> Result<Box<dyn JwtVerifier>, Error> {
    if *algorithm != Algorithm::RS256 {
        return Err(ErrorKind::InvalidAlgorithm.into());
    }
    let key = PublicKey::from_pkcs1_der(key.try_get_as_bytes()?)
        .map_err(|_| ErrorKind::InvalidKeyFormat)?;
    Ok(Box::new(HostRs256::<H>::new(&key)))
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
            let result = verifier(&PROVIDER, &key).unwrap().verify(&text, &signature).is_ok();
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

    #[test]
    fn only_a_host_that_tells_good_from_bad_is_used() {
        assert_eq!(Arithmetic::choose(&host_provider::<Verifies>()), Arithmetic::Host);
        assert_eq!(Arithmetic::choose(&host_provider::<SaysYes>()), Arithmetic::Crate);
        assert_eq!(Arithmetic::choose(&host_provider::<SaysNo>()), Arithmetic::Crate);
        assert_eq!(Arithmetic::choose(&host_provider::<Lacks>()), Arithmetic::Crate);
    }

    #[test]
    fn the_known_signature_is_good() {
        assert_eq!(is_right(&PROVIDER), Some(true));
    }
}
