//! What says what Kuma does.

use super::cases::Case;

/// What Kuma does with a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Lets it in.
    Accept,
    /// Refuses it, with this text.
    Refuse(String),
}

/// Says what Kuma does.
pub(crate) trait Oracle {
    /// One answer for each case, in order.
    ///
    /// # Errors
    /// It cannot answer.
    fn judge(&mut self, cases: &[Case]) -> anyhow::Result<Vec<Answer>>;
}
