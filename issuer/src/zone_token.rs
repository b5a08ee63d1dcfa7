//! Zone tokens, byte for byte as kumactl issues them (Kuma: `pkg/tokens/builtin/zone/token.go`).
//!
//! In: the contents of the token, the time and the key. Out: the token. Not checked: whether the zone exists, and
//! whether a control plane knows the kid.

use std::time::{Duration, SystemTime};

use serde::Serialize;
use zonegate::credential::CONTROL_PLANE_SCOPE;

use super::token::{Life, Registered, sign};
use super::{IssueError, SigningKey};

/// Who may use a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// A zone ingress.
    Ingress,
    /// A zone egress.
    Egress,
    /// The control plane of a zone, at the global control plane (kumahq/kuma#18803); kumactl does not know this scope
    /// yet.
    #[serde(rename = "cp")]
    ControlPlane,
}

impl Scope {
    /// Every scope.
    pub const ALL: [Self; 3] = [Self::Ingress, Self::Egress, Self::ControlPlane];
    /// The scopes of a token by default, in Kuma's order.
    pub const ZONE_PROXIES: [Self; 2] = [Self::Ingress, Self::Egress];

    /// The name of the scope in a token.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ingress => "ingress",
            Self::Egress => "egress",
            Self::ControlPlane => CONTROL_PLANE_SCOPE,
        }
    }
}

/// The contents of a zone token.
#[derive(Debug, Clone)]
pub struct ZoneTokenRequest {
    /// The zone in which the token may be used; empty for any zone.
    pub zone: String,
    /// Who may use the token.
    pub scope: Vec<Scope>,
    /// How long the token is valid.
    pub valid_for: Duration,
    /// The kid under which the verifiers know the key.
    pub kid: String,
    /// The time of issue.
    pub now: SystemTime,
    /// The start of validity, if it is not the time of issue; then `valid_for` counts from this time.
    pub not_before: Option<SystemTime>,
    /// The ID by which the token can be revoked; kumactl makes a random UUID.
    pub id: String,
}

/// The claims in the order of Kuma's `ZoneClaims`.
#[derive(Serialize)]
struct Claims<'a> {
    #[serde(rename = "Zone")]
    zone: &'a str,
    #[serde(rename = "Scope")]
    scope: &'a [Scope],
    #[serde(flatten)]
    registered: Registered<'a>,
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
        Ok(sign(key, &self.kid, &self.claims()?))
    }

    fn claims(&self) -> Result<Claims<'_>, IssueError> {
        let Self { valid_for, now, not_before, .. } = *self;
        let registered = Registered::new(Life { now, not_before, valid_for }, &self.id)?;
        Ok(Claims { zone: &self.zone, scope: &self.scope, registered })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a test may panic
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;
    use crate::token::go_json;

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
    fn a_later_beginning_and_a_date_that_does_not_fit_are_heeded() {
        let from = |seconds| {
            let not_before = UNIX_EPOCH.checked_add(Duration::from_secs(seconds));
            claims(&ZoneTokenRequest { not_before, ..request() })
        };
        assert!(from(2_000).unwrap().contains(r#""exp":2060,"nbf":2000,"iat":995,"#));
        assert_eq!(from(940), Err(IssueError::Over));
    }
}
