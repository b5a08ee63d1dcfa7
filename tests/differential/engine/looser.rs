//! The rows in which the gate is looser than a release of Kuma, each as a predicate on a case.
//!
//! In: a case that the gate allows and Kuma refuses, with Kuma's error text. Out: the row, if there is one.

use std::time::Duration;

use super::cases::Case;
use super::facts::Facts;
use super::oracle::Jwt;

/// A row of the table in `docs/checks.md` that lists where the gate is looser than an old release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum LooserRow {
    IssuedInTheFuture,
}

impl LooserRow {
    pub(crate) const ALL: [Self; 1] = [Self::IssuedInTheFuture];

    /// The text in the table.
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::IssuedInTheFuture => "`iat` in the future",
        }
    }

    /// The row for `case`, which the gate allows and a Kuma with `jwt` refuses.
    pub(super) fn of(case: &Case, jwt: Jwt, refusal: &str) -> Option<Self> {
        match jwt {
            Jwt::V5 => None,
            // The error text of golang-jwt v4.5.2 if nothing else is wrong with the token.
            Jwt::V4 if !refusal.ends_with("token used before issued") => None,
            Jwt::V4 => {
                let issued = Facts::of(&case.authorization)?.claims.date("iat")?;
                // Whole seconds: a float cannot tell the last nanosecond from the next second.
                let now = Duration::from_secs(case.now.as_secs()).as_secs_f64();
                (issued.trunc() > now).then_some(Self::IssuedInTheFuture)
            }
        }
    }
}
