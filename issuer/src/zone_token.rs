//! Zone tokens, byte for byte as kumactl issues them (Kuma: `pkg/core/tokens/issuer.go`,
//! `pkg/tokens/builtin/zone/token.go`).
//!
//! In: what the token shall say, the time and the key. Out: the token. That the zone exists, or that
//! a control plane knows the kid, is not checked.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Serialize;
use zonegate::credential::CONTROL_PLANE_SCOPE;

use super::SigningKey;

/// How far back a token's dates begin, for clocks that do not agree.
const BACKDATED: Duration = Duration::from_secs(5);

/// As what a token may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// By a zone ingress.
    Ingress,
    /// By a zone egress.
    Egress,
    /// By a zone's control plane, at the global one (kumahq/kuma#18803); kumactl does not know it yet.
    #[serde(rename = "cp")]
    ControlPlane,
}

impl Scope {
    /// Every scope.
    pub const ALL: [Self; 3] = [Self::Ingress, Self::Egress, Self::ControlPlane];
    /// In Kuma's order: what a token has when nobody says otherwise.
    pub const ZONE_PROXIES: [Self; 2] = [Self::Ingress, Self::Egress];

    /// As it is written in a token.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ingress => "ingress",
            Self::Egress => "egress",
            Self::ControlPlane => CONTROL_PLANE_SCOPE,
        }
    }
}

/// What a zone token shall say.
#[derive(Debug, Clone)]
pub struct ZoneTokenRequest {
    /// Where it may be used; empty is anywhere.
    pub zone: String,
    /// As what it may be used.
    pub scope: Vec<Scope>,
    /// How long.
    pub valid_for: Duration,
    /// Under which name the verifiers know the key.
    pub kid: String,
    /// The time of issue.
    pub now: SystemTime,
    /// From when on, where that is not the time of issue; `valid_for` counts from here then.
    pub not_before: Option<SystemTime>,
    /// By which it can be revoked; kumactl makes a random UUID.
    pub id: String,
}

/// Why a token cannot be issued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IssueError {
    /// The clock stands before 1970.
    Clock,
    /// The end of the token's life is beyond what a clock can show.
    TooLong,
    /// The end of the token's life is past.
    Over,
}

impl fmt::Display for IssueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Clock => "the clock of this machine stands before 1970: set it first",
            Self::TooLong => "the token would live beyond the end of all clocks",
            Self::Over => "the token would have expired already: give a later --not-before",
        })
    }
}

impl std::error::Error for IssueError {}

/// In the order of their names, as Go prints a map.
#[derive(Serialize)]
struct Header<'a> {
    alg: &'static str,
    kid: &'a str,
    typ: &'static str,
}

/// In the order of Kuma's `ZoneClaims`.
#[derive(Serialize)]
struct Claims<'a> {
    #[serde(rename = "Zone")]
    zone: &'a str,
    #[serde(rename = "Scope")]
    scope: &'a [Scope],
    exp: u64,
    nbf: u64,
    iat: u64,
    jti: &'a str,
}

impl ZoneTokenRequest {
    /// Issues the token.
    ///
    /// # Errors
    /// A date does not fit; see [`IssueError`].
    ///
    /// # Panics
    /// As [`SigningKey::sign_raw`].
    pub fn issue(&self, key: &SigningKey) -> Result<String, IssueError> {
        let header = Header { alg: "RS256", kid: &self.kid, typ: "JWT" };
        Ok(key.sign_raw(go_json(&header), go_json(&self.claims()?)))
    }

    fn claims(&self) -> Result<Claims<'_>, IssueError> {
        let begin = self.not_before.unwrap_or(self.now);
        let end = begin.checked_add(self.valid_for).ok_or(IssueError::TooLong)?;
        if end <= self.now {
            return Err(IssueError::Over);
        }
        let issued = self.now.checked_sub(BACKDATED).ok_or(IssueError::Clock)?;
        Ok(Claims {
            zone: &self.zone,
            scope: &self.scope,
            exp: seconds(end)?,
            nbf: seconds(self.not_before.unwrap_or(issued))?,
            iat: seconds(issued)?,
            jti: &self.id,
        })
    }
}

/// Whole seconds, the rest cut off, as golang-jwt writes a date.
fn seconds(time: SystemTime) -> Result<u64, IssueError> {
    let since = time.duration_since(UNIX_EPOCH).map_err(|_| IssueError::Clock)?;
    Ok(since.as_secs())
}

/// JSON as Go's `json.Marshal` writes it, which spells the characters that mean something to HTML
/// and to JavaScript as escapes. Outside strings they do not occur.
fn go_json(value: &impl Serialize) -> String {
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

    fn request() -> ZoneTokenRequest {
        ZoneTokenRequest {
            zone: "us-east".into(),
            scope: Scope::ZONE_PROXIES.into(),
            valid_for: Duration::from_secs(60),
            kid: "1".into(),
            now: UNIX_EPOCH.checked_add(Duration::from_millis(1_000_900)).unwrap(),
            not_before: None,
            id: "id-1".into(),
        }
    }

    fn claims(request: &ZoneTokenRequest) -> Result<String, IssueError> {
        request.claims().map(|claims| go_json(&claims))
    }

    #[test]
    fn claims_are_in_kumas_order_and_dates_in_whole_seconds() {
        let wanted = concat!(
            r#"{"Zone":"us-east","Scope":["ingress","egress"],"exp":1060,"nbf":995,"iat":995,"#,
            r#""jti":"id-1"}"#
        );
        assert_eq!(claims(&request()).unwrap(), wanted);
    }

    #[test]
    fn every_scope_is_written_as_it_is_read() {
        for scope in Scope::ALL {
            assert_eq!(go_json(&scope), format!("{:?}", scope.as_str()));
        }
    }

    #[test]
    fn a_later_beginning_moves_the_end() {
        let at = |seconds| UNIX_EPOCH.checked_add(Duration::from_secs(seconds));
        let dates = |not_before| claims(&ZoneTokenRequest { not_before, ..request() });
        let wanted = r#""exp":2060,"nbf":2000,"iat":995,"#;
        assert!(dates(at(2_000)).unwrap().contains(wanted));
        assert!(dates(at(941)).unwrap().contains(r#""exp":1001,"nbf":941,"iat":995,"#));
        assert_eq!(dates(at(940)), Err(IssueError::Over));
    }

    #[test]
    fn text_is_escaped_as_go_escapes_it() {
        let value = ["<a>&\u{2028}\u{2029}", "\"\\\u{8}\n\u{1}\u{7f}é"];
        let wanted =
            r#"["\u003ca\u003e\u0026\u2028\u2029","\"\\\b\n\u0001"#.to_owned() + "\u{7f}é\"]";
        assert_eq!(go_json(&value), wanted);
    }

    #[test]
    fn dates_that_do_not_fit_are_refused() {
        let too_long = ZoneTokenRequest { valid_for: Duration::MAX, ..request() };
        assert_eq!(claims(&too_long), Err(IssueError::TooLong));
        let before_1970 = ZoneTokenRequest { now: UNIX_EPOCH, ..request() };
        assert_eq!(claims(&before_1970), Err(IssueError::Clock));
    }
}
