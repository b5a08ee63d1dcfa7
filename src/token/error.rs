//! Why a text is not a token that one of our keys signed.

use std::fmt;

use crate::go_json::JsonError;

/// One of the three segments of a compact JWS (RFC 7515 §7.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Segment {
    /// The JOSE header.
    Header,
    /// The payload.
    Claims,
    /// The signature.
    Signature,
}

impl fmt::Display for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Header => "header",
            Self::Claims => "claims",
            Self::Signature => "signature",
        })
    }
}

/// A claim of the wrong type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MistypedClaim {
    /// The claim that Go reads it as: Go ignores the case of names.
    pub claim: &'static str,
    /// The name as the token spells it.
    pub spelled: String,
}

impl fmt::Display for MistypedClaim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { claim, spelled } = self;
        match claim == spelled {
            true => write!(f, "its claim {claim} has the wrong type"),
            false => write!(
                f,
                "its claim \"{}\" has the wrong type; it is read as {claim}, because the case of names is ignored",
                spelled.escape_default()
            ),
        }
    }
}

/// Why a text is not a token that one of our keys signed.
///
/// It holds no text of an unauthenticated token, so it is safe to log and to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenError {
    /// Not three segments between two dots (RFC 7515 §7.1).
    SegmentCount,
    /// A segment is not base64url without padding (RFC 7515 §2).
    Base64(Segment),
    /// The JOSE header is not a JSON object as Go reads it.
    HeaderJson(JsonError),
    /// The header has a `crit` member; no extension is understood here (RFC 7515 §4.1.11).
    CriticalExtension,
    /// `alg` is absent or is not RS256 (RFC 7518 §3.3), which is the only algorithm allowed.
    UnsupportedAlgorithm,
    /// `alg` is absent, is neither RS256 nor ES256, or is not the algorithm of the key.
    OtherAlgorithm,
    /// The header has no `kid` (Kuma: `pkg/core/tokens/validator.go`).
    MissingKid,
    /// `kid` is not a string; this crashes older control planes (kumahq/kuma#17465).
    KidNotAString,
    /// No configured key has this `kid`.
    UnknownKid,
    /// The signature does not verify (RFC 8017 §8.2.2, FIPS 186-5 §6.4.2).
    InvalidSignature,
    /// The claims are not a JSON object as Go reads it.
    ClaimsJson(JsonError),
    /// A claim has the wrong type.
    ClaimType(MistypedClaim),
    /// A claim occurs twice, in a kind of token that must not have duplicates.
    RepeatedClaim(String),
    /// A claim is missing that a token of this kind always has.
    MissingClaim(&'static str),
    /// A segment has spare bits or line breaks, which a token of this kind never has.
    Spelling(Segment),
    /// The header has a name twice, in a kind of token that must not have duplicates.
    RepeatedHeader(String),
    /// The header has this member, with a value that a token of this kind never has.
    HeaderMember(&'static str),
}

impl fmt::Display for TokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SegmentCount => f.write_str("it is not three segments between two dots"),
            Self::Base64(segment) => {
                write!(f, "its {segment} is not base64url without padding")
            }
            Self::HeaderJson(error) => write!(f, "its header {error}"),
            Self::CriticalExtension => f.write_str("its header asks for an extension (crit)"),
            Self::UnsupportedAlgorithm => f.write_str("its alg is not RS256"),
            Self::OtherAlgorithm => f.write_str("its alg is not that of its key"),
            Self::MissingKid => f.write_str("its header has no kid"),
            Self::KidNotAString => f.write_str("its kid is not a string"),
            Self::UnknownKid => f.write_str("no configured key has its kid"),
            Self::InvalidSignature => f.write_str("its signature does not verify"),
            Self::ClaimsJson(error) => write!(f, "its claims segment {error}"),
            Self::ClaimType(claim) => claim.fmt(f),
            Self::RepeatedClaim(name) => {
                write!(f, "its claim \"{}\" occurs twice", name.escape_default())
            }
            Self::MissingClaim(name) => write!(f, "its claim {name} is missing"),
            Self::Spelling(segment) => {
                write!(f, "its {segment} has spare bits or line breaks in its base64url")
            }
            Self::RepeatedHeader(name) => {
                write!(f, "its header has \"{}\" twice", name.escape_default())
            }
            Self::HeaderMember(name) => write!(f, "its header has {name}, which is not supported"),
        }
    }
}

impl std::error::Error for TokenError {}
