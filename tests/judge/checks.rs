//! [`Check`] against the judge: the list names what the judge checks, in the same order.
//!
//! Each check is made to fail alone, and then together with each other check: the refusal must come from the earlier
//! check. A check that moves in the judge, but not in the list, fails here.

use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use zonegate::config::Config;
use zonegate::credential::{Kind, authenticate};
use zonegate::gate::{
    ADS_SOTW, Check, Head, Held, Now, Outcome, Refusal, RequestError, UnixTime, Verdict,
};
use zonegate_issuer::SigningKey;

use crate::request::ingress_message;

static KEY: LazyLock<SigningKey> = LazyLock::new(|| SigningKey::generate(1024).unwrap());
static OTHER: LazyLock<SigningKey> = LazyLock::new(|| SigningKey::generate(1024).unwrap());
const NOW: u64 = 1_800_000_000;

/// A connection that passes, until one of its parts is spoiled.
struct Connection {
    path: &'static str,
    has_token: bool,
    header: Value,
    claims: Value,
    signs: &'static LazyLock<SigningKey>,
    padding: usize,
    now: Option<u64>,
    first_message: Vec<u8>,
}

impl Default for Connection {
    fn default() -> Self {
        Self {
            path: ADS_SOTW,
            has_token: true,
            header: json!({ "alg": "RS256", "kid": "1" }),
            claims: json!({
                "Zone": "east", "Scope": ["ingress"], "exp": NOW + 60, "nbf": NOW - 60, "jti": "good",
            }),
            signs: &KEY,
            padding: 0,
            now: Some(NOW),
            first_message: ingress_message(),
        }
    }
}

impl Connection {
    /// Spoils what `check` looks at, and nothing that another check looks at.
    fn spoil(&mut self, check: Check) {
        match check {
            Check::Path => self.path = "/elsewhere",
            Check::Credential => self.has_token = false,
            Check::Length => self.padding = 20_000,
            Check::Header => self.header["crit"] = json!(["x"]),
            Check::Algorithm => self.header["alg"] = json!("HS256"),
            Check::Kid => self.header["kid"] = json!(1),
            // A kid that is not a string cannot be an unknown kid as well.
            Check::Key if self.header["kid"] == "1" => self.header["kid"] = json!("2"),
            Check::Key => {}
            Check::Signature => self.signs = &OTHER,
            Check::Claims => self.claims["iss"] = json!(1),
            Check::Expiration => self.claims["exp"] = Value::Null,
            Check::Clock => self.now = None,
            // A missing `exp` cannot be past as well.
            Check::Expiry if self.claims["exp"].is_null() => {}
            Check::Expiry => self.claims["exp"] = json!(NOW - 1),
            Check::NotBefore => self.claims["nbf"] = json!(NOW + 30),
            Check::Revocation => self.claims["jti"] = json!("bad"),
            Check::Zone => self.claims["Zone"] = json!("west"),
            Check::Message => self.first_message = vec![0xff],
            Check::Scope => self.claims["Scope"] = json!(["egress"]),
            Check::Mesh | Check::Proxy | Check::Audience | Check::ServiceAccount => {
                unreachable!("{check:?} is none of a zone token")
            }
        }
    }

    fn token(&self) -> String {
        let mut header = self.header.clone();
        header["pad"] = json!("x".repeat(self.padding));
        self.signs.sign_raw(header.to_string(), self.claims.to_string())
    }

    fn judge(&self) -> Option<Refusal> {
        let config = json!({
            "zone": "east",
            "publicKeys": [{ "kid": "1", "key": KEY.public_key_pem() }],
            "revocations": ["bad"],
        });
        let policy = Config::from_json(config.to_string().as_bytes()).unwrap().policy;
        let clock = Now(self.now.map(UnixTime::from_secs));
        let token = self.token();
        let authorization = if self.has_token { vec![token.as_bytes()] } else { Vec::new() };
        let head = Head {
            method: b"POST",
            path: self.path.as_bytes(),
            content_type: vec![b"application/grpc"],
            authorization,
            client_id: Vec::new(),
        };
        match policy.judge(&head, clock) {
            Verdict::Deny(denial) => Some(denial.refusal),
            Verdict::Hold(Held::FirstMessage { variant, credential }) => {
                let judged =
                    policy.judge_first_message(variant, credential, &self.first_message, clock);
                judged.err().map(|denial| denial.refusal)
            }
            other => unreachable!("{other:?}"),
        }
    }
}

fn spoiled(checks: &[Check]) -> Option<Check> {
    let mut connection = Connection::default();
    // In order: a later check sees what an earlier check left.
    checks.iter().for_each(|check| connection.spoil(*check));
    connection.judge().map(|refusal| refusal.check())
}

#[test]
fn an_unspoiled_connection_passes() {
    assert_eq!(spoiled(&[]), None);
}

/// Every list has the checks common to all kinds, each once, and those of its own kind.
#[test]
fn each_kind_of_token_has_its_list_of_checks() {
    let own = [
        (Kind::ZoneToken, [Check::Zone].as_slice()),
        (Kind::DataplaneToken, &[Check::Proxy, Check::Mesh]),
        (Kind::ServiceAccountToken, &[Check::Audience, Check::ServiceAccount]),
    ];
    for (kind, own_checks) in own {
        let checks = Check::of_kind(kind);
        for (index, check) in checks.iter().enumerate() {
            assert!(!checks[..index].contains(check), "{kind:?}: {check:?} occurs twice");
        }
        let others = own.iter().flat_map(|(_, checks)| *checks);
        for check in others {
            assert_eq!(checks.contains(check), own_checks.contains(check), "{kind:?}: {check:?}");
        }
        assert_eq!(checks.len(), 16 + own_checks.len(), "{kind:?}: {checks:?}");
    }
}

#[test]
fn every_check_refuses_what_it_is_for() {
    for check in Check::of_kind(Kind::ZoneToken) {
        assert_eq!(spoiled(&[check]), Some(check));
    }
}

#[test]
fn of_two_checks_the_earlier_one_refuses() {
    let checks = Check::of_kind(Kind::ZoneToken);
    for (index, first) in checks.iter().enumerate() {
        for second in checks.iter().skip(index + 1) {
            assert_eq!(spoiled(&[*first, *second]), Some(*first), "{first:?} and {second:?}");
        }
    }
}

/// Errors of several checks with the same reason.
#[test]
fn a_malformed_token_is_told_apart_by_its_segment() {
    let good = Connection::default().token();
    let segments: Vec<&str> = good.split('.').collect();
    let kid_header = URL_SAFE_NO_PAD.encode(r#"{"alg":"RS256","kid":["1"]}"#);
    for (token, wanted) in [
        (format!("*.{}.{}", segments[1], segments[2]), Check::Header),
        (format!("{}.{}", segments[0], segments[1]), Check::Header),
        (format!("{kid_header}.{}.{}", segments[1], segments[2]), Check::Kid),
        (format!("{}.{}.*", segments[0], segments[1]), Check::Signature),
        (KEY.sign_raw(r#"{"alg":"RS256","kid":"1"}"#, "{"), Check::Claims),
    ] {
        let mut keys = zonegate::token::KeySet::default();
        keys.insert("1".into(), KEY.public_key()).unwrap();
        let error = authenticate(token.as_bytes(), Kind::ZoneToken, &keys).unwrap_err();
        assert_eq!(Refusal::Token(error).check(), wanted, "{token}");
    }
}

#[test]
fn outcomes_are_passed_then_failed_then_not_reached() {
    let refusal = Refusal::MalformedRequest(RequestError::NoNode);
    let mut seen = Vec::new();
    for (check, outcome) in Check::outcomes(Kind::ZoneToken, Some(&refusal)) {
        let wanted = match check {
            Check::Message => Outcome::Failed,
            Check::Scope => Outcome::NotReached,
            _ => Outcome::Passed,
        };
        assert_eq!(outcome, wanted, "{check:?}");
        seen.push(check);
    }
    assert_eq!(seen, Check::of_kind(Kind::ZoneToken));
    for kind in Kind::ALL {
        assert!(Check::outcomes(kind, None).all(|(_, outcome)| outcome == Outcome::Passed));
    }
}
