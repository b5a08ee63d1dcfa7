//! Tokens as go-jose reads them, on which Kubernetes' API server builds (v4: `jwt/claims.go`, `shared.go`,
//! `json/decode.go`), where that differs from golang-jwt.
//!
//! In: a token whose signature was verified, and JSON in it. Out: members, dates and audiences; or why the
//! API server refuses the token. What the claims mean is not known here.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::value::RawValue;

use crate::go_json::{members, normalise};
use crate::token::{NumericDate, Segment, TokenError, VerifiedToken};

/// Judges what stands around the claims. go-jose verifies the usual spelling of header and claims, whichever
/// one they have: a signature over another spelling is a signature of something else there.
///
/// Stricter in three ways, for no API server issues such tokens: another spelling is refused also where the
/// usual one is signed; so are all `jwk` and `x5c`, of which go-jose refuses those that are malformed.
///
/// # Errors
/// What is wrong with the spelling or the header.
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
            // RFC 7797: the claims would not be encoded. go-jose obeys it without `crit`, too.
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

/// The members of an object, each of them there once; `null` has none. Names count with their case.
///
/// # Errors
/// It is no object, or a name is there twice.
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

/// A name that an object in `json` has twice, however deep: `normalise` has bounded the depth.
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

/// A date as a number; `null` is none. The outer `None` is the wrong type: a string is, other than to
/// golang-jwt.
pub(super) fn date(value: &str) -> Option<Option<NumericDate>> {
    match value {
        "null" => Some(None),
        text if text.starts_with('"') => None,
        number => NumericDate::from_json(number).map(Some),
    }
}

/// A string, or a list of strings. `None` is the wrong type: `null` is, other than to golang-jwt.
pub(super) fn audiences(value: &str) -> Option<Vec<String>> {
    match serde_json::from_str::<String>(value) {
        Ok(one) => Some(vec![one]),
        Err(_) => serde_json::from_str(value).ok(),
    }
}
