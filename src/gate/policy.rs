//! What is allowed: the configuration, read and checked (see [`crate::config`]).

use std::time::Duration;

use super::{DpServer, RevocationList};
use crate::token::KeySet;

/// What is allowed.
#[derive(Debug)]
pub struct Policy {
    /// What stands behind the gate.
    pub profile: Profile,
    /// Who may sign.
    pub keys: KeySet,
    /// Which tokens are no longer good.
    pub revocations: RevocationList,
    /// Whether a token must have an `exp`.
    pub require_expiration: bool,
    /// Allowed on either side of `nbf` and `exp`.
    pub leeway: Duration,
    /// The longest token.
    pub max_token_bytes: usize,
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
    /// About how many bytes it takes: what grows with its lists.
    pub fn bytes(&self) -> usize {
        const KEY: usize = 4096;
        self.revocations.bytes().saturating_add(self.keys.iter().count().saturating_mul(KEY))
    }

    /// The zone that the control plane serves; a global one serves all.
    pub fn zone(&self) -> Option<&str> {
        match &self.profile {
            Profile::DpServer(server) => Some(&server.zone),
            Profile::GlobalKds => None,
        }
    }

    /// How long a request may be held; not at all where the headers decide.
    pub fn held_at_most(&self) -> Duration {
        match &self.profile {
            Profile::DpServer(server) => server.first_message,
            Profile::GlobalKds => Duration::ZERO,
        }
    }
}

/// What stands behind the gate: which server of which control plane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Profile {
    /// A zone's control plane, its dataplane server (:5678).
    DpServer(DpServer),
    /// A global control plane, its KDS server (:5685). The zone is the one that each caller claims.
    GlobalKds,
}

/// Whether refusals are carried out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mode {
    /// They are.
    #[default]
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
    /// When a stream that passed in shadow mode would be refused in enforce mode.
    pub on_enforce: OnOpen,
}

/// What becomes of an open stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnOpen {
    /// It is cut.
    Cut,
    /// It goes on.
    Keep,
}

/// What a refused client is told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ErrorDetail {
    /// The reason and a sentence.
    #[default]
    Reason,
    /// Only that it was refused.
    None,
}
