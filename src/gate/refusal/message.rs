//! A refusal as a sentence that helps the operator of the proxy.
//!
//! In: a [`Refusal`]. Out: one line in printable ASCII. It has no unverified text, except what the caller says about
//! itself.

use std::fmt;
use std::time::Duration;

use super::{Audience, CredentialSource, Refusal, RequestError};
use crate::gate::UnixTime;
use crate::go_json::{JsonError, MAX_DEPTH};
use crate::text::{HumanDuration, Quoted};
use crate::token::{NumericDate, Segment, TokenError};

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MissingToken(CredentialSource::Header) => f.write_str(
                "the request has no token in its authorization header; start kuma-dp with \
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
                write!(f, "the token expired {} ago; issue a new one", HumanDuration(since(*date, *now)))
            }
            Self::NotYetValid { date, now } => write!(
                f,
                "the token is not valid yet: it begins in {}; check the clocks",
                HumanDuration(until(*date, *now))
            ),
            Self::Revoked { id } if id.is_empty() => {
                f.write_str("tokens without an ID are revoked; issue a new one")
            }
            Self::Revoked { id } => write!(f, "token {} is revoked; issue a new one", Quoted(id)),
            Self::RevokedByRule { rule } => {
                write!(f, "the token is revoked by revocationRules[{rule}]; issue a new one")
            }
            Self::Mismatch(mismatch) => mismatch.fmt(f),
            Self::ProxyDenied(Some(proxy)) => {
                write!(f, "proxies of type {proxy} may not connect here")
            }
            Self::ProxyDenied(None) => {
                f.write_str("the proxy type is none of ingress, egress, dataplane")
            }
            Self::PathDenied(Audience::Proxies) => f.write_str(
                "only what proxies ask for is served here: ADS and HDS by gRPC, and POST to /bootstrap",
            ),
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

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Compressed => f.write_str("the first message is compressed"),
            Self::TooLarge => f.write_str(
                "the first message, or the bootstrap request, is larger than the gateway takes",
            ),
            Self::Incomplete => {
                f.write_str("the stream ended before its first message was complete")
            }
            Self::NotADiscoveryRequest => f.write_str("the first message is no discovery request"),
            Self::NoNode => f.write_str("the first discovery request has no node with an id"),
            Self::Resource => f.write_str(
                "the proxy's resource can be read in several ways, or is not of the proxy's type",
            ),
            Self::NodeId => f.write_str(
                "the node's id has no mesh and name, or not those of the proxy's resource",
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
    now.saturating_since(date.into())
}

fn until(date: NumericDate, now: UnixTime) -> Duration {
    UnixTime::from(date).saturating_since(now)
}
