//! The compact serialisation: three segments between two dots (RFC 7515 §7.1).
//!
//! In: the text. Out: the segments, still encoded, and the text that was signed. Nothing is decoded here.

use memchr::memchr_iter;

use super::TokenError;

/// The three segments of a token, still encoded, none of them verified.
#[derive(Debug, Clone, Copy)]
pub struct CompactToken<'a> {
    pub(super) header: &'a [u8],
    pub(super) claims: &'a [u8],
    pub(super) signature: &'a [u8],
    /// `header.claims`, exactly as received: the text that was signed (RFC 7515 §5.2).
    pub(super) signing_input: &'a [u8],
}

impl<'a> CompactToken<'a> {
    /// Splits `text` at its two dots.
    ///
    /// # Errors
    /// [`TokenError::SegmentCount`] if it has more or fewer.
    pub fn parse(text: &'a [u8]) -> Result<Self, TokenError> {
        let mut dots = memchr_iter(b'.', text);
        let (Some(first), Some(second), None) = (dots.next(), dots.next(), dots.next()) else {
            return Err(TokenError::SegmentCount);
        };
        let split = |text: &'a [u8], dot| {
            let (before, rest) = text.split_at_checked(dot)?;
            Some((before, rest.split_first()?.1))
        };
        let (signing_input, signature) = split(text, second).ok_or(TokenError::SegmentCount)?;
        let (header, claims) = split(signing_input, first).ok_or(TokenError::SegmentCount)?;
        Ok(Self { header, claims, signature, signing_input })
    }
    /// The length of the text, in bytes.
    pub(super) fn len(&self) -> usize {
        // The segments and the second dot; the signing input has the first one.
        self.signing_input.len().saturating_add(self.signature.len()).saturating_add(1)
    }
}
