//! The contents of a token without verification, for people to look at. The gate does not use this.
//!
//! In: any text. Out: each segment on its own, with the error that the gate's own reader has for it. Neither signature
//! nor dates are checked.

use super::{Algorithm, CompactToken, Segment, TokenError, base64url};
use crate::go_json::{members, normalise};

/// A text that may be a token, in its segments.
#[derive(Debug, Clone, Copy)]
pub struct Unverified<'a> {
    text: &'a [u8],
}

impl<'a> Unverified<'a> {
    /// Takes any text.
    pub fn new(text: &'a [u8]) -> Self {
        Self { text }
    }

    /// How many segments there are; a token has three.
    pub fn segments(self) -> usize {
        self.text.split(|byte| *byte == b'.').count()
    }

    /// A segment, still encoded; `None` if it is missing.
    pub fn encoded(self, segment: Segment) -> Option<&'a [u8]> {
        let position = match segment {
            Segment::Header => 0,
            Segment::Claims => 1,
            Segment::Signature => 2,
        };
        self.text.split(|byte| *byte == b'.').nth(position)
    }

    /// The bytes of a segment; `None` if it is missing.
    ///
    /// # Errors
    /// [`TokenError::Base64`].
    pub fn decoded(self, segment: Segment) -> Option<Result<Vec<u8>, TokenError>> {
        let encoded = self.encoded(segment)?;
        Some(base64url::decode(encoded).ok_or(TokenError::Base64(segment)))
    }

    /// Whether the first segment is a JSON object, as every header is.
    pub fn has_header(self) -> bool {
        let Some(Ok(bytes)) = self.decoded(Segment::Header) else { return false };
        normalise(&bytes).is_ok_and(|text| members(&text).is_ok())
    }

    /// The kid that the header names, if its algorithm is one of `allowed`.
    ///
    /// # Errors
    /// As [`CompactToken::read_header`].
    pub fn kid(self, allowed: &[Algorithm]) -> Result<String, TokenError> {
        let header = self.encoded(Segment::Header).unwrap_or_default();
        let compact = CompactToken { header, claims: b"", signature: b"", signing_input: b"" };
        compact.read_header(allowed).map(|signed| (*signed.kid).to_owned())
    }

    /// The claims, decoded and not yet read; `None` if they are missing.
    ///
    /// # Errors
    /// They are not base64url.
    pub fn payload(self) -> Option<Result<Vec<u8>, TokenError>> {
        self.decoded(Segment::Claims)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a test may panic
mod tests {
    use super::*;

    /// RFC 7515 §3.1.
    #[test]
    fn each_segment_is_read_on_its_own() {
        // {"alg":"RS256","kid":"1"} and {"a":1}
        let header = "eyJhbGciOiJSUzI1NiIsImtpZCI6IjEifQ";
        let kid = |text: &str, allowed: &[_]| Unverified::new(text.as_bytes()).kid(allowed);
        for (text, segments, payload) in [
            (header.to_owned(), 1, None),
            (format!("{header}.eyJhIjoxfQ"), 2, Some(Ok(br#"{"a":1}"#.to_vec()))),
            (format!("{header}.eyJhIjoxfQ.AQ"), 3, Some(Ok(br#"{"a":1}"#.to_vec()))),
            (format!("{header}...."), 5, Some(Ok(Vec::new()))),
            (format!("{header}.*.AQ"), 3, Some(Err(TokenError::Base64(Segment::Claims)))),
        ] {
            let token = Unverified::new(text.as_bytes());
            assert_eq!(token.segments(), segments, "{text}");
            assert_eq!(token.payload(), payload, "{text}");
            assert_eq!(kid(&text, &[Algorithm::Rs256]).unwrap(), "1", "{text}");
            let es256 = kid(&text, &[Algorithm::Es256]);
            assert_eq!(es256, Err(TokenError::OtherAlgorithm), "{text}");
        }
        assert_eq!(Unverified::new(b"").segments(), 1);
        assert!(kid("e30", &[Algorithm::Rs256]).is_err());
    }
}
