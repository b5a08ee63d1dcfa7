//! The parts that tokens of every kind have in common, byte for byte as kumactl writes them (Kuma:
//! `pkg/core/tokens/issuer.go`).
//!
//! In: dates, an ID, claims and a key. Out: the registered claims (RFC 7519 §4.1), and the signed token. The claims of
//! one kind are defined in the module of the kind.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Serialize;

use super::SigningKey;

/// How far the dates of a token are set back, for clocks that differ.
const BACKDATED: Duration = Duration::from_secs(5);

/// Why a token cannot be issued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IssueError {
    /// The clock shows a time before 1970.
    Clock,
    /// The end of the token's life is beyond what a clock can show.
    TooLong,
    /// The end of the token's life is past.
    Over,
}

impl fmt::Display for IssueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Clock => "the clock of this machine shows a time before 1970: set it first",
            Self::TooLong => {
                "the token would expire later than a date can express: give a shorter --valid-for"
            }
            Self::Over => "the token would have expired already: give a later --not-before",
        })
    }
}

impl std::error::Error for IssueError {}

/// When a token is issued, and how long it lives.
#[derive(Debug, Clone, Copy)]
pub(super) struct Life {
    pub(super) now: SystemTime,
    /// The start of validity, if it is not the time of issue; then `valid_for` counts from this time.
    pub(super) not_before: Option<SystemTime>,
    pub(super) valid_for: Duration,
}

/// The registered claims, in the order of golang-jwt's `RegisteredClaims`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) struct Registered<'a> {
    exp: u64,
    nbf: u64,
    iat: u64,
    jti: &'a str,
}

impl<'a> Registered<'a> {
    pub(super) fn new(life: Life, id: &'a str) -> Result<Self, IssueError> {
        let Life { now, not_before, valid_for } = life;
        let end = not_before.unwrap_or(now).checked_add(valid_for).ok_or(IssueError::TooLong)?;
        if end <= now {
            return Err(IssueError::Over);
        }
        let issued = now.checked_sub(BACKDATED).ok_or(IssueError::Clock)?;
        Ok(Self {
            exp: seconds(end)?,
            nbf: seconds(not_before.unwrap_or(issued))?,
            iat: seconds(issued)?,
            jti: id,
        })
    }
}

/// The members in the order of their names, as Go prints a map.
#[derive(Serialize)]
struct Header<'a> {
    alg: &'static str,
    kid: &'a str,
    typ: &'static str,
}

/// The token with these claims.
pub(super) fn sign(key: &SigningKey, kid: &str, claims: &impl Serialize) -> String {
    let header = Header { alg: "RS256", kid, typ: "JWT" };
    key.sign_raw(go_json(&header), go_json(claims))
}

/// Whole seconds, the rest cut off, as golang-jwt writes a date.
fn seconds(time: SystemTime) -> Result<u64, IssueError> {
    let since = time.duration_since(UNIX_EPOCH).map_err(|_| IssueError::Clock)?;
    Ok(since.as_secs())
}

/// JSON as Go's `json.Marshal` writes it, with escapes for the characters that are special in HTML and JavaScript.
/// These characters occur only in strings.
pub(super) fn go_json(value: &impl Serialize) -> String {
    // Strings, numbers and lists of them always have a JSON form.
    let text = serde_json::to_string(value).unwrap_or_default();
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                escaped.push_str(&format!("\\u{:04x}", u32::from(character)));
            }
            _ => escaped.push(character),
        }
    }
    escaped
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a test may panic
mod tests {
    use super::*;

    fn at(milliseconds: u64) -> SystemTime {
        UNIX_EPOCH.checked_add(Duration::from_millis(milliseconds)).unwrap()
    }

    fn life() -> Life {
        Life { now: at(1_000_900), not_before: None, valid_for: Duration::from_secs(60) }
    }

    fn dates(life: Life) -> Result<[u64; 3], IssueError> {
        Registered::new(life, "id-1").map(|Registered { exp, nbf, iat, jti: _ }| [exp, nbf, iat])
    }

    #[test]
    fn dates_are_in_whole_seconds_and_begin_five_seconds_back() {
        assert_eq!(dates(life()), Ok([1060, 995, 995]));
    }

    #[test]
    fn a_later_beginning_moves_the_end() {
        let from = |seconds: u64| dates(Life { not_before: Some(at(seconds * 1_000)), ..life() });
        assert_eq!(from(2_000), Ok([2060, 2000, 995]));
        assert_eq!(from(941), Ok([1001, 941, 995]));
        assert_eq!(from(940), Err(IssueError::Over));
    }

    #[test]
    fn dates_that_do_not_fit_are_refused() {
        let too_long = Life { valid_for: Duration::MAX, ..life() };
        assert_eq!(dates(too_long), Err(IssueError::TooLong));
        assert_eq!(dates(Life { now: UNIX_EPOCH, ..life() }), Err(IssueError::Clock));
    }

    #[test]
    fn text_is_escaped_as_go_escapes_it() {
        let value = ["<a>&\u{2028}\u{2029}", "\"\\\u{8}\n\u{1}\u{7f}é"];
        let wanted =
            r#"["\u003ca\u003e\u0026\u2028\u2029","\"\\\b\n\u0001"#.to_owned() + "\u{7f}é\"]";
        assert_eq!(go_json(&value), wanted);
    }
}
