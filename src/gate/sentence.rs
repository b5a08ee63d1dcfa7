//! A refusal as a sentence that helps whoever runs what connects.
//!
//! In: a [`Refusal`]. Out: text in printable ASCII, one line, with nothing that was not verified but
//! what the caller said of itself.

use std::fmt;
use std::time::Duration;

use super::{Audience, Caller, CredentialSource, Refusal, RequestError, Span, UnixTime};
use crate::token::{JsonError, MAX_DEPTH, NumericDate, Segment, TokenError};

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MissingToken(CredentialSource::Header) => f.write_str(
                "the request has no zone token in its authorization header; start kuma-dp with \
                 --dataplane-token-file",
            ),
            Self::MissingToken(CredentialSource::KdsHeader) => f.write_str(
                "the request has no zone token in its authorization header; the zone control plane \
                 needs one with scope cp",
            ),
            Self::MissingToken(CredentialSource::Body) => f.write_str(
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
                write!(f, "the token expired {} ago; issue a new one", Span(since(*date, *now)))
            }
            Self::NotYetValid { date, now } => write!(
                f,
                "the token is not valid yet: it begins in {}; check the clocks",
                Span(until(*date, *now))
            ),
            Self::Revoked { id } if id.is_empty() => {
                f.write_str("tokens without an ID are revoked; issue a new one")
            }
            Self::Revoked { id } => write!(f, "token {} is revoked; issue a new one", Quoted(id)),
            Self::OutOfScope { scope, caller } => scope_sentence(scope, *caller, f),
            Self::WrongZone { token, gate } => write!(
                f,
                "the token is for zone {}, this control plane serves zone {}",
                Quoted(token),
                Quoted(gate)
            ),
            Self::WrongClient { token, client } if token.is_empty() => write!(
                f,
                "the token names no zone, the caller says that it is zone {}",
                Quoted(client)
            ),
            Self::WrongClient { token, client } => write!(
                f,
                "the token is for zone {}, the caller says that it is zone {}",
                Quoted(token),
                Quoted(client)
            ),
            Self::ProxyDenied(Some(proxy)) => {
                write!(f, "proxies of type {proxy} may not connect here")
            }
            Self::ProxyDenied(None) => {
                f.write_str("the proxy type is none of ingress, egress, dataplane")
            }
            Self::PathDenied(Audience::ZoneProxies) => {
                f.write_str("only what zone proxies ask for is served here: ADS by gRPC, and POST to /bootstrap")
            }
            Self::PathDenied(Audience::ControlPlanes) => {
                f.write_str("only zone control planes are served here: KDS")
            }
            Self::MalformedRequest(error) => error.fmt(f),
            Self::NoFirstMessage { waited } => {
                write!(f, "no complete first message within {} s", waited.as_secs())
            }
            Self::ClockUnavailable => {
                f.write_str("the gateway has no credible time, so no token can be judged")
            }
            Self::PolicyUnavailable => {
                f.write_str("the gateway has no policy to judge this connection by; try again")
            }
            Self::Overloaded => {
                f.write_str("the gateway holds too many unfinished requests; try again")
            }
        }
    }
}

fn token_sentence(error: &TokenError, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match error {
        TokenError::SegmentCount => {
            f.write_str("the token is not three segments with dots between them")
        }
        TokenError::Base64(Segment::Header) => f.write_str(
            "the token's header is not base64url; send it bare, without Bearer, quotes or a byte \
             order mark",
        ),
        TokenError::UnknownKid => f.write_str("no configured key has this kid; rotated out?"),
        TokenError::InvalidSignature => {
            f.write_str("the signature does not verify with the key of this kid")
        }
        _ => write!(f, "unusable token: {error}"),
    }
}

fn scope_sentence(
    scope: &[String],
    caller: Option<Caller>,
    f: &mut fmt::Formatter<'_>,
) -> fmt::Result {
    match scope {
        [] => f.write_str("the token has no scope")?,
        _ => write!(f, "the token has scope {}", Quoted(&scope.join(", ")))?,
    }
    match caller.and_then(|caller| Some((caller, caller.scope()?))) {
        Some((Caller::Proxy(_), needed)) => write!(f, ", this proxy needs {needed}"),
        Some((Caller::ControlPlane, needed)) => {
            write!(f, ", a zone control plane needs {needed}")
        }
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
            Self::NoClientId => f.write_str("the request has no client-id header to name its zone"),
            Self::SeveralClientIds => f.write_str("the request has more than one client-id header"),
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

/// Text from a verified claim or a header, quoted, escaped to printable ASCII and cut at 64
/// characters, so that it can neither forge a log line nor flood it.
pub struct Quoted<'a>(
    /// The text.
    pub &'a str,
);

impl Quoted<'_> {
    /// The most characters that are shown.
    pub const LIMIT: usize = 64;
}

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const LIMIT: usize = Quoted::LIMIT;
        // An id, as a rule: nothing in it is to be escaped.
        let is_plain = |byte| matches!(byte, b'-' | b'_' | b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9');
        if self.0.len() <= LIMIT && self.0.bytes().all(is_plain) {
            return write!(f, "\"{}\"", self.0);
        }
        f.write_str("\"")?;
        for rune in self.0.chars().take(LIMIT) {
            write!(f, "{}", rune.escape_default())?;
        }
        f.write_str(if self.0.chars().nth(LIMIT).is_some() { "...\"" } else { "\"" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_text_is_escaped_and_cut() {
        for rune in (0..=0x2FF).filter_map(char::from_u32) {
            let escaped = format!("\"{}\"", rune.escape_default());
            assert_eq!(Quoted(rune.encode_utf8(&mut [0; 4])).to_string(), escaped);
        }
        let (whole, cut) = ("x".repeat(64), "x".repeat(65));
        assert_eq!(Quoted(&whole).to_string(), format!("\"{whole}\""));
        assert_eq!(Quoted(&cut).to_string(), format!("\"{whole}...\""));
        assert_eq!(Quoted("").to_string(), "\"\"");
    }
}
