//! The claims of a zone token (Kuma: `pkg/tokens/builtin/zone/token.go`, RFC 7519 §4.1).
//!
//! In: the payload of a token whose signature was verified. Out: [`Claims`], types checked as Go
//! checks them: a wrong type is an error, never "absent". No date is compared here.

use serde::de::IgnoredAny;

use super::json::{fold_name, normalise};
use super::{MistypedClaim, TokenError, members};

/// What a zone token says. An absent string is empty, as in Go.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Claims {
    /// `Zone`: where the token may be used; empty is anywhere.
    pub zone: String,
    /// `Scope`: as what it may be used.
    pub scope: Vec<String>,
    /// `jti`: its ID, by which it can be revoked (RFC 7519 §4.1.7).
    pub id: String,
    /// `exp` (RFC 7519 §4.1.4).
    pub expires_at: Option<NumericDate>,
    /// `nbf` (RFC 7519 §4.1.5).
    pub not_before: Option<NumericDate>,
}

/// Whole seconds since 1970-01-01T00:00:00Z (RFC 7519 §2), as golang-jwt makes them of a JSON
/// number: read as float64, truncated down, beyond the range of Go's clock in the far past.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct NumericDate(
    /// Seconds.
    pub i64,
);

impl Claims {
    /// Reads the claims in `payload`, the decoded second segment.
    ///
    /// # Errors
    /// [`TokenError::ClaimsJson`] or [`TokenError::ClaimType`].
    pub(super) fn parse(payload: &[u8]) -> Result<Self, TokenError> {
        let text = normalise(payload).map_err(TokenError::ClaimsJson)?;
        let members = members(&text).map_err(TokenError::ClaimsJson)?;
        let mut claims = Self::default();
        for (name, value) in members.iter() {
            claims.set(&fold_name(name), value).map_err(|claim| {
                TokenError::ClaimType(MistypedClaim { claim, spelled: name.to_owned() })
            })?;
        }
        Ok(claims)
    }

    /// Takes one member. Of several spellings and duplicates the last wins; `null` leaves a string
    /// as it was and clears a date or a list (Go's `encoding/json`).
    fn set(&mut self, name: &str, value: &str) -> Result<(), &'static str> {
        match name {
            "zone" => set_string(&mut self.zone, value).ok_or("Zone"),
            "scope" => {
                self.scope = string_list(value).ok_or("Scope")?;
                Ok(())
            }
            "jti" => set_string(&mut self.id, value).ok_or("jti"),
            "exp" => {
                self.expires_at = date(value).ok_or("exp")?;
                Ok(())
            }
            "nbf" => {
                self.not_before = date(value).ok_or("nbf")?;
                Ok(())
            }
            // Read for their types only, as golang-jwt does.
            "iat" => date(value).map(drop).ok_or("iat"),
            "iss" => set_string(&mut String::new(), value).ok_or("iss"),
            "sub" => set_string(&mut String::new(), value).ok_or("sub"),
            "aud" => audience(value).ok_or("aud"),
            _ => Ok(()),
        }
    }
}

fn set_string(claim: &mut String, value: &str) -> Option<()> {
    if let Some(text) = serde_json::from_str::<Option<String>>(value).ok()? {
        *claim = text;
    }
    Some(())
}

/// A `null` element is an empty string. (Go would keep what an earlier duplicate had there: that
/// can only add a scope, so it is left out.)
fn string_list(value: &str) -> Option<Vec<String>> {
    let list: Option<Vec<Option<String>>> = serde_json::from_str(value).ok()?;
    Some(list.into_iter().flatten().map(Option::unwrap_or_default).collect())
}

/// A string, a list of strings, or `null` (golang-jwt's `ClaimStrings`).
fn audience(value: &str) -> Option<()> {
    if serde_json::from_str::<Option<String>>(value).is_ok() {
        return Some(());
    }
    serde_json::from_str::<Vec<String>>(value).ok().map(drop)
}

/// `null`, a number, or a string that holds a number (golang-jwt's `NumericDate` over
/// `json.Number`). The outer `None` is the wrong type.
fn date(value: &str) -> Option<Option<NumericDate>> {
    if value == "null" {
        return Some(None);
    }
    let number = match value.starts_with('"') {
        true => serde_json::from_str::<String>(value).ok()?,
        false => value.to_owned(),
    };
    if !is_json_number(&number) {
        return None;
    }
    let seconds: f64 = number.parse().ok()?;
    // Go's ParseFloat refuses what does not fit.
    seconds.is_finite().then(|| Some(NumericDate::from_seconds(seconds)))
}

fn is_json_number(text: &str) -> bool {
    text.starts_with(|first: char| first == '-' || first.is_ascii_digit())
        && text.ends_with(|last: char| last.is_ascii_digit())
        && serde_json::from_str::<IgnoredAny>(text).is_ok()
}

impl NumericDate {
    /// The last second that Go's `time.Unix` does not wrap into the far past: its clock counts from
    /// year 1, 62,135,596,800 seconds before 1970, in an int64.
    const LATEST: i64 = i64::MAX - 62_135_596_800;

    /// Reads the JSON value of a date; `None` where it is none.
    pub fn from_json(value: &str) -> Option<Self> {
        date(value).flatten()
    }

    fn from_seconds(seconds: f64) -> Self {
        // `as` saturates, and everything outside the range is the far past.
        #[allow(clippy::cast_possible_truncation)]
        let whole = seconds.floor() as i64;
        Self(if whole > Self::LATEST { i64::MIN } else { whole })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a test may panic
mod tests {
    use super::*;

    #[test]
    fn a_claim_of_the_wrong_type_is_named_as_it_is_spelled() {
        for (payload, wanted) in [
            (r#"{"Scope":1}"#, "its claim Scope has the wrong type"),
            (
                r#"{"Scope":["ingress"],"scope":"openid email"}"#,
                "its claim \"scope\" has the wrong type; it is read as Scope, for names count without \
                 case",
            ),
            (
                "{\"\u{17f}cope\":1}",
                "its claim \"\\u{17f}cope\" has the wrong type; it is read as Scope, for names count \
                 without case",
            ),
        ] {
            let error = Claims::parse(payload.as_bytes()).unwrap_err();
            assert_eq!(error.to_string(), wanted, "{payload}");
        }
    }

    /// Each JSON value with the date that it is; `Err` is the wrong type, `Ok(None)` no date.
    #[test]
    fn a_date_is_what_golang_jwt_makes_of_it() {
        let at = |seconds| Ok(Some(NumericDate(seconds)));
        for (value, wanted) in [
            ("null", Ok(None)),
            ("0", at(0)),
            ("-0", at(0)),
            ("1.0", at(1)),
            ("1.999", at(1)),
            ("1e3", at(1_000)),
            // Down, not towards zero.
            ("-0.5", at(-1)),
            ("-1.5", at(-2)),
            ("-2", at(-2)),
            (r#""1""#, at(1)),
            (r#""-1.5e1""#, at(-15)),
            (r#""1E+2""#, at(100)),
            // What is in a string must be a number and nothing else.
            (r#""1 ""#, Err(())),
            (r#"" 1""#, Err(())),
            (r#""1\n""#, Err(())),
            (r#""+1""#, Err(())),
            (r#""01""#, Err(())),
            (r#""1.""#, Err(())),
            (r#"".5""#, Err(())),
            (r#""-""#, Err(())),
            (r#""0x1""#, Err(())),
            (r#""1_0""#, Err(())),
            (r#""inf""#, Err(())),
            (r#""NaN""#, Err(())),
            (r#""null""#, Err(())),
            (r#""""#, Err(())),
            ("true", Err(())),
            ("[1]", Err(())),
            ("{}", Err(())),
            // Beyond a float64, and beyond Go's clock.
            ("1e309", Err(())),
            (r#""-1e309""#, Err(())),
            ("1e308", at(i64::MIN)),
            ("-1e308", at(i64::MIN)),
            ("9223371974719178752", at(9_223_371_974_719_178_752)),
            ("9223371974719179776", at(i64::MIN)),
            ("9223372036854775807", at(i64::MIN)),
        ] {
            assert_eq!(date(value).ok_or(()), wanted, "{value}");
            assert_eq!(NumericDate::from_json(value), wanted.ok().flatten(), "{value}");
        }
    }
}
