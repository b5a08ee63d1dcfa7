//! The backend that verifies signatures: AWS-LC, or crate `rsa` if the library was built without a C compiler.
//!
//! In: public keys. Out: verifiers, each with its key read once. A backend that fails on known
//! signatures is not used: [`SignatureBackend::or_rsa_crate`].

use std::sync::OnceLock;

use zonegate::token::{RSA_CRATE, SignatureBackend};

static CHOSEN: OnceLock<&'static SignatureBackend> = OnceLock::new();

/// Chooses a backend by a self-test, for the lifetime of the process.
pub(crate) fn choose() -> &'static SignatureBackend {
    CHOSEN.get_or_init(|| {
        #[cfg(feature = "aws-lc")]
        return aws_lc::BACKEND.or_rsa_crate();
        #[cfg(not(feature = "aws-lc"))]
        return &RSA_CRATE;
    })
}

#[cfg(feature = "aws-lc")]
mod aws_lc {
    use aws_lc_rs::signature::{
        ParsedPublicKey, RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY as RS256,
    };
    use jsonwebtoken::Algorithm;
    use jsonwebtoken::crypto::JwtVerifier;
    use zonegate::token::{KeyError, SignatureBackend, VerificationKey, Verifier};

    use super::RSA_CRATE;

    /// RS256 by AWS-LC. The algorithm's name includes a range of key sizes. The core decides which keys are too
    /// small.
    pub(super) static BACKEND: SignatureBackend = SignatureBackend::new("aws-lc", prepare);

    /// AWS-LC has its own limits on exponents and odd sizes. Crate `rsa` verifies with a key beyond them that Kuma
    /// accepts.
    fn prepare(key: &VerificationKey) -> Result<Verifier, KeyError> {
        match key {
            VerificationKey::Rsa(rsa) => match ParsedPublicKey::new(&RS256, rsa.pkcs1_der()) {
                Ok(rsa) => Ok(Box::new(Rs256(rsa))),
                Err(_) => RSA_CRATE.verifier(key),
            },
            VerificationKey::P256(_) => RSA_CRATE.verifier(key),
        }
    }

    struct Rs256(ParsedPublicKey);

    impl signature::Verifier<Vec<u8>> for Rs256 {
        fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), signature::Error> {
            self.0.verify_sig(message, signature).map_err(|_| signature::Error::new())
        }
    }

    impl JwtVerifier for Rs256 {
        fn algorithm(&self) -> Algorithm {
            Algorithm::RS256
        }
    }
}
