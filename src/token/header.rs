//! The JOSE header (RFC 7515 §4): which algorithm, which key.
//!
//! In: a [`CompactToken`]. Out: a [`SignedToken`] that names its key. `typ`, `jku`, `jwk`, `x5c` and
//! the like are not read, as in Kuma: a token does not choose how it is verified.

use serde_json::{Map, Value};

use super::json::normalise;
use super::{CompactToken, JsonError, Segment, TokenError, base64url};

/// A token that claims to be signed with RS256 by the key `kid`. Nothing is verified yet.
#[derive(Debug)]
pub struct SignedToken<'a> {
    pub(super) compact: CompactToken<'a>,
    pub(super) kid: String,
}

impl<'a> CompactToken<'a> {
    /// Reads the header.
    ///
    /// # Errors
    /// The header is not base64url or JSON, asks for an extension or another algorithm, or does not
    /// name its key.
    pub fn read_header(self) -> Result<SignedToken<'a>, TokenError> {
        let bytes = base64url::decode(self.header).ok_or(TokenError::Base64(Segment::Header))?;
        let header = parse(&bytes).map_err(TokenError::HeaderJson)?;
        if header.contains_key("crit") {
            return Err(TokenError::CriticalExtension);
        }
        if header.get("alg").and_then(Value::as_str) != Some("RS256") {
            return Err(TokenError::UnsupportedAlgorithm);
        }
        match header.get("kid") {
            None => Err(TokenError::MissingKid),
            Some(Value::String(kid)) => Ok(SignedToken { compact: self, kid: kid.clone() }),
            Some(_) => Err(TokenError::KidNotAString),
        }
    }
}

/// The header as Go's `map[string]any`: names by their case, the last duplicate wins, and every
/// number must fit a float64.
fn parse(bytes: &[u8]) -> Result<Map<String, Value>, JsonError> {
    let text = normalise(bytes)?;
    match serde_json::from_str(&text).map_err(|_| JsonError::Syntax)? {
        Value::Object(header) => Ok(header),
        Value::Null => Ok(Map::new()),
        _ => Err(JsonError::NotAnObject),
    }
}
