//! What is allowed: the configuration, read and checked (see [`crate::config`]).

use std::time::Duration;

use super::RevocationList;
use crate::token::{KeySet, ZoneToken};

/// What is allowed.
#[derive(Debug)]
pub struct Policy {
    /// The zone that the control plane serves.
    pub zone: String,
    /// Who may sign.
    pub keys: KeySet,
    /// Which tokens are no longer good.
    pub revocations: RevocationList,
    /// What may connect.
    pub proxies: Proxies,
    /// What happens to bootstrap requests.
    pub bootstrap: BootstrapPolicy,
    /// Whether a token must have an `exp`.
    pub require_expiration: bool,
    /// Allowed on either side of `nbf` and `exp`.
    pub leeway: Duration,
    /// The longest token.
    pub max_token_bytes: usize,
    /// How long a stream may be held for its first message.
    pub first_message: Duration,
    /// Whether refusals are carried out.
    pub mode: Mode,
    /// What becomes of open streams.
    pub open_streams: OpenStreams,
    /// Over how long the streams that one push ends are spread.
    pub cut_within: Duration,
    /// What a refused client is told.
    pub error_detail: ErrorDetail,
}

impl Policy {
    /// Whether the key that signed `token`, verified under the policy `before`, is here too.
    pub fn knows_key_of(&self, token: &ZoneToken, before: &Self) -> bool {
        let key = self.keys.get(&token.kid);
        key.is_some() && key == before.keys.get(&token.kid)
    }
}

/// Whether refusals are carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// They are.
    Enforce,
    /// They are counted and logged, and everything passes.
    Shadow,
}

/// What becomes of open streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenStreams {
    /// When the token is revoked.
    pub on_revoked: OnOpen,
    /// When the key that signed the token is removed or replaced.
    pub on_key_removed: OnOpen,
    /// When the token expires.
    pub on_expired: OnOpen,
}

/// What becomes of an open stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnOpen {
    /// It is cut.
    Cut,
    /// It goes on.
    Keep,
}

/// What may connect, by proxy type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Proxies {
    /// A zone ingress.
    pub ingress: ZoneProxy,
    /// A zone egress.
    pub egress: ZoneProxy,
    /// A sidecar.
    pub dataplane: Dataplane,
}

/// Whether a kind of zone proxy may connect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ZoneProxy {
    /// With a zone token.
    ZoneToken,
    /// Not at all.
    Deny,
}

/// Whether a sidecar may connect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dataplane {
    /// Not at all.
    Deny,
    /// Unchecked: its token is the control plane's business.
    Pass,
}

/// What happens to bootstrap requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BootstrapPolicy {
    /// The token in the body is judged.
    Verify,
    /// All of them pass unchecked.
    Pass,
    /// None passes.
    Deny,
}

/// What a refused client is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorDetail {
    /// The reason and a sentence.
    Reason,
    /// Only that it was refused.
    None,
}
