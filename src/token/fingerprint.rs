//! The fingerprint of a key: 32 bytes that identify the key.
//!
//! In: a `SubjectPublicKeyInfo`. Out: its SHA-256. Keys with the same fingerprint are the same key, because no
//! collision of SHA-256 is known. Keys are not parsed here.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use sha2::{Digest, Sha256};

/// The SHA-256 of a `SubjectPublicKeyInfo` (RFC 5280 §4.1). Shown as ssh shows fingerprints.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// The fingerprint of the key in `spki_der`.
    pub fn of(spki_der: &[u8]) -> Self {
        Self(Sha256::digest(spki_der).into())
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SHA256:{}", STANDARD_NO_PAD.encode(self.0))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
