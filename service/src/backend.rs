//! The backend that verifies signatures: ring, which TLS needs anyway.
//!
//! In: public keys. Out: verifiers. A backend that fails the self-test is not used: [`SignatureBackend::or_rsa_crate`].

use std::sync::OnceLock;

use jsonwebtoken::Algorithm;
use jsonwebtoken::crypto::JwtVerifier;
use ring::signature::{RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY as RS256, UnparsedPublicKey};
use zonegate::token::{KeyError, RSA_CRATE, SignatureBackend, VerificationKey, Verifier};

static RING: SignatureBackend = SignatureBackend::new("ring", prepare);

/// Chooses the backend by the self-test, once for the process.
pub(crate) fn choose() -> &'static SignatureBackend {
    static CHOSEN: OnceLock<&'static SignatureBackend> = OnceLock::new();
    CHOSEN.get_or_init(|| RING.or_rsa_crate())
}

/// ring has its own limits for exponents and sizes of keys, and does not report them before it verifies. So crate `rsa`
/// verifies by all keys that are not of a usual kind.
fn prepare(key: &VerificationKey) -> Result<Verifier, KeyError> {
    match key {
        VerificationKey::Rsa(rsa) if is_usual(rsa.pkcs1_der()) => {
            Ok(Box::new(Rs256(UnparsedPublicKey::new(&RS256, rsa.pkcs1_der().to_vec()))))
        }
        VerificationKey::Rsa(_) | VerificationKey::P256(_) => RSA_CRATE.verifier(key),
    }
}

/// Whether the key has 2048, 3072 or 4096 bits and the exponent 65537, by the length and the end of its DER.
fn is_usual(pkcs1_der: &[u8]) -> bool {
    const LENGTHS: [usize; 3] = [270, 398, 526];
    const EXPONENT: &[u8] = &[0x02, 0x03, 0x01, 0x00, 0x01];
    LENGTHS.contains(&pkcs1_der.len()) && pkcs1_der.ends_with(EXPONENT)
}

struct Rs256(UnparsedPublicKey<Vec<u8>>);

impl signature::Verifier<Vec<u8>> for Rs256 {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), signature::Error> {
        self.0.verify(message, signature).map_err(|_| signature::Error::new())
    }
}

impl JwtVerifier for Rs256 {
    fn algorithm(&self) -> Algorithm {
        Algorithm::RS256
    }
}
