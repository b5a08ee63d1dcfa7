//! Why a connection is refused, as one word, with its gRPC and HTTP status.
//!
//! In: nothing. Out: [`Reason`], the one spelling for replies, metrics, logs and tests.

use std::fmt;

/// Why a connection is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Reason {
    /// No token, or an empty one.
    MissingToken,
    /// More than one token.
    MultipleTokens,
    /// Longer than `maxTokenBytes`.
    TokenTooLong,
    /// Not a JWS in compact form with a JOSE header that may be used here.
    MalformedToken,
    /// `alg` is not RS256.
    UnsupportedAlgorithm,
    /// The header names no key.
    MissingKid,
    /// No configured key has the token's kid.
    UnknownKid,
    /// The signature does not verify.
    InvalidSignature,
    /// The claims are no JSON object, or have the wrong type.
    MalformedClaims,
    /// No `exp`, and `requireExpiration` is on.
    MissingExpiration,
    /// `exp` has passed.
    Expired,
    /// `nbf` is in the future.
    NotYetValid,
    /// Its ID is on the revocation list.
    Revoked,
    /// Its Scope lacks the proxy's type.
    OutOfScope,
    /// It was issued for another zone.
    WrongZone,
    /// It was issued for another mesh.
    WrongMesh,
    /// It was issued for another proxy: its name, its tags or its workload.
    WrongProxy,
    /// It was issued for another pod or namespace, or for a service account that may not connect.
    WrongServiceAccount,
    /// `proxies` denies this proxy type.
    ProxyDenied,
    /// Not a path that the gate lets through.
    PathDenied,
    /// The first message or the bootstrap body cannot be read.
    MalformedRequest,
    /// No first message within `firstMessageSeconds`.
    NoFirstMessage,
    /// The host has no credible time.
    ClockUnavailable,
    /// The gateway has no policy to judge by.
    PolicyUnavailable,
    /// The gateway has reached the limit for held requests.
    Overloaded,
}

/// The gRPC and HTTP status of a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status {
    /// The gRPC status code.
    pub grpc: GrpcCode,
    /// The HTTP status code.
    pub http: u32,
}

/// The gRPC status codes of refusals, by their numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum GrpcCode {
    /// The request cannot be read.
    InvalidArgument = 3,
    /// Nothing came in time.
    DeadlineExceeded = 4,
    /// The token is good, and not allowed to do this.
    PermissionDenied = 7,
    /// Not served here.
    Unimplemented = 12,
    /// The gateway cannot judge at this moment.
    Unavailable = 14,
    /// The token is missing or not good.
    Unauthenticated = 16,
}

impl GrpcCode {
    /// The number on the wire.
    pub fn number(self) -> u32 {
        self as u32
    }
}

impl fmt::Display for GrpcCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.number().fmt(f)
    }
}

const INVALID_ARGUMENT: Status = Status { grpc: GrpcCode::InvalidArgument, http: 400 };
const DEADLINE_EXCEEDED: Status = Status { grpc: GrpcCode::DeadlineExceeded, http: 408 };
const PERMISSION_DENIED: Status = Status { grpc: GrpcCode::PermissionDenied, http: 403 };
const UNIMPLEMENTED: Status = Status { grpc: GrpcCode::Unimplemented, http: 404 };
const UNAVAILABLE: Status = Status { grpc: GrpcCode::Unavailable, http: 503 };
const UNAUTHENTICATED: Status = Status { grpc: GrpcCode::Unauthenticated, http: 401 };

impl Reason {
    /// Every reason, once.
    pub const ALL: [Self; 25] = [
        Self::MissingToken,
        Self::MultipleTokens,
        Self::TokenTooLong,
        Self::MalformedToken,
        Self::UnsupportedAlgorithm,
        Self::MissingKid,
        Self::UnknownKid,
        Self::InvalidSignature,
        Self::MalformedClaims,
        Self::MissingExpiration,
        Self::Expired,
        Self::NotYetValid,
        Self::Revoked,
        Self::OutOfScope,
        Self::WrongZone,
        Self::WrongMesh,
        Self::WrongProxy,
        Self::WrongServiceAccount,
        Self::ProxyDenied,
        Self::PathDenied,
        Self::MalformedRequest,
        Self::NoFirstMessage,
        Self::ClockUnavailable,
        Self::PolicyUnavailable,
        Self::Overloaded,
    ];

    /// Its name in replies, metrics, logs and tests.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::MissingToken => "missing_token",
            Self::MultipleTokens => "multiple_tokens",
            Self::TokenTooLong => "token_too_long",
            Self::MalformedToken => "malformed_token",
            Self::UnsupportedAlgorithm => "unsupported_algorithm",
            Self::MissingKid => "missing_kid",
            Self::UnknownKid => "unknown_kid",
            Self::InvalidSignature => "invalid_signature",
            Self::MalformedClaims => "malformed_claims",
            Self::MissingExpiration => "missing_expiration",
            Self::Expired => "expired",
            Self::NotYetValid => "not_yet_valid",
            Self::Revoked => "revoked",
            Self::OutOfScope => "out_of_scope",
            Self::WrongZone => "wrong_zone",
            Self::WrongMesh => "wrong_mesh",
            Self::WrongProxy => "wrong_proxy",
            Self::WrongServiceAccount => "wrong_service_account",
            Self::ProxyDenied => "proxy_denied",
            Self::PathDenied => "path_denied",
            Self::MalformedRequest => "malformed_request",
            Self::NoFirstMessage => "no_first_message",
            Self::ClockUnavailable => "clock_unavailable",
            Self::PolicyUnavailable => "policy_unavailable",
            Self::Overloaded => "overloaded",
        }
    }

    /// The statuses of the reply. kuma-dp stops for good on a 4xx from bootstrap and retries on 5xx.
    pub fn status(self) -> Status {
        match self {
            Self::OutOfScope
            | Self::WrongZone
            | Self::WrongMesh
            | Self::WrongProxy
            | Self::WrongServiceAccount
            | Self::ProxyDenied => PERMISSION_DENIED,
            Self::PathDenied => UNIMPLEMENTED,
            Self::MalformedRequest => INVALID_ARGUMENT,
            Self::NoFirstMessage => DEADLINE_EXCEEDED,
            Self::ClockUnavailable | Self::PolicyUnavailable | Self::Overloaded => UNAVAILABLE,
            Self::MissingToken
            | Self::MultipleTokens
            | Self::TokenTooLong
            | Self::MalformedToken
            | Self::UnsupportedAlgorithm
            | Self::MissingKid
            | Self::UnknownKid
            | Self::InvalidSignature
            | Self::MalformedClaims
            | Self::MissingExpiration
            | Self::Expired
            | Self::NotYetValid
            | Self::Revoked => UNAUTHENTICATED,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
