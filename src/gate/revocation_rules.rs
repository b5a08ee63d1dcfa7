//! Rules that revoke tokens by what they say, for those whose IDs nobody knows any more: Kuma keeps no list of the
//! tokens that it issues. Kuma has no such rules.
//!
//! In: the identity of a verified token, and the time. Out: which rule revokes it. A rule only adds to the
//! revoked IDs: nothing that an ID revokes is let in by a rule.

use super::{Now, UnixTime};
use crate::credential::{Identity, Kind};
use crate::token::NumericDate;

/// What one rule says of the tokens that it revokes. All that is there must hold; a rule in which nothing is there
/// revokes nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RevocationRule {
    /// Zone tokens of this zone. One that is good in any zone is of none.
    pub zone: Option<Box<str>>,
    /// Dataplane tokens that keys of this mesh, or of every mesh, verified for a proxy of this mesh.
    pub mesh: Option<Box<str>>,
    /// Dataplane tokens that name this dataplane.
    pub name: Option<Box<str>>,
    /// Tokens of this kid.
    pub kid: Option<Box<str>>,
    /// Tokens that were issued (`iat`) before this time, and those that do not say when they were.
    pub issued_before: Option<NumericDate>,
    /// When the rule ends: when all tokens that it is about have expired.
    pub until: Option<UnixTime>,
    /// Why it is there, for whoever reads the configuration.
    pub note: Box<str>,
}

impl RevocationRule {
    /// Whether the rule revokes the token of `identity`. Where nobody knows what time it is, no rule has ended.
    pub fn revokes(&self, identity: &Identity, now: Now) -> bool {
        let Self { zone, mesh, name, kid, issued_before, until, note: _ } = self;
        let has_ended = until.zip(now.credible().ok()).is_some_and(|(until, now)| now >= until);
        let is = |wanted: &Option<Box<str>>, kind, value: &str| {
            wanted.as_ref().is_none_or(|wanted| identity.kind == kind && **wanted == *value)
        };
        let says_something = [zone, mesh, name, kid].into_iter().any(Option::is_some);
        (says_something || issued_before.is_some())
            && !has_ended
            && is(zone, Kind::ZoneToken, &identity.zone)
            && is(mesh, Kind::DataplaneToken, &identity.mesh)
            && is(name, Kind::DataplaneToken, &identity.name)
            && kid.as_ref().is_none_or(|kid| **kid == *identity.kid)
            && issued_before.is_none_or(|time| identity.issued_at.is_none_or(|at| at < time))
    }
}

/// The place of the first rule that revokes the token of `identity`.
pub(crate) fn revoking(rules: &[RevocationRule], identity: &Identity, now: Now) -> Option<usize> {
    rules.iter().position(|rule| rule.revokes(identity, now))
}
