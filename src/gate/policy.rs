//! What is allowed: the configuration, read and checked (see [`crate::config`]).

use std::sync::Arc;
use std::time::Duration;

use super::{Audience, Holding, Now, Profile, Refusal, RevocationRule, revocation_rules};
use crate::credential::{Identity, IssuerOf, Issuers};

/// What is allowed.
#[derive(Debug)]
pub struct Policy {
    /// The server behind the gate.
    pub profile: Profile,
    /// Who may sign, and which tokens are no longer good.
    pub issuers: Issuers,
    /// The rules that revoke tokens besides those whose IDs are revoked.
    pub revocation_rules: Vec<RevocationRule>,
    /// Whether a token must have an `exp`.
    pub require_expiration: bool,
    /// Allowed on either side of `nbf` and `exp`.
    pub leeway: Duration,
    /// The longest token.
    pub max_token_bytes: usize,
    /// Whether refusals are enforced.
    pub mode: Mode,
    /// What happens to open streams.
    pub open_streams: OpenStreams,
    /// The time over which the cuts of one push are spread.
    pub cut_within: Duration,
    /// How much a refused client is told.
    pub error_detail: ErrorDetail,
}

impl Policy {
    /// About how many bytes the policy takes, counting what grows with its lists.
    pub fn bytes(&self) -> usize {
        self.issuers.bytes()
    }

    /// Why the token of `identity` is revoked, if it is. `issuer` has the list of revoked ids.
    pub(crate) fn revokes(
        &self,
        identity: &Identity,
        issuer: IssuerOf<'_>,
        now: Now,
    ) -> Option<Refusal> {
        if issuer.revokes(&identity.id) {
            return Some(Refusal::Revoked { id: (*identity.id).to_owned() });
        }
        let rule = revocation_rules::revoking(&self.revocation_rules, identity, now)?;
        Some(Refusal::RevokedByRule { rule })
    }

    /// The zone that the control plane serves; a global control plane serves all zones.
    pub fn zone(&self) -> Option<&str> {
        match &self.profile {
            Profile::DpServer(server) => Some(&server.zone),
            Profile::GlobalKds(_) => None,
        }
    }

    /// The zones that have their own metrics.
    pub fn counted_zones(&self) -> impl Iterator<Item = &Arc<str>> {
        let zones = match &self.profile {
            Profile::DpServer(_) => None,
            Profile::GlobalKds(kds) => Some(&kds.count_zones),
        };
        zones.into_iter().flatten()
    }

    /// The name of a zone, if it has its own metrics.
    pub fn counted_zone(&self, zone: &[u8]) -> Option<&Arc<str>> {
        match &self.profile {
            Profile::DpServer(_) => None,
            Profile::GlobalKds(kds) => kds.counted(zone),
        }
    }

    /// Why a request is refused that has been held for this long; `None` while it may be held.
    pub fn overdue(&self, held: Duration) -> Option<Refusal> {
        match &self.profile {
            Profile::DpServer(server) => {
                let waited = server.first_message;
                (held >= waited).then_some(Refusal::NoFirstMessage { waited })
            }
            // This gate holds no requests: the request came before a push.
            Profile::GlobalKds(_) => Some(Refusal::PathDenied(Audience::ControlPlanes)),
        }
    }

    /// Which part of a waiting request is held.
    pub fn holding(&self) -> Holding {
        match &self.profile {
            Profile::DpServer(server) => server.holding,
            Profile::GlobalKds(_) => Holding::Everything,
        }
    }

    /// Holds waiting requests as a whole, whatever the configuration says, for hosts that can do so.
    pub fn hold_everything(&mut self) {
        match &mut self.profile {
            Profile::DpServer(server) => server.holding = Holding::Everything,
            Profile::GlobalKds(_) => {}
        }
    }

    /// How long a request may be held; zero if the headers decide.
    pub fn held_at_most(&self) -> Duration {
        match &self.profile {
            Profile::DpServer(server) => server.first_message,
            Profile::GlobalKds(_) => Duration::ZERO,
        }
    }
}

/// Whether refusals are enforced.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mode {
    /// Refusals are enforced.
    #[default]
    Enforce,
    /// Refusals are counted and logged, and everything passes.
    Shadow,
}

/// What happens to open streams.
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

/// What happens to an open stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnOpen {
    /// It is cut.
    Cut,
    /// It stays open.
    Keep,
}

/// How much a refused client is told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ErrorDetail {
    /// The reason and a sentence.
    #[default]
    Reason,
    /// Only that it was refused.
    None,
}
