//! A refusal: why, and the sentence that helps whoever runs the zone proxy.
//!
//! In: what the checks found, both sides of a comparison. Out: a [`Reason`] and a sentence. It holds
//! no claim of a token that was not verified, and never the token, so it is safe to log and to send.

use std::fmt;
use std::time::Duration;

use super::{ProxyType, Reason, UnixTime};
use crate::token::{JsonError, MAX_DEPTH, NumericDate, TokenError};

/// Why a connection is refused, with what was compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// No token where one belongs.
    MissingToken(Place),
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
    /// `nbf` is to come.
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
    /// Scope lacks the proxy's.
    OutOfScope {
        /// What the token has.
        scope: Vec<String>,
        /// What connects; `None` before the first message, when no proxy type could pass.
        proxy: Option<ProxyType>,
    },
    /// Another zone's token.
    WrongZone {
        /// The token's.
        token: String,
        /// The control plane's.
        gate: String,
    },
    /// This proxy type may not connect; `None` is one that Kuma does not know.
    ProxyDenied(Option<ProxyType>),
    /// Not a path of a zone proxy.
    PathDenied,
    /// The request cannot be read.
    MalformedRequest(RequestError),
    /// The first message, or the bootstrap body, did not come in time.
    NoFirstMessage {
        /// `firstMessageSeconds`.
        waited: Duration,
    },
    /// The host has no credible time.
    ClockUnavailable,
}

/// Where a token belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The `authorization` header.
    Header,
    /// `dataplaneToken` in the bootstrap body.
    Body,
}

/// Why a first message or a bootstrap body cannot be read.
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
    /// `dataplane.resource` has no plain type, or another than `dataplane.proxyType`.
    Resource,
    /// The body is not the JSON object it should be.
    Json(JsonError),
    /// A field of the body has the wrong type.
    FieldType(&'static str),
    /// The host did not hand over the request.
    Host,
}

impl Refusal {
    /// Its word.
    pub fn reason(&self) -> Reason {
        match self {
            Self::MissingToken(_) => Reason::MissingToken,
            Self::MultipleTokens => Reason::MultipleTokens,
            Self::TokenTooLong { .. } => Reason::TokenTooLong,
            Self::Token(error) => token_reason(error),
            Self::MissingExpiration => Reason::MissingExpiration,
            Self::Expired { .. } => Reason::Expired,
            Self::NotYetValid { .. } => Reason::NotYetValid,
            Self::Revoked { .. } => Reason::Revoked,
            Self::OutOfScope { .. } => Reason::OutOfScope,
            Self::WrongZone { .. } => Reason::WrongZone,
            Self::ProxyDenied(_) => Reason::ProxyDenied,
            Self::PathDenied => Reason::PathDenied,
            Self::MalformedRequest(_) => Reason::MalformedRequest,
            Self::NoFirstMessage { .. } => Reason::NoFirstMessage,
            Self::ClockUnavailable => Reason::ClockUnavailable,
        }
    }
}

fn token_reason(error: &TokenError) -> Reason {
    match error {
        TokenError::SegmentCount
        | TokenError::Base64(_)
        | TokenError::HeaderJson(_)
        | TokenError::CriticalExtension
        | TokenError::KidNotAString => Reason::MalformedToken,
        TokenError::UnsupportedAlgorithm => Reason::UnsupportedAlgorithm,
        TokenError::MissingKid => Reason::MissingKid,
        TokenError::UnknownKid => Reason::UnknownKid,
        TokenError::InvalidSignature => Reason::InvalidSignature,
        TokenError::ClaimsJson(_) | TokenError::ClaimType(_) => Reason::MalformedClaims,
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MissingToken(Place::Header) => f.write_str(
                "the request has no zone token in its authorization header; start kuma-dp with \
                 --dataplane-token-file",
            ),
            Self::MissingToken(Place::Body) => f.write_str(
                "the bootstrap request has no dataplaneToken; start kuma-dp with \
                 --dataplane-token-file",
            ),
            Self::MultipleTokens => {
                f.write_str("the request has more than one authorization value")
            }
            Self::TokenTooLong { length, limit } => {
                write!(f, "the token is {length} bytes long, the limit is {limit}")
            }
            Self::Token(error) => token_sentence(error, f),
            Self::MissingExpiration => {
                f.write_str("the token has no exp, so it would never expire; issue a new one")
            }
            Self::Expired { date, now } => {
                write!(f, "the token expired {} ago; issue a new one", Ago(since(*date, *now)))
            }
            Self::NotYetValid { date, now } => write!(
                f,
                "the token is valid only in {} from now; check the clocks",
                Ago(until(*date, *now))
            ),
            Self::Revoked { id } if id.is_empty() => {
                f.write_str("tokens without an ID are revoked; issue a new one")
            }
            Self::Revoked { id } => write!(f, "token {} is revoked; issue a new one", Quoted(id)),
            Self::OutOfScope { scope, proxy } => scope_sentence(scope, *proxy, f),
            Self::WrongZone { token, gate } => write!(
                f,
                "the token is for zone {}, this control plane serves zone {}",
                Quoted(token),
                Quoted(gate)
            ),
            Self::ProxyDenied(Some(proxy)) => {
                write!(f, "proxies of type {proxy} may not connect here")
            }
            Self::ProxyDenied(None) => {
                f.write_str("the proxy type is none of ingress, egress, dataplane")
            }
            Self::PathDenied => {
                f.write_str("only zone proxies are served here: ADS and /bootstrap")
            }
            Self::MalformedRequest(error) => error.fmt(f),
            Self::NoFirstMessage { waited } => {
                write!(f, "no complete first message within {} s", waited.as_secs())
            }
            Self::ClockUnavailable => {
                f.write_str("the gateway has no credible time, so no token can be judged")
            }
        }
    }
}

fn token_sentence(error: &TokenError, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(f, "the token cannot be used: {error}")?;
    f.write_str(match error {
        TokenError::SegmentCount => "; send the bare token, without Bearer",
        TokenError::UnknownKid => "; was its signing key rotated out?",
        TokenError::InvalidSignature => "; was it signed with another key of the same kid?",
        _ => "",
    })
}

fn scope_sentence(
    scope: &[String],
    proxy: Option<ProxyType>,
    f: &mut fmt::Formatter<'_>,
) -> fmt::Result {
    match scope {
        [] => f.write_str("the token has no scope")?,
        _ => write!(f, "the token has scope {}", Quoted(&scope.join(", ")))?,
    }
    match proxy.and_then(ProxyType::scope) {
        Some(needed) => write!(f, ", this proxy needs {needed}"),
        None => f.write_str(", a zone proxy needs ingress or egress"),
    }?;
    f.write_str("; generate one with kumactl generate zone-token --scope")
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Compressed => f.write_str("the first message is compressed"),
            Self::TooLarge => f.write_str("the first message, or the bootstrap request, is larger than the gateway takes"),
            Self::Incomplete => f.write_str("the stream ended before its first message was complete"),
            Self::NotADiscoveryRequest => f.write_str("the first message is no discovery request"),
            Self::NoNode => f.write_str("the first discovery request has no node with an id"),
            Self::Resource => f.write_str(
                "the node's dataplane.resource has no plain type or not that of dataplane.proxyType",
            ),
            Self::Json(JsonError::TooDeep) => {
                write!(f, "the bootstrap request is nested deeper than {MAX_DEPTH} levels")
            }
            Self::Json(error) => write!(f, "the bootstrap request {error}"),
            Self::FieldType(name) => write!(f, "{name} in the bootstrap request is not a string"),
            Self::Host => f.write_str("the gateway could not read the request"),
        }
    }
}

fn since(date: NumericDate, now: UnixTime) -> Duration {
    now.saturating_sub(Duration::from_secs(u64::try_from(date.0).unwrap_or_default()))
}

fn until(date: NumericDate, now: UnixTime) -> Duration {
    Duration::from_secs(u64::try_from(date.0).unwrap_or_default()).saturating_sub(now)
}

/// A span in its largest whole unit.
struct Ago(Duration);

impl fmt::Display for Ago {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        let units: [(u64, _); 3] = [(86_400, "days"), (3_600, "hours"), (60, "minutes")];
        match units.iter().find(|(unit, _)| seconds >= unit.saturating_mul(2)) {
            Some((unit, name)) => write!(f, "{} {name}", seconds.checked_div(*unit).unwrap_or(0)),
            None if seconds == 0 => f.write_str("less than a second"),
            None => write!(f, "{seconds} s"),
        }
    }
}

/// Text from a verified claim or a header, quoted, escaped to printable ASCII and cut at 64
/// characters, so that it can neither forge a log line nor flood it.
pub struct Quoted<'a>(
    /// The text.
    pub &'a str,
);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const LIMIT: usize = 64;
        f.write_str("\"")?;
        for rune in self.0.chars().take(LIMIT) {
            write!(f, "{}", rune.escape_default())?;
        }
        f.write_str(if self.0.chars().nth(LIMIT).is_some() { "...\"" } else { "\"" })
    }
}
