//! The faults of a token.
//!
//! In: the text. Out: sentences: the number of segments, and which segment cannot be read, and why. They do not repeat
//! the text. Whether a gateway accepts the token is judged elsewhere.

use serde::de::IgnoredAny;
use zonegate::credential::Kind;
use zonegate::go_json::{JsonError, normalise};
use zonegate::token::{Algorithm, Segment, TokenError, Unverified};

use crate::cli::pasted::Pasted;

/// All faults of `token`, read as a token of `kind`, in the order of its text.
pub(super) fn faults(text: &[u8], token: Unverified<'_>, kind: Kind) -> Vec<String> {
    let pasted = Pasted::read(text);
    let mut faults = pasted.faults;
    if let Some(other) = pasted.other {
        faults.push(other.to_owned());
        return faults;
    }
    faults.extend(of_the_text(token));
    for segment in [Segment::Header, Segment::Claims, Segment::Signature] {
        faults.extend(of_segment(token, kind, segment));
    }
    faults
}

fn of_the_text(token: Unverified<'_>) -> Option<String> {
    match token.segments() {
        3 => None,
        1 => Some("it has no dots: a token is header.claims.signature".to_owned()),
        count => Some(format!("it has {count} segments: a token is header.claims.signature")),
    }
}

fn of_segment(token: Unverified<'_>, kind: Kind, segment: Segment) -> Option<String> {
    let encoded = token.encoded(segment)?;
    if encoded.is_empty() {
        return Some(format!("its {segment} segment is empty"));
    }
    let Ok(bytes) = token.decoded(segment)? else {
        return Some(format!(
            "its {segment} segment is not base64url: {}",
            why_not_base64(encoded)
        ));
    };
    match segment {
        Segment::Header => match token.kid(kind.algorithms()) {
            Err(error @ TokenError::HeaderJson(_)) => Some(in_json(&error, &bytes)),
            _ => None,
        },
        Segment::Claims => kind.read_unverified(token)?.err().map(|error| in_json(&error, &bytes)),
        Segment::Signature => of_signature(&bytes, kind),
    }
}

/// The reason why the gate refuses a header that can be read.
pub(super) fn refused_header(token: Unverified<'_>, kind: Kind) -> Option<String> {
    match token.kid(kind.algorithms()) {
        Ok(_) | Err(TokenError::HeaderJson(_) | TokenError::Base64(_)) => None,
        Err(error) => Some(format!("the gate would refuse it: {error}")),
    }
}

/// The fault of a signature. RSA signatures are as long as the key (RFC 8017 §8.2.1), and keys have 1024 to 8192 bits.
/// Signatures of ES256 have 64 bytes (RFC 7518 §3.4).
fn of_signature(bytes: &[u8], kind: Kind) -> Option<String> {
    match bytes.len() {
        128..=1024 => None,
        64 if kind.algorithms().contains(&Algorithm::Es256) => None,
        length => Some(format!(
            "its signature is {length} bytes long: one of RS256 has 128 to 1024, mostly 256"
        )),
    }
}

fn why_not_base64(encoded: &[u8]) -> String {
    let is_of_it = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_\r\n".contains(byte);
    let Some(at) = encoded.iter().position(|byte| !is_of_it(byte)) else {
        return "no base64url text has this length; is it cut off?".to_owned();
    };
    let byte = encoded.get(at).copied().unwrap_or_default();
    let what = match byte {
        b'=' => "padding (=)".to_owned(),
        b'+' | b'/' => format!("{:?} of the standard alphabet", char::from(byte)),
        b' ' => "a space".to_owned(),
        _ => format!("the byte 0x{byte:02x}"),
    };
    format!("{what} at character {}", at.saturating_add(1))
}

/// The gate's error, and the place of a syntax error.
fn in_json(error: &TokenError, bytes: &[u8]) -> String {
    let is_syntax = matches!(
        error,
        TokenError::HeaderJson(JsonError::Syntax) | TokenError::ClaimsJson(JsonError::Syntax)
    );
    let place = is_syntax.then(|| syntax_error(bytes)).flatten();
    place.map_or_else(|| error.to_string(), |place| format!("{error}: {place}"))
}

fn syntax_error(bytes: &[u8]) -> Option<String> {
    let text = normalise(bytes).ok()?;
    let error = serde_json::from_str::<IgnoredAny>(&text).err()?;
    Some(error.to_string())
}
