//! The compact serialisation: three segments between two dots (RFC 7515 §7.1).
//!
//! In: the text. Out: the segments, still encoded, and what was signed. Nothing is decoded here.

use super::TokenError;

/// The three segments of a token, still encoded, none of them believed.
#[derive(Debug, Clone, Copy)]
pub struct CompactToken<'a> {
    pub(super) header: &'a [u8],
    pub(super) claims: &'a [u8],
    pub(super) signature: &'a [u8],
    /// `header.claims`, exactly as received: what the signature is over (RFC 7515 §5.2).
    pub(super) signing_input: &'a [u8],
}

impl<'a> CompactToken<'a> {
    /// Splits `text` at its two dots.
    ///
    /// # Errors
    /// [`TokenError::SegmentCount`] when it has more or fewer.
    pub fn parse(text: &'a [u8]) -> Result<Self, TokenError> {
        let mut from_end = text.rsplitn(2, |byte| *byte == b'.');
        let (Some(signature), Some(signing_input)) = (from_end.next(), from_end.next()) else {
            return Err(TokenError::SegmentCount);
        };
        let mut segments = signing_input.split(|byte| *byte == b'.');
        let (Some(header), Some(claims), None) =
            (segments.next(), segments.next(), segments.next())
        else {
            return Err(TokenError::SegmentCount);
        };
        Ok(Self { header, claims, signature, signing_input })
    }
}
