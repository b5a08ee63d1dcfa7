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
mod tests;
