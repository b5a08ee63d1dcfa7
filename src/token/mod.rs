//! What a token is: a JWS in compact form, signed by one of our keys.
//!
//! In: the text of a token and the keys that may have signed it. Out: claims whose signature was
//! verified, or a [`TokenError`]. Each step is a type that consumes the one before, so a claim
//! cannot be reached without a verified signature:
//!
//! ```text
//! text ─ CompactToken ─ SignedToken ─ KeySet::verify ─ VerifiedToken ─ credential::Token
//!        three segments  header read    RS256, ES256     claims text     claims read
//! ```
//!
//! Not checked here: the meaning of the claims, which depends on the kind of token (see [`crate::credential`]); time
//! and revocation, which depend on when a token is used (see [`crate::gate`]).

mod base64url;
mod compact;
mod der;
mod error;
mod fingerprint;
mod header;
mod host_signature;
mod key;
mod key_error;
mod keyset;
mod not_pem;
mod p256_key;
pub mod pem;
mod registered;
mod same;
mod signature;
mod unverified;
mod verification_key;

pub use compact::CompactToken;
pub use der::DerKind;
pub use error::{MistypedClaim, Segment, TokenError};
pub use fingerprint::Fingerprint;
pub(crate) use header::LastHeader;
pub use header::SignedToken;
pub use host_signature::{Host, host_backend};
pub use key::{MAX_BITS, MIN_BITS, PublicKey};
pub use key_error::KeyError;
pub use keyset::{KeySet, VerifiedToken};
pub use not_pem::NotPem;
pub use p256_key::P256Key;
pub use registered::{NumericDate, PrivateClaims, Registered, read_claims};
pub(crate) use registered::{set_string, string_list};
pub(crate) use same::same;
pub use signature::{RSA_CRATE, SignatureBackend, UnknownVmConfiguration, Verifier};
pub use unverified::Unverified;
pub use verification_key::{Algorithm, VerificationKey};
