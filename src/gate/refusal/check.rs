//! The checks, in the order in which a stream meets them, and which of them refused.
//!
//! In: a [`Refusal`], or none. Out: the result of each check. This file checks nothing: [`judge`](crate::gate::Policy::judge)
//! has the order, and tests compare this list with it.

use super::{Refusal, RequestError};
use crate::credential::{Kind, Mismatch};
use crate::token::{Segment, TokenError};

/// One check. Their order depends on the kind of token: see [`Check::of_kind`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Check {
    /// The path is served here.
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
    /// There is an `exp`, if it is required.
    Expiration,
    /// The host knows the time.
    Clock,
    /// `exp` is in the future.
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
    /// The mesh is the right one.
    Mesh,
    /// The name, the tags and the workload are the proxy's.
    Proxy,
    /// The token is from a known cluster, for the gateway.
    Audience,
    /// The namespace, the pod and the service account are right.
    ServiceAccount,
}

/// Checks on the headers, or on the text of a token.
const TEXT: [Check; 6] =
    [Check::Path, Check::Credential, Check::Length, Check::Header, Check::Algorithm, Check::Kid];
/// Checks on a token of any kind, whoever holds it.
const TOKEN: [Check; 8] = [
    Check::Key,
    Check::Signature,
    Check::Claims,
    Check::Expiration,
    Check::Clock,
    Check::Expiry,
    Check::NotBefore,
    Check::Revocation,
];
/// Checks on the first message.
const MESSAGE: [Check; 2] = [Check::Message, Check::Scope];

/// The result of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The check passed.
    Passed,
    /// The check refused.
    Failed,
    /// An earlier check refused.
    NotReached,
}

impl Check {
    /// Every check of a token of this kind, in order.
    pub fn of_kind(kind: Kind) -> Vec<Self> {
        match kind {
            Kind::ZoneToken => [&TEXT[..], &TOKEN, &[Self::Zone], &MESSAGE].concat(),
            // The first message says whose key applies.
            Kind::DataplaneToken => {
                [&TEXT[..], &MESSAGE, &TOKEN, &[Self::Proxy, Self::Mesh]].concat()
            }
            Kind::ServiceAccountToken => {
                [&TEXT[..], &TOKEN, &MESSAGE, &[Self::Audience, Self::ServiceAccount]].concat()
            }
        }
    }

    /// The result of each check of a token of this kind if `refusal` is the verdict; `None` means that the connection
    /// was let in.
    pub fn outcomes(
        kind: Kind,
        refusal: Option<&Refusal>,
    ) -> impl Iterator<Item = (Self, Outcome)> {
        let refused = refusal.map(Refusal::check);
        let mut is_reached = true;
        Self::of_kind(kind).into_iter().map(move |check| match (is_reached, refused) {
            (true, Some(refused)) if refused == check => {
                is_reached = false;
                (check, Outcome::Failed)
            }
            (true, _) => (check, Outcome::Passed),
            (false, _) => (check, Outcome::NotReached),
        })
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
            Self::Revoked { .. } | Self::RevokedByRule { .. } => Check::Revocation,
            Self::Mismatch(mismatch) => of_mismatch(mismatch),
            Self::MalformedRequest(RequestError::NoClientId | RequestError::SeveralClientIds) => {
                Check::Zone
            }
            Self::MalformedRequest(_) | Self::NoFirstMessage { .. } | Self::Overloaded => {
                Check::Message
            }
            Self::ProxyDenied(_) => Check::Scope,
        }
    }
}

fn of_mismatch(mismatch: &Mismatch) -> Check {
    match mismatch {
        Mismatch::Scope { .. } => Check::Scope,
        Mismatch::Zone { .. } | Mismatch::Client { .. } => Check::Zone,
        Mismatch::Mesh { .. } => Check::Mesh,
        Mismatch::Name { .. }
        | Mismatch::MissingTag { .. }
        | Mismatch::Tag { .. }
        | Mismatch::Workload { .. }
        | Mismatch::UnboundWorkload { .. } => Check::Proxy,
        Mismatch::Audience { .. } | Mismatch::TokenIssuer { .. } => Check::Audience,
        Mismatch::Namespace { .. } | Mismatch::Pod { .. } | Mismatch::ServiceAccount { .. } => {
            Check::ServiceAccount
        }
    }
}

fn of_token(error: &TokenError) -> Check {
    match error {
        TokenError::SegmentCount
        | TokenError::Base64(Segment::Header)
        | TokenError::HeaderJson(_)
        | TokenError::CriticalExtension
        | TokenError::HeaderMember(_)
        | TokenError::RepeatedHeader(_)
        | TokenError::Spelling(Segment::Header) => Check::Header,
        TokenError::UnsupportedAlgorithm | TokenError::OtherAlgorithm => Check::Algorithm,
        TokenError::MissingKid | TokenError::KidNotAString => Check::Kid,
        TokenError::UnknownKid => Check::Key,
        TokenError::Base64(Segment::Signature)
        | TokenError::Spelling(Segment::Signature)
        | TokenError::InvalidSignature => Check::Signature,
        TokenError::Base64(Segment::Claims)
        | TokenError::Spelling(Segment::Claims)
        | TokenError::MissingClaim(_)
        | TokenError::ClaimsJson(_)
        | TokenError::ClaimType(_)
        | TokenError::RepeatedClaim(_) => Check::Claims,
    }
}
