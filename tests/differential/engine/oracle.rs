//! What says what Kuma does.

use std::time::Duration;

use super::cases::Case;

/// What Kuma does with a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Lets it in.
    Accept,
    /// Refuses it, with this text.
    Refuse(String),
    /// Was not asked: HTTP cannot carry what was drawn.
    Unasked,
}

/// The release of golang-jwt that a Kuma reads tokens with. Dates and JSON are read differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Jwt {
    /// Kuma 2.9 and 2.10.
    V4,
    /// Kuma 2.11 and later.
    V5,
}

/// Says what Kuma does.
pub(crate) trait Oracle {
    /// What it reads tokens with. It decides which rows hold.
    fn jwt(&self) -> Jwt;

    /// One answer for each case, in order.
    ///
    /// # Errors
    /// It cannot answer.
    fn judge(&mut self, cases: &[Case]) -> anyhow::Result<Vec<Answer>>;

    /// Gives a case what the oracle has and cannot change for each.
    fn surround(&self, _case: &mut Case) {}

    /// The time since 1970, where the oracle has a clock of its own and judges by that.
    fn clock(&self) -> Option<Duration> {
        None
    }
}
