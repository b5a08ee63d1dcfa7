//! The registered claims of a token (RFC 7519 §4.1), and how the claims of any kind of token are read.
//!
//! In: the payload of a token whose signature was verified. Out: [`Registered`], and the claims of a kind, types
//! checked as Go checks them: a wrong type is an error, never "absent". Dates are not compared, and the claims of a
//! kind are not interpreted here.

use serde::de::IgnoredAny;

use super::{MistypedClaim, TokenError};
use crate::go_json::{fold_name, members, normalise, plain_string};

/// The claims that every kind of token may have. An absent string is empty, as in Go.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Registered {
    /// `jti`: its ID, by which it can be revoked (RFC 7519 §4.1.7).
    pub id: String,
    /// `exp` (RFC 7519 §4.1.4).
    pub expires_at: Option<NumericDate>,
    /// `nbf` (RFC 7519 §4.1.5).
    pub not_before: Option<NumericDate>,
    /// `iat` (RFC 7519 §4.1.6). It is not compared with the time here.
    pub issued_at: Option<NumericDate>,
}

/// The claims that only one kind of token has.
pub trait PrivateClaims: Default {
    /// Takes one member; `name` is folded. Of several spellings and duplicates the last wins.
    ///
    /// # Errors
    /// The name of the claim, if `value` has the wrong type for it.
    fn set(&mut self, name: &str, value: &str) -> Result<(), &'static str>;
}

/// Whole seconds since 1970-01-01T00:00:00Z (RFC 7519 §2), as golang-jwt reads them from a JSON number: as a float64,
/// rounded down. Beyond the range of Go's clock they are in the far past.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct NumericDate(
    /// Seconds.
    pub i64,
);

/// Reads the claims in `payload`, the decoded second segment, as Go's `encoding/json` reads them into a struct: the
/// case of names is ignored.
///
/// # Errors
/// [`TokenError::ClaimsJson`] or [`TokenError::ClaimType`].
pub fn read_claims<C: PrivateClaims>(payload: &[u8]) -> Result<(Registered, C), TokenError> {
    let text = normalise(payload).map_err(TokenError::ClaimsJson)?;
    let members = members(&text).map_err(TokenError::ClaimsJson)?;
    let (mut registered, mut private) = (Registered::default(), C::default());
    for (name, value) in members.iter() {
        let folded = fold_name(name);
        registered.set(&folded, value).and_then(|()| private.set(&folded, value)).map_err(
            |claim| TokenError::ClaimType(MistypedClaim { claim, spelled: name.to_owned() }),
        )?;
    }
    Ok((registered, private))
}

impl Registered {
    /// Takes one member. Of several spellings and duplicates the last wins; `null` leaves a string
    /// as it was and clears a date (Go's `encoding/json`).
    fn set(&mut self, name: &str, value: &str) -> Result<(), &'static str> {
        match name {
            "jti" => set_string(&mut self.id, value).ok_or("jti"),
            "exp" => {
                self.expires_at = date(value).ok_or("exp")?;
                Ok(())
            }
            "nbf" => {
                self.not_before = date(value).ok_or("nbf")?;
                Ok(())
            }
            "iat" => {
                self.issued_at = date(value).ok_or("iat")?;
                Ok(())
            }
            // Read for their types only, as golang-jwt does.
            "iss" => set_string(&mut String::new(), value).ok_or("iss"),
            "sub" => set_string(&mut String::new(), value).ok_or("sub"),
            "aud" => audience(value).ok_or("aud"),
            _ => Ok(()),
        }
    }
}

/// Sets `claim` to a string; `null` leaves it unchanged. `None` means the wrong type.
pub(crate) fn set_string(claim: &mut String, value: &str) -> Option<()> {
    if let Some(text) = plain_string(value) {
        text.clone_into(claim);
    } else if let Some(text) = serde_json::from_str::<Option<String>>(value).ok()? {
        *claim = text;
    }
    Some(())
}

/// A list of strings, or `null`, which is empty. A `null` element is an empty string. (Go keeps the element of an
/// earlier duplicate there. That can only add to the list, so it is not imitated.)
pub(crate) fn string_list(value: &str) -> Option<Vec<String>> {
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

/// `null`, a number, or a string that holds a number (golang-jwt's `NumericDate` over `json.Number`). The outer `None`
/// means the wrong type.
fn date(value: &str) -> Option<Option<NumericDate>> {
    if value == "null" {
        return Some(None);
    }
    if let Some(seconds) = whole_seconds(value) {
        return Some(Some(NumericDate(seconds)));
    }
    let number = match value.starts_with('"') {
        true => serde_json::from_str::<String>(value).ok()?,
        false => value.to_owned(),
    };
    // JSON, which `01`, `+1` and `inf` are not, and nothing but a number.
    serde_json::from_str::<IgnoredAny>(&number).ok()?;
    let seconds: f64 = number.parse().ok()?;
    // Go's ParseFloat refuses what does not fit.
    seconds.is_finite().then(|| Some(NumericDate::from_seconds(seconds)))
}

/// The number, if `value` has only digits, as almost every date has; `None` for any other value. A float64 holds every
/// number of 15 digits.
fn whole_seconds(value: &str) -> Option<i64> {
    const EXACT: usize = 15;
    let is_plain = (1..=EXACT).contains(&value.len())
        && value.bytes().all(|byte| byte.is_ascii_digit())
        && (!value.starts_with('0') || value == "0");
    if is_plain { value.parse().ok() } else { None }
}

impl NumericDate {
    /// The last second that Go's `time.Unix` does not wrap into the far past: its clock counts from
    /// year 1, 62,135,596,800 seconds before 1970, in an int64.
    const LATEST: i64 = i64::MAX - 62_135_596_800;

    /// Reads the JSON value of a date; `None` if it is not a date.
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
mod tests {
    use super::*;

    /// Each JSON value with its date; `Err` means the wrong type, `Ok(None)` no date.
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
            // A string must hold a number and nothing else.
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
            ("01", Err(())),
            ("00", Err(())),
            ("true", Err(())),
            ("[1]", Err(())),
            ("{}", Err(())),
            // The longest that is read without a float64, and one digit more.
            ("999999999999999", at(999_999_999_999_999)),
            ("9007199254740993", at(9_007_199_254_740_992)),
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

    /// RFC 7519 §4.1: each is a string, a date, or strings. Go reads none of another type.
    #[test]
    fn a_registered_claim_of_the_wrong_type_is_an_error() {
        for name in ["jti", "iss", "sub", "aud", "exp", "nbf", "iat"] {
            for value in ["true", "{}", "[1]"] {
                assert_eq!(Registered::default().set(name, value), Err(name), "{name} {value}");
            }
            assert_eq!(Registered::default().set(name, "null"), Ok(()), "{name}");
        }
        for name in ["jti", "iss", "sub", "aud"] {
            assert_eq!(Registered::default().set(name, "1"), Err(name), "{name}");
            assert_eq!(Registered::default().set(name, r#""1""#), Ok(()), "{name}");
        }
        assert_eq!(Registered::default().set("aud", r#"["1"]"#), Ok(()));
        assert_eq!(Registered::default().set("other", "true"), Ok(()));
    }
}
