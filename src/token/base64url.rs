//! base64url as Go's `base64.RawURLEncoding` reads it, which is how golang-jwt decodes a segment.
//!
//! In: a segment. Out: its bytes. Laxer than RFC 7515 §2 in two ways, both Kuma's: CR and LF are
//! skipped, and the spare low bits of the last character may be anything. So two texts can be the
//! same token: the text is not a token's identity.

use base64::Engine;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use memchr::memchr2;

const ENGINE: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::RequireNone),
);

/// Whether `segment` is the text that an encoder makes of its bytes: no line breaks, and the spare bits are zero.
pub(super) fn is_usual(segment: &[u8]) -> bool {
    decode(segment).is_some_and(|bytes| ENGINE.encode(bytes).as_bytes() == segment)
}

/// The bytes of `segment`, or `None` if Go would refuse it.
pub(super) fn decode(segment: &[u8]) -> Option<Vec<u8>> {
    if memchr2(b'\r', b'\n', segment).is_some() {
        let joined: Vec<u8> =
            segment.iter().copied().filter(|byte| !matches!(byte, b'\r' | b'\n')).collect();
        return ENGINE.decode(joined).ok();
    }
    ENGINE.decode(segment).ok()
}
