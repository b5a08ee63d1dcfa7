//! The checks, in the order in which a stream meets them, and which of them refused.
//!
//! In: a [`Refusal`], or none. Out: what became of each check. Nothing is checked here: the order is
//! written in [`judge`](super::Policy::judge), and the tests hold this list to it.

use super::{Refusal, RequestError};
use crate::token::{Segment, TokenError};

/// One check. The order of the variants is the order of the checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Check {
    /// The path is one that is served.
    Path,
    /// There is one token.
    Credential,
    /// It is no longer than `maxTokenBytes`.
    Length,
    /// It is three segments, and the header can be read.
    Header,
    /// `alg` is RS256.
    Algorithm,
    /// The header names its key.
    Kid,
    /// A key of that kid is configured.
    Key,
    /// That key signed it.
    Signature,
    /// The claims can be read.
    Claims,
    /// There is an `exp`, where one is required.
    Expiration,
    /// The host knows the time.
    Clock,
    /// `exp` is to come.
    Expiry,
    /// `nbf` has passed.
    NotBefore,
    /// The ID is not revoked.
    Revocation,
    /// The zone is the right one.
    Zone,
    /// The first message can be read.
    Message,
    /// The proxy type may connect, and the Scope has it.
    Scope,
}

/// What became of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It held.
    Passed,
    /// It refused.
    Failed,
    /// An earlier one refused.
    NotReached,
}

impl Check {
    /// Every check, in order.
    pub const ALL: [Self; 17] = [
        Self::Path,
        Self::Credential,
        Self::Length,
        Self::Header,
        Self::Algorithm,
        Self::Kid,
        Self::Key,
        Self::Signature,
        Self::Claims,
        Self::Expiration,
        Self::Clock,
        Self::Expiry,
        Self::NotBefore,
        Self::Revocation,
        Self::Zone,
        Self::Message,
        Self::Scope,
    ];

    /// What became of it where `refusal` is the verdict; `None` let the connection in.
    pub fn outcome(self, refusal: Option<&Refusal>) -> Outcome {
        match refusal.map(|refusal| self.cmp(&refusal.check())) {
            None | Some(std::cmp::Ordering::Less) => Outcome::Passed,
            Some(std::cmp::Ordering::Equal) => Outcome::Failed,
            Some(std::cmp::Ordering::Greater) => Outcome::NotReached,
        }
    }
}

impl Refusal {
    /// The check that refused.
    pub fn check(&self) -> Check {
        match self {
            Self::PathDenied(_) | Self::PolicyUnavailable => Check::Path,
            Self::MissingToken(_) | Self::MultipleTokens => Check::Credential,
            Self::TokenTooLong { .. } => Check::Length,
            Self::Token(error) => of_token(error),
            Self::MissingExpiration => Check::Expiration,
            Self::ClockUnavailable => Check::Clock,
            Self::Expired { .. } => Check::Expiry,
            Self::NotYetValid { .. } => Check::NotBefore,
            Self::Revoked { .. } => Check::Revocation,
            Self::WrongZone { .. }
            | Self::WrongClient { .. }
            | Self::MalformedRequest(RequestError::NoClientId | RequestError::SeveralClientIds) => {
                Check::Zone
            }
            Self::MalformedRequest(_) | Self::NoFirstMessage { .. } | Self::Overloaded => {
                Check::Message
            }
            Self::ProxyDenied(_) | Self::OutOfScope { .. } => Check::Scope,
        }
    }
}

fn of_token(error: &TokenError) -> Check {
    match error {
        TokenError::SegmentCount
        | TokenError::Base64(Segment::Header)
        | TokenError::HeaderJson(_)
        | TokenError::CriticalExtension => Check::Header,
        TokenError::UnsupportedAlgorithm => Check::Algorithm,
        TokenError::MissingKid | TokenError::KidNotAString => Check::Kid,
        TokenError::UnknownKid => Check::Key,
        TokenError::Base64(Segment::Signature) | TokenError::InvalidSignature => Check::Signature,
        TokenError::Base64(Segment::Claims)
        | TokenError::ClaimsJson(_)
        | TokenError::ClaimType(_) => Check::Claims,
    }
}
