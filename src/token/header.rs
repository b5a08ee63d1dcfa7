//! The JOSE header (RFC 7515 §4): which algorithm, which key.
//!
//! In: a [`CompactToken`]. Out: a [`SignedToken`] that names its key. `typ`, `jku`, `jwk`, `x5c` and
//! the like are not read, as in Kuma: a token does not choose how it is verified.

use super::json::{members, normalise};
use super::numbers::check_numbers;
use super::{CompactToken, JsonError, Members, Segment, TokenError, base64url};

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
        let text = normalise(&bytes).map_err(TokenError::HeaderJson)?;
        let header = Header::parse(&text).map_err(TokenError::HeaderJson)?;
        if header.get("crit").is_some() {
            return Err(TokenError::CriticalExtension);
        }
        if header.get("alg").and_then(string).as_deref() != Some("RS256") {
            return Err(TokenError::UnsupportedAlgorithm);
        }
        let kid = header.get("kid").ok_or(TokenError::MissingKid)?;
        let kid = string(kid).ok_or(TokenError::KidNotAString)?;
        Ok(SignedToken { compact: self, kid })
    }
}

/// The header as Go's `map[string]any`: names by their case, the last duplicate wins, and every
/// number must fit a float64.
struct Header<'a>(Members<'a>);

impl<'a> Header<'a> {
    fn parse(text: &'a str) -> Result<Self, JsonError> {
        check_numbers(text)?;
        members(text).map(Self)
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().filter(|(other, _)| *other == name).last().map(|(_, value)| value)
    }
}

fn string(value: &str) -> Option<String> {
    serde_json::from_str(value).ok()
}
