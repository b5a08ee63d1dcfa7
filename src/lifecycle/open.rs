//! What is remembered of an open stream, and which policy or time ends it.
//!
//! In: the identity of a verified token, a policy, the time. Out: why the stream is cut, if it is. [`super::cuts`]
//! cuts streams.

use std::fmt;
use std::sync::Arc;

use crate::credential::{Identity, Token};
use crate::gate::{Claimed, ClaimedNode, Mode, Now, OnOpen, Permit, Policy, UnixTime, has_expired};

/// Why an open stream is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cut {
    /// Its token was revoked.
    Revoked,
    /// The key that signed its token is no longer configured.
    KeyRemoved,
    /// Its token has expired.
    Expired,
    /// It passed in shadow mode, and the policy in force refuses it.
    Enforced,
    /// Another module serves the gateway now, with a policy that this module cannot read.
    ModuleReplaced,
}

impl Cut {
    /// Every cause, once.
    pub const ALL: [Self; 5] =
        [Self::Revoked, Self::KeyRemoved, Self::Expired, Self::Enforced, Self::ModuleReplaced];

    /// Its name in logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Revoked => "revoked",
            Self::KeyRemoved => "key_removed",
            Self::Expired => "expired",
            Self::Enforced => "enforced",
            Self::ModuleReplaced => "module_replaced",
        }
    }
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A stream that passed in shadow mode and would have been refused.
#[derive(Debug)]
pub(super) struct Shadowed {
    /// The token, if it was verified.
    token: Option<Arc<Token>>,
    /// Who claimed to hold it, if that is known. Without both, the stream cannot be judged again.
    claimed: Option<Claimed>,
}

impl Shadowed {
    /// Nothing is kept of what a stranger claims, which may be long.
    pub(super) fn new(token: Option<Arc<Token>>, claimed: Option<Claimed>) -> Self {
        let claimed = claimed.filter(|_| token.is_some());
        Self { token, claimed }
    }

    /// Why `policy` ends the stream, or `None` if the stream may stay. A verified token ends it as it ends an open
    /// stream.
    pub(super) fn ended_by(&self, policy: &Policy, clock: Now) -> Option<Cut> {
        let of_token = self.identity().and_then(|identity| policy.ends(&identity, clock));
        let switch = policy.open_streams.on_enforce;
        let is_enforced = policy.mode == Mode::Enforce && switch == OnOpen::Cut;
        of_token.or_else(|| {
            let is_refused = is_enforced && self.now_allowed(policy, clock).is_none();
            is_refused.then_some(Cut::Enforced)
        })
    }

    /// Whose stream it is, if `policy` would let it in.
    pub(super) fn now_allowed(&self, policy: &Policy, clock: Now) -> Option<Arc<Identity>> {
        let (token, caller) = self.token.as_ref().zip(self.claimed.as_ref())?;
        match policy.judge_again(token, caller, clock).ok()? {
            Permit::Token { identity, .. } => Some(identity),
            Permit::Unchecked(_) => None,
        }
    }

    /// Whose stream it is, if that was verified.
    pub(super) fn identity(&self) -> Option<Arc<Identity>> {
        let token = self.token.as_ref()?;
        Some(match &self.claimed {
            Some(Claimed::Proxy(Some(ClaimedNode { identity: Ok(node), .. }))) => {
                token.identity_in(&node.mesh)
            }
            _ => Arc::clone(&token.identity),
        })
    }
}

impl Policy {
    /// Why this policy ends an open stream with a token of `identity`.
    pub(super) fn ends(&self, identity: &Identity, clock: Now) -> Option<Cut> {
        if self.mode == Mode::Shadow {
            return None;
        }
        let switches = self.open_streams;
        let issuer = self.issuers.of(identity.kind, &identity.mesh);
        if switches.on_revoked == OnOpen::Cut && self.revokes(identity, issuer, clock).is_some() {
            return Some(Cut::Revoked);
        }
        let is_here = issuer.holds(&identity.kid, identity.key);
        if switches.on_key_removed == OnOpen::Cut && !is_here {
            return Some(Cut::KeyRemoved);
        }
        clock.credible().ok().and_then(|now| self.expires(identity, now))
    }

    /// [`Cut::Expired`] if this policy ends a stream of `identity` at `now`, because its token has expired.
    pub(super) fn expires(&self, identity: &Identity, now: UnixTime) -> Option<Cut> {
        let cuts = self.mode == Mode::Enforce && self.open_streams.on_expired == OnOpen::Cut;
        (cuts && has_expired(identity.expires_at, now, self)).then_some(Cut::Expired)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_kept_of_what_a_stranger_claims() {
        assert_eq!(Shadowed::new(None, Some(Claimed::SomeProxy)).claimed, None);
    }
}
