//! The interface to Kuma's verdicts.

use std::time::Duration;

use super::cases::Case;

/// Kuma's verdict on a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Kuma allows the connection.
    Accept,
    /// Kuma refuses the connection, with this text.
    Refuse(String),
    /// Kuma was not asked: HTTP cannot carry the token.
    Unasked,
}

/// The release of golang-jwt with which a Kuma reads tokens. The releases read dates and JSON differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Jwt {
    /// Kuma 2.9 and 2.10.
    V4,
    /// Kuma 2.11 and later.
    V5,
}

/// Says what Kuma does.
pub(crate) trait Oracle {
    /// The golang-jwt of this Kuma. It decides which rows apply.
    fn jwt(&self) -> Jwt;

    /// One answer for each case, in order.
    ///
    /// # Errors
    /// No answer comes.
    fn judge(&mut self, cases: &[Case]) -> anyhow::Result<Vec<Answer>>;

    /// Sets the parts of a case that the oracle cannot change from case to case.
    fn surround(&self, _case: &mut Case) {}

    /// The time since 1970, if the oracle judges by its own clock.
    fn clock(&self) -> Option<Duration> {
        None
    }
}
