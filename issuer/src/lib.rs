//! Issues keys and zone tokens as kumactl does.
//!
//! In: a private key, and what a token shall say. Out: a token that Kuma accepts. The command line,
//! the demo and the tests share it. Nothing here asks whether a token should be issued: whoever
//! holds the key decides.
//!
//! ```text
//! PEM ─ SigningKey ─┬─ public_key ─ for the gate and the control plane
//!                   └─ ZoneTokenRequest::issue ─ token
//! ```

mod error;
mod key;
mod public;
mod zone_token;

pub use error::SigningKeyError;
pub use key::{DEFAULT_BITS, SigningKey};
pub use public::{jwk, spki_pem};
pub use zone_token::{IssueError, Scope, ZoneTokenRequest};
