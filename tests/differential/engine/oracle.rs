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

/// Says what Kuma does.
pub(crate) trait Oracle {
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
