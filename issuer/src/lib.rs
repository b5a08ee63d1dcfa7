//! Issues keys, zone tokens and dataplane tokens as kumactl does.
//!
//! In: a private key, and the contents of a token. Out: a token that Kuma accepts. The command line, the demo and the
//! tests use this crate. The holder of the key decides whether a token should be issued; nothing is checked here.
//!
//! ```text
//! PEM ─ SigningKey ─┬─ public_key ─ for the gate and the control plane
//!                   ├─ ZoneTokenRequest::issue ─ token
//!                   └─ DataplaneTokenRequest::issue ─ token
//! ```

mod dataplane_token;
mod error;
mod key;
mod public;
mod token;
mod zone_token;

pub use dataplane_token::{DataplaneTokenRequest, ProxyType};
pub use error::SigningKeyError;
pub use key::{DEFAULT_BITS, SigningKey};
pub use public::{jwk, spki_pem};
pub use token::IssueError;
pub use zone_token::{Scope, ZoneTokenRequest};
