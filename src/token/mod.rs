//! What a zone token is.
//!
//! In: the text of a token and the keys that may have signed it. Out: claims whose signature was
//! verified, or a [`TokenError`]. Each step is a type that consumes the one before, so a claim
//! cannot be reached without a verified signature:
//!
//! ```text
//! text ─ CompactToken ─ SignedToken ─ KeySet::verify ─ VerifiedToken ─ ZoneToken
//!        three segments  header read    RS256            claims text     claims read
//! ```
//!
//! A text that went this way before is not verified again; see [`TokenCache`].
//!
//! Not checked here: time, revocation, zone and scope. They depend on when and where a token is
//! used; see [`crate::gate`].

mod base64url;
mod cache;
mod claims;
mod compact;
mod der;
mod error;
mod fingerprint;
mod header;
mod host_signature;
mod json;
mod key;
mod key_error;
mod keyset;
mod not_pem;
mod numbers;
pub mod pem;
mod same;
mod signature;
mod unverified;

pub use cache::{CACHE_BYTES, TokenCache};
pub use claims::{Claims, NumericDate};
pub use compact::CompactToken;
pub use der::DerKind;
pub use error::{MistypedClaim, Segment, TokenError};
pub use fingerprint::Fingerprint;
pub use header::SignedToken;
pub use host_signature::{Host, host_backend};
pub use json::{JsonError, MAX_DEPTH, Members, fold_name, members, normalise};
pub use key::{MAX_BITS, MIN_BITS, PublicKey};
pub use key_error::KeyError;
pub use keyset::{KeySet, VerifiedToken};
pub use not_pem::NotPem;
pub use signature::{RSA_CRATE, SignatureBackend, UnknownVmConfiguration, Verifier};
pub use unverified::Unverified;

use std::sync::Arc;

/// A token whose signature was verified and whose claims were read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ZoneToken {
    /// The configured `kid` of the key that signed it.
    pub kid: Arc<str>,
    /// The key that signed it. Whether the key is still configured is a comparison with the policy in
    /// force: [`KeySet::holds`].
    pub key: Fingerprint,
    /// How long its text is, in bytes.
    pub length: usize,
    /// What it claims.
    pub claims: Claims,
}

/// Reads and verifies `text` (the value of `authorization`, without any scheme).
///
/// # Errors
/// The first rule of RFC 7515, RFC 7519 or Kuma's validator that the token breaks.
pub fn authenticate(text: &[u8], keys: &KeySet) -> Result<Arc<ZoneToken>, TokenError> {
    let signed = CompactToken::parse(text)?.read_header()?;
    Ok(Arc::new(keys.verify(signed)?.read_claims()?))
}
