//! The time, and whether a token is valid at that time (RFC 7519 §4.1.4 and §4.1.5).
//!
//! In: a [`Now`] and the dates of a token. Out: nothing, or a [`Refusal`]. Time is an argument:
//! no clock is read here.

use std::time::{Duration, SystemTime};

use super::{Policy, Refusal};
use crate::credential::Token;
use crate::token::NumericDate;

/// A moment, as the time since 1970-01-01T00:00:00Z. It is not a duration: two moments cannot be added.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct UnixTime(Duration);

impl UnixTime {
    /// This long after 1970-01-01T00:00:00Z.
    pub const fn after_epoch(time: Duration) -> Self {
        Self(time)
    }

    /// The time of a system's clock; `None` before 1970.
    pub fn of(time: SystemTime) -> Option<Self> {
        time.duration_since(SystemTime::UNIX_EPOCH).ok().map(Self)
    }

    /// So many seconds after 1970-01-01T00:00:00Z.
    pub const fn from_secs(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// The time since 1970-01-01T00:00:00Z.
    pub const fn since_epoch(self) -> Duration {
        self.0
    }

    /// Whole seconds since 1970-01-01T00:00:00Z.
    pub const fn as_secs(self) -> u64 {
        self.0.as_secs()
    }

    /// This much later.
    #[must_use]
    pub const fn saturating_add(self, span: Duration) -> Self {
        Self(self.0.saturating_add(span))
    }

    /// The time since `earlier`; zero if this moment is not later.
    pub const fn saturating_since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl From<NumericDate> for UnixTime {
    /// Dates before 1970 count as 1970: all of them have passed.
    fn from(date: NumericDate) -> Self {
        Self::from_secs(u64::try_from(date.0).unwrap_or_default())
    }
}

/// The time of the host's clock; `None` if the host has no time.
#[derive(Debug, Clone, Copy)]
pub struct Now(pub Option<UnixTime>);

/// 2025-01-01T00:00:00Z, before this was written. A host with an earlier time has lost its clock, and would take every
/// expired token for good.
const EARLIEST: UnixTime = UnixTime::from_secs(1_735_689_600);

impl Now {
    /// The time, if it is credible.
    ///
    /// # Errors
    /// [`Refusal::ClockUnavailable`].
    pub fn credible(self) -> Result<UnixTime, Refusal> {
        self.0.filter(|now| *now >= EARLIEST).ok_or(Refusal::ClockUnavailable)
    }
}

/// Valid iff `now < exp` and `now >= nbf`, with `leewaySeconds` on either side (golang-jwt's
/// `Validator`, which Kuma runs without leeway).
pub(super) fn check(token: &Token, now: Now, policy: &Policy) -> Result<(), Refusal> {
    let expires_at = token.identity.expires_at;
    if expires_at.is_none() && policy.require_expiration {
        return Err(Refusal::MissingExpiration);
    }
    let now = now.credible()?;
    if let Some(date) = expires_at
        && has_expired(expires_at, now, policy)
    {
        return Err(Refusal::Expired { date, now });
    }
    if let Some(date) = token.not_before
        && now.saturating_add(policy.leeway) < UnixTime::from(date)
    {
        return Err(Refusal::NotYetValid { date, now });
    }
    Ok(())
}

/// Whether `exp`, if there is one, has passed at `now`.
pub fn has_expired(expires_at: Option<NumericDate>, now: UnixTime, policy: &Policy) -> bool {
    expires_at.is_some_and(|date| now >= UnixTime::from(date).saturating_add(policy.leeway))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_systems_clock_is_read_from_1970_on() {
        let second = Duration::from_secs(1);
        for (clock, wanted) in [
            (SystemTime::UNIX_EPOCH.checked_add(second), Some(UnixTime::from_secs(1))),
            (SystemTime::UNIX_EPOCH.checked_sub(second), None),
        ] {
            assert_eq!(clock.and_then(UnixTime::of), wanted);
        }
    }
}
