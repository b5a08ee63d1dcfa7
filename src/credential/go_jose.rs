//! Reads tokens as go-jose does, which Kubernetes' API server uses (v4: `jwt/claims.go`, `shared.go`,
//! `json/decode.go`), where go-jose differs from golang-jwt.
//!
//! In: a token whose signature was verified, and JSON in it. Out: members, dates and audiences; or why the
//! API server refuses the token. The meaning of the claims is not known here.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::value::RawValue;

use crate::go_json::{members, normalise};
use crate::token::{NumericDate, Segment, TokenError, VerifiedToken};

/// Checks the header and the spelling of a token. go-jose always verifies the usual spelling of header and claims, so
/// it refuses a signature over another spelling.
///
/// Stricter than go-jose in three ways, because no API server issues such tokens: another spelling is refused even if
/// the usual one is signed, and so is every `jwk` and `x5c`. go-jose refuses only malformed ones.
///
/// # Errors
/// The fault of the spelling or the header.
pub(super) fn judge_envelope(verified: &VerifiedToken<'_>) -> Result<(), TokenError> {
    for segment in [Segment::Header, Segment::Claims] {
        if !verified.is_usual_spelling(segment) {
            return Err(TokenError::Spelling(segment));
        }
    }
    let header = verified.header()?;
    let text = normalise(&header).map_err(TokenError::HeaderJson)?;
    if let Some(name) = repeated_name(&text) {
        return Err(TokenError::RepeatedHeader(name));
    }
    for (name, value) in members(&text).map_err(TokenError::HeaderJson)?.iter() {
        match (name, value) {
            (_, "null") => {}
            // RFC 7797: the claims would not be encoded. go-jose applies this without `crit`, too.
            ("b64", "false") => return Err(TokenError::HeaderMember("b64")),
            ("jwk", _) => return Err(TokenError::HeaderMember("jwk")),
            ("x5c", _) => return Err(TokenError::HeaderMember("x5c")),
            ("nonce", value) if !value.starts_with('"') => {
                return Err(TokenError::HeaderMember("nonce"));
            }
            _ => {}
        }
    }
    Ok(())
}

/// The members of an object, each with a unique name; `null` has none. Names are case-sensitive.
///
/// # Errors
/// It is not an object, or a name is repeated.
pub(super) fn unique(text: &str) -> Result<BTreeMap<Cow<'_, str>, &str>, TokenError> {
    let mut all = BTreeMap::new();
    for (name, value) in members(text).map_err(TokenError::ClaimsJson)? {
        if all.contains_key(&name) {
            return Err(TokenError::RepeatedClaim(name.into_owned()));
        }
        all.insert(name, value.get());
    }
    Ok(all)
}

/// A name that an object in `json` repeats, at any depth: `normalise` has bounded the depth.
fn repeated_name(json: &str) -> Option<String> {
    if let Ok(all) = serde_json::from_str::<Vec<&RawValue>>(json) {
        return all.into_iter().find_map(|value| repeated_name(value.get()));
    }
    if !json.trim_start().starts_with('{') {
        return None;
    }
    match unique(json) {
        Ok(all) => all.into_values().find_map(repeated_name),
        Err(TokenError::RepeatedClaim(name)) => Some(name),
        Err(_) => None,
    }
}

/// A date as a number; `null` is none. The outer `None` means the wrong type. A string has the wrong type here, and not
/// for golang-jwt.
pub(super) fn date(value: &str) -> Option<Option<NumericDate>> {
    match value {
        "null" => Some(None),
        text if text.starts_with('"') => None,
        number => NumericDate::from_json(number).map(Some),
    }
}

/// A string, or a list of strings. `None` means the wrong type. `null` has the wrong type here, and not for golang-jwt.
pub(super) fn audiences(value: &str) -> Option<Vec<String>> {
    match serde_json::from_str::<String>(value) {
        Ok(one) => Some(vec![one]),
        Err(_) => serde_json::from_str(value).ok(),
    }
}
