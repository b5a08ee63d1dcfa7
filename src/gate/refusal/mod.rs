//! A refusal: the reason, and both sides of the comparison that failed.
//!
//! In: the results of the checks. Out: a [`Reason`], the check that refused, and the message. A refusal has no claim of
//! an unverified token, and never the token itself, so it is safe to log and to send.

mod check;
mod message;
mod reason;

use std::time::Duration;

use super::{ErrorDetail, ProxyType, UnixTime};
use crate::credential::Mismatch;
use crate::go_json::JsonError;
use crate::token::{NumericDate, TokenError};
pub use check::{Check, Outcome};
pub use reason::{GrpcCode, Reason, Status};

/// Why a connection is refused, with both sides of the comparison.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The token is missing.
    MissingToken(CredentialSource),
    /// More than one `authorization` value.
    MultipleTokens,
    /// A token longer than the limit.
    TokenTooLong {
        /// Bytes.
        length: usize,
        /// `maxTokenBytes`.
        limit: usize,
    },
    /// The text is not a token that one of our keys signed.
    Token(TokenError),
    /// No `exp`.
    MissingExpiration,
    /// `exp` has passed.
    Expired {
        /// `exp`.
        date: NumericDate,
        /// When it was judged.
        now: UnixTime,
    },
    /// `nbf` is in the future.
    NotYetValid {
        /// `nbf`.
        date: NumericDate,
        /// When it was judged.
        now: UnixTime,
    },
    /// The ID is on the revocation list.
    Revoked {
        /// The ID.
        id: String,
    },
    /// A rule revokes the token.
    RevokedByRule {
        /// Its place in `revocationRules`, from 0.
        rule: usize,
    },
    /// The token does not match its holder.
    Mismatch(Mismatch),
    /// This proxy type may not connect; `None` for a type that Kuma does not know.
    ProxyDenied(Option<ProxyType>),
    /// The path is not served here.
    PathDenied(Audience),
    /// The request cannot be read.
    MalformedRequest(RequestError),
    /// The first message, or the bootstrap body, did not come in time.
    NoFirstMessage {
        /// `firstMessageSeconds`.
        waited: Duration,
    },
    /// The host has no credible time.
    ClockUnavailable,
    /// There is no policy to judge by.
    PolicyUnavailable,
    /// The gateway has reached the limit for held requests.
    Overloaded,
}

/// The clients of a gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    /// Proxies, in front of a dataplane server.
    Proxies,
    /// Zone control planes, in front of a KDS server.
    ControlPlanes,
}

/// The place of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CredentialSource {
    /// The `authorization` header of a proxy.
    Header,
    /// The `authorization` header of a zone control plane.
    KdsHeader,
    /// `dataplaneToken` in the bootstrap body.
    Body,
}

/// Why a request, its first message or its body, cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestError {
    /// gRPC's Compressed-Flag is set.
    Compressed,
    /// Larger than the gate holds.
    TooLarge,
    /// The stream ended before the message did.
    Incomplete,
    /// Not the protobuf message of this method.
    NotADiscoveryRequest,
    /// The first message has no node, or one without an id.
    NoNode,
    /// `dataplane.resource` can be read in several ways, or has another type than `dataplane.proxyType`.
    Resource,
    /// The id of the node has no mesh and name, or not those of `dataplane.resource`.
    NodeId,
    /// The body is not a valid JSON object.
    Json(JsonError),
    /// A field of the body has the wrong type.
    FieldType(&'static str),
    /// KDS without a `client-id`.
    NoClientId,
    /// KDS with more than one `client-id`.
    SeveralClientIds,
    /// The host did not hand over the request.
    Host,
}

impl Refusal {
    /// The message for a refused client.
    pub fn message(&self, detail: ErrorDetail) -> String {
        match detail {
            ErrorDetail::Reason => format!("zonegate: {}: {self}", self.reason()),
            ErrorDetail::None => "zonegate: denied".to_owned(),
        }
    }

    /// The reason.
    pub fn reason(&self) -> Reason {
        match self {
            Self::MissingToken(_) => Reason::MissingToken,
            Self::MultipleTokens => Reason::MultipleTokens,
            Self::TokenTooLong { .. } => Reason::TokenTooLong,
            Self::Token(error) => token_reason(error),
            Self::MissingExpiration => Reason::MissingExpiration,
            Self::Expired { .. } => Reason::Expired,
            Self::NotYetValid { .. } => Reason::NotYetValid,
            Self::Revoked { .. } | Self::RevokedByRule { .. } => Reason::Revoked,
            Self::Mismatch(mismatch) => mismatch_reason(mismatch),
            Self::ProxyDenied(_) => Reason::ProxyDenied,
            Self::PathDenied(_) => Reason::PathDenied,
            Self::MalformedRequest(_) => Reason::MalformedRequest,
            Self::NoFirstMessage { .. } => Reason::NoFirstMessage,
            Self::ClockUnavailable => Reason::ClockUnavailable,
            Self::PolicyUnavailable => Reason::PolicyUnavailable,
            Self::Overloaded => Reason::Overloaded,
        }
    }
}

fn mismatch_reason(mismatch: &Mismatch) -> Reason {
    match mismatch {
        Mismatch::Scope { .. } | Mismatch::Audience { .. } => Reason::OutOfScope,
        Mismatch::Zone { .. } | Mismatch::Client { .. } => Reason::WrongZone,
        Mismatch::Mesh { .. } => Reason::WrongMesh,
        Mismatch::Name { .. }
        | Mismatch::MissingTag { .. }
        | Mismatch::Tag { .. }
        | Mismatch::Workload { .. }
        | Mismatch::UnboundWorkload { .. } => Reason::WrongProxy,
        Mismatch::Namespace { .. } | Mismatch::Pod { .. } | Mismatch::ServiceAccount { .. } => {
            Reason::WrongServiceAccount
        }
        // Issuer and kid identify a key.
        Mismatch::TokenIssuer { .. } => Reason::UnknownKid,
    }
}

fn token_reason(error: &TokenError) -> Reason {
    match error {
        TokenError::SegmentCount
        | TokenError::Base64(_)
        | TokenError::HeaderJson(_)
        | TokenError::CriticalExtension
        | TokenError::HeaderMember(_)
        | TokenError::RepeatedHeader(_)
        | TokenError::Spelling(_)
        | TokenError::KidNotAString => Reason::MalformedToken,
        TokenError::UnsupportedAlgorithm | TokenError::OtherAlgorithm => {
            Reason::UnsupportedAlgorithm
        }
        TokenError::MissingKid => Reason::MissingKid,
        TokenError::UnknownKid => Reason::UnknownKid,
        TokenError::InvalidSignature => Reason::InvalidSignature,
        TokenError::ClaimsJson(_)
        | TokenError::ClaimType(_)
        | TokenError::MissingClaim(_)
        | TokenError::RepeatedClaim(_) => Reason::MalformedClaims,
    }
}
