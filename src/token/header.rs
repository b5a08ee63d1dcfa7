//! The JOSE header (RFC 7515 §4): the algorithm and the key.
//!
//! In: a [`CompactToken`], and the algorithms that it may have. Out: a [`SignedToken`] that names its key. `typ`,
//! `jku`, `jwk`, `x5c` and the like are not read, as in Kuma: a token does not choose how it is verified.

use std::cell::RefCell;
use std::sync::Arc;

use super::same::same;
use super::{Algorithm, CompactToken, Segment, TokenError, base64url};
use crate::go_json::{JsonError, Members, members, normalise, numbers_fit};

/// A token that claims to be signed with this algorithm by the key `kid`. Nothing is verified yet.
#[derive(Debug)]
pub struct SignedToken<'a> {
    pub(super) compact: CompactToken<'a>,
    pub(super) kid: Arc<str>,
    pub(super) algorithm: Algorithm,
}

/// The header that was read last. All tokens of one key usually have the same header, byte for byte, so most headers
/// need not be parsed again.
#[derive(Default)]
pub(crate) struct LastHeader(RefCell<Option<HeaderRead>>);

struct HeaderRead {
    encoded: Box<[u8]>,
    kid: Arc<str>,
    algorithm: Algorithm,
}

impl LastHeader {
    /// As [`CompactToken::read_header`].
    pub(crate) fn read<'a>(
        &self,
        compact: CompactToken<'a>,
        allowed: &[Algorithm],
    ) -> Result<SignedToken<'a>, TokenError> {
        if let Some(HeaderRead { encoded, kid, algorithm }) = &*self.0.borrow()
            && allowed.contains(algorithm)
            && same(encoded, compact.header)
        {
            return Ok(SignedToken { compact, kid: Arc::clone(kid), algorithm: *algorithm });
        }
        let signed = compact.read_header(allowed)?;
        let (encoded, kid) = (compact.header.into(), Arc::clone(&signed.kid));
        self.0.replace(Some(HeaderRead { encoded, kid, algorithm: signed.algorithm }));
        Ok(signed)
    }
}

impl SignedToken<'_> {
    /// The kid that the header names.
    pub fn kid(&self) -> &Arc<str> {
        &self.kid
    }
}

impl<'a> CompactToken<'a> {
    /// Reads the header of a token that may be signed with one of `allowed`.
    ///
    /// # Errors
    /// The header is not base64url or JSON, asks for an extension or another algorithm, or does not
    /// name its key.
    pub fn read_header(self, allowed: &[Algorithm]) -> Result<SignedToken<'a>, TokenError> {
        let bytes = base64url::decode(self.header).ok_or(TokenError::Base64(Segment::Header))?;
        let text = normalise(&bytes).map_err(TokenError::HeaderJson)?;
        let header = Header::parse(&text).map_err(TokenError::HeaderJson)?;
        if header.get("crit").is_some() {
            return Err(TokenError::CriticalExtension);
        }
        let named = header.get("alg").and_then(string);
        let is_named = |algorithm: &&Algorithm| named.as_deref() == Some(algorithm.as_str());
        let Some(algorithm) = allowed.iter().find(is_named).copied() else {
            return Err(match allowed {
                [Algorithm::Rs256] => TokenError::UnsupportedAlgorithm,
                _ => TokenError::OtherAlgorithm,
            });
        };
        let kid = header.get("kid").ok_or(TokenError::MissingKid)?;
        let kid = string(kid).ok_or(TokenError::KidNotAString)?;
        Ok(SignedToken { compact: self, kid: kid.into(), algorithm })
    }
}

/// The header as Go's `map[string]any`: names are case-sensitive, the last duplicate wins, and every number must fit a
/// float64.
struct Header<'a>(Members<'a>);

impl<'a> Header<'a> {
    fn parse(text: &'a str) -> Result<Self, JsonError> {
        let members = members(text)?;
        match numbers_fit(text) {
            true => Ok(Self(members)),
            false => Err(JsonError::Syntax),
        }
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().filter(|(other, _)| *other == name).last().map(|(_, value)| value)
    }
}

fn string(value: &str) -> Option<String> {
    serde_json::from_str(value).ok()
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    use super::*;

    const RS256: &[Algorithm] = &[Algorithm::Rs256];
    const BOTH: &[Algorithm] = &[Algorithm::Rs256, Algorithm::Es256];

    #[test]
    fn the_last_header_is_used_for_the_same_header_only() {
        let token = |header: &str| format!("{}.e30.AA", URL_SAFE_NO_PAD.encode(header));
        let [one, two, none] = [
            r#"{"alg":"RS256","kid":"1"}"#,
            r#"{"alg":"RS256","kid":"2"}"#,
            r#"{"alg":"none" ,"kid":"1"}"#,
        ]
        .map(token);
        let last = LastHeader::default();
        let read = |token: &str| {
            let signed = last.read(CompactToken::parse(token.as_bytes())?, RS256)?;
            Ok(signed.kid.to_string())
        };
        for _ in 0..2 {
            assert_eq!(read(&one), Ok("1".to_owned()));
            assert_eq!(read(&one), Ok("1".to_owned()));
            assert_eq!(read(&two), Ok("2".to_owned()));
            assert_eq!(read(&none), Err(TokenError::UnsupportedAlgorithm));
            assert_eq!(read(&none), Err(TokenError::UnsupportedAlgorithm));
            let cut = one.trim_start_matches('e');
            assert_eq!(read(cut), Err(TokenError::Base64(Segment::Header)));
        }
    }

    #[test]
    fn an_algorithm_must_be_allowed_also_in_the_last_header() {
        let es256 = format!("{}.e30.AA", URL_SAFE_NO_PAD.encode(r#"{"alg":"ES256","kid":"1"}"#));
        let last = LastHeader::default();
        for (allowed, wanted) in [
            (RS256, Err(TokenError::UnsupportedAlgorithm)),
            (BOTH, Ok(Algorithm::Es256)),
            (RS256, Err(TokenError::UnsupportedAlgorithm)),
            (BOTH, Ok(Algorithm::Es256)),
        ] {
            let compact = CompactToken::parse(es256.as_bytes());
            let read = compact.and_then(|compact| last.read(compact, allowed));
            assert_eq!(read.map(|signed| signed.algorithm), wanted);
        }
        let es384 = format!("{}.e30.AA", URL_SAFE_NO_PAD.encode(r#"{"alg":"ES384","kid":"1"}"#));
        let compact = CompactToken::parse(es384.as_bytes());
        let read = compact.and_then(|compact| compact.read_header(BOTH)).map(drop);
        assert_eq!(read, Err(TokenError::OtherAlgorithm));
    }

    #[test]
    fn a_header_is_json_to_its_end_and_its_numbers_fit() {
        for header in [r#"{"alg":"RS256","kid":"1"} x"#, r#"{"alg":"RS256","kid":"1","n":1e309}"#] {
            let token = format!("{}.e30.AA", URL_SAFE_NO_PAD.encode(header));
            let compact = CompactToken::parse(token.as_bytes());
            let read = compact.and_then(|compact| compact.read_header(RS256));
            let error = read.map(|signed| signed.kid);
            assert_eq!(error, Err(TokenError::HeaderJson(JsonError::Syntax)), "{header}");
        }
    }
}
