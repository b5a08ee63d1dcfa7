//! The time, and whether a token is valid at it (RFC 7519 §4.1.4 and §4.1.5).
//!
//! In: a [`Clock`] and the dates of a token. Out: nothing, or a [`Refusal`]. No clock is read here:
//! time is an argument.

use std::time::Duration;

use super::{Policy, Refusal};
use crate::token::{Claims, NumericDate};

/// Time since 1970-01-01T00:00:00Z.
pub type UnixTime = Duration;

/// What the host says the time is; `None` when it cannot.
#[derive(Debug, Clone, Copy)]
pub struct Clock(pub Option<UnixTime>);

/// 2025-01-01T00:00:00Z, before this was written. A host that says an earlier time has lost its
/// clock, and every expired token would be good again.
const EARLIEST: UnixTime = Duration::from_secs(1_735_689_600);

impl Clock {
    /// The time, where it is credible.
    ///
    /// # Errors
    /// [`Refusal::ClockUnavailable`].
    pub fn now(self) -> Result<UnixTime, Refusal> {
        self.0.filter(|now| *now >= EARLIEST).ok_or(Refusal::ClockUnavailable)
    }
}

/// Valid iff `now < exp` and `now >= nbf`, with `leewaySeconds` on either side (golang-jwt's
/// `Validator`, which Kuma runs without leeway).
pub(super) fn check(claims: &Claims, clock: Clock, policy: &Policy) -> Result<(), Refusal> {
    if claims.expires_at.is_none() && policy.require_expiration {
        return Err(Refusal::MissingExpiration);
    }
    let now = clock.now()?;
    if let Some(date) = claims.expires_at
        && has_expired(claims.expires_at, now, policy)
    {
        return Err(Refusal::Expired { date, now });
    }
    if let Some(date) = claims.not_before
        && now.saturating_add(policy.leeway) < since_epoch(date)
    {
        return Err(Refusal::NotYetValid { date, now });
    }
    Ok(())
}

/// Whether `exp`, if there is one, has passed at `now`.
pub fn has_expired(expires_at: Option<NumericDate>, now: UnixTime, policy: &Policy) -> bool {
    expires_at.is_some_and(|date| now >= since_epoch(date).saturating_add(policy.leeway))
}

/// Dates before 1970 count as 1970: all of them have passed.
fn since_epoch(date: NumericDate) -> UnixTime {
    Duration::from_secs(u64::try_from(date.0).unwrap_or_default())
}
