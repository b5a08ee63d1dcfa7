//! What verifies signatures: ring, which TLS needs anyway.
//!
//! In: public keys. Out: verifiers. A backend that does not judge known signatures rightly is not used:
//! [`SignatureBackend::or_rsa_crate`].

use std::sync::OnceLock;

use jsonwebtoken::Algorithm;
use jsonwebtoken::crypto::JwtVerifier;
use ring::signature::{RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY as RS256, UnparsedPublicKey};
use zonegate::token::{KeyError, RSA_CRATE, SignatureBackend, VerificationKey, Verifier};

static RING: SignatureBackend = SignatureBackend::new("ring", prepare);

/// Chooses, by trying, for as long as the process lives.
pub(crate) fn choose() -> &'static SignatureBackend {
    static CHOSEN: OnceLock<&'static SignatureBackend> = OnceLock::new();
    CHOSEN.get_or_init(|| RING.or_rsa_crate())
}

/// ring has bounds of its own for exponents and odd sizes, and names none of them before it verifies. A key
/// that is not of the usual kind is used by crate `rsa`.
fn prepare(key: &VerificationKey) -> Result<Verifier, KeyError> {
    match key {
        VerificationKey::Rsa(rsa) if is_usual(rsa.pkcs1_der()) => {
            Ok(Box::new(Rs256(UnparsedPublicKey::new(&RS256, rsa.pkcs1_der().to_vec()))))
        }
        VerificationKey::Rsa(_) | VerificationKey::P256(_) => RSA_CRATE.verifier(key),
    }
}

/// Whether it has 2048, 3072 or 4096 bits and the exponent 65537, by the form that such a key has in DER.
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
