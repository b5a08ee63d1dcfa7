//! Tokens that are refused: the reason, the status and the message for the client, the counter, and that nothing
//! reaches the control plane.

use prost::Message;
use serde_json::{Value, json};
use tonic::{Code, Status};
use zonegate::gate::ADS_SOTW;
use zonegate_issuer::SigningKey;
use zonegate_testkit::raw_client::{End, RawRequest, grpc_frame};
use zonegate_testkit::zone_proxy::{Claimed, discovery_request};

use crate::harness::{Bench, LIMIT, Setup, ZONE, claims, claims_with, grpc_headers, now};

const RS256: &str = r#"{"alg":"RS256","kid":"1","typ":"JWT"}"#;

/// One bad token, and the expected answer.
struct Case {
    token: Option<String>,
    reason: &'static str,
    code: Code,
    /// A part of the message.
    says: &'static str,
}

fn cases(setup: &Setup) -> Vec<Case> {
    let case = |token: String, reason, code, says| Case { token: Some(token), reason, code, says };
    let signed = |name: &str, value: Value| setup.sign(claims_with(name, value));
    let header = |header: &str| setup.key.sign_raw(header, claims().to_string());
    let stranger = SigningKey::generate(2048).unwrap().sign_raw(RS256, claims().to_string());
    let no = Code::Unauthenticated;
    vec![
        Case {
            token: None,
            reason: "missing_token",
            code: no,
            says: "no token in its authorization header",
        },
        case(String::new(), "missing_token", no, "no token in its authorization header"),
        case(format!("{0},{0}", setup.token()), "multiple_tokens", no, "more than one"),
        case("x".repeat(16_385), "token_too_long", no, "16385 bytes long, the limit is 16384"),
        case("garbage".into(), "malformed_token", no, "not three segments"),
        case(format!("Bearer {}", setup.token()), "malformed_token", no, "base64url"),
        case(header(r#"{"alg":"RS256","kid":1}"#), "malformed_token", no, "kid is not a string"),
        case(header(r#"{"alg":"HS256","kid":"1"}"#), "unsupported_algorithm", no, "not RS256"),
        case(header(r#"{"alg":"none","kid":"1"}"#), "unsupported_algorithm", no, "not RS256"),
        case(header(r#"{"alg":"RS256"}"#), "missing_kid", no, "no kid"),
        case(header(r#"{"alg":"RS256","kid":"2"}"#), "unknown_kid", no, "rotated out"),
        case(stranger, "invalid_signature", no, "does not verify with the key"),
        case(setup.key.sign_raw(RS256, "[]"), "malformed_claims", no, "not a JSON object"),
        case(signed("exp", json!(true)), "malformed_claims", no, "exp has the wrong type"),
        case(signed("exp", Value::Null), "missing_expiration", no, "never expire"),
        case(signed("exp", json!(now() - 7200)), "expired", no, "expired 2 hours ago"),
        case(signed("nbf", json!(now() + 1000)), "not_yet_valid", no, "it begins in 16 minutes"),
        case(signed("jti", json!("revoked-1")), "revoked", no, "token \"revoked-1\" is revoked"),
        case(
            signed("Zone", json!("zone-2")),
            "wrong_zone",
            Code::PermissionDenied,
            "for zone \"zone-2\", this control plane serves zone \"zone-1\"",
        ),
        case(
            signed("Scope", json!(["cp"])),
            "out_of_scope",
            Code::PermissionDenied,
            "has scope \"cp\", a zone proxy needs ingress or egress",
        ),
        case(signed("Scope", Value::Null), "out_of_scope", Code::PermissionDenied, "no scope"),
    ]
}

#[tokio::test]
async fn every_bad_token_is_refused_on_the_headers_with_its_reason() {
    let setup = Bench::new().set("revocations", json!("revoked-1,other")).start().await;
    let connection = setup.connect().await;
    for case in cases(&setup) {
        let before = setup.denied(case.reason).await;
        let token = case.token.as_deref();
        let refused = connection.sotw(token, Claimed::INGRESS).await.unwrap_err();
        assert_refused(&refused, case.reason, case.code, case.says);
        let refused = connection.delta(token, Claimed::EGRESS).await.unwrap_err();
        assert_refused(&refused, case.reason, case.code, case.says);
        assert_eq!(setup.denied(case.reason).await, before + 2, "{}", case.reason);
        // The headers alone were enough.
        let mut headers = grpc_headers(token.unwrap_or_default());
        headers.truncate(if token.is_some() { 3 } else { 2 });
        let (path, end) = (ADS_SOTW, End::Never);
        let request = RawRequest { method: "POST", path, headers, chunks: vec![], end };
        let answer = setup.raw().await.send(request).await.unwrap();
        assert_eq!(answer.grpc_status(), Some(case.code as u32), "{}: {answer:?}", case.reason);
    }
    setup.assert_nothing_arrived().await;
}

#[tokio::test]
async fn the_first_message_decides_on_scope_and_proxy_type() {
    let proxies = json!({ "ingress": "zoneToken", "egress": "deny", "dataplane": "deny" });
    let setup = Bench::new().set("proxies", proxies).start().await;
    let both = setup.token();
    let egress_only = setup.sign(claims_with("Scope", json!(["egress"])));
    let resource = |proxy_type, resource| Claimed { proxy_type, resource: Some(resource) };
    let other = Claimed { proxy_type: Some("sidecar"), resource: None };
    let contradiction = resource(Some("ingress"), r#"{"type":"ZoneEgress"}"#);
    let egress = resource(Some("egress"), r#"{"type":"ZoneEgress"}"#);
    let nameless = resource(None, r#"{"type":"ZoneIngress"}"#);
    let unclear = resource(Some("ingress"), r#"{"type":"ZoneIngress","Type":"ZoneEgress"}"#);
    let connection = setup.connect().await;
    for (token, claimed, reason, code, says) in [
        (&both, Claimed::EGRESS, "proxy_denied", Code::PermissionDenied, "type egress"),
        (&both, egress, "proxy_denied", Code::PermissionDenied, "type egress"),
        (&both, nameless, "malformed_request", Code::InvalidArgument, "or is not of"),
        (&both, unclear, "malformed_request", Code::InvalidArgument, "or is not of"),
        (&both, Claimed::DATAPLANE, "proxy_denied", Code::PermissionDenied, "type dataplane"),
        (&both, Claimed::NOTHING, "proxy_denied", Code::PermissionDenied, "type dataplane"),
        (&both, other, "proxy_denied", Code::PermissionDenied, "none of ingress"),
        (&both, contradiction, "malformed_request", Code::InvalidArgument, "or is not of"),
        (&egress_only, Claimed::INGRESS, "proxy_denied", Code::PermissionDenied, "type egress"),
    ] {
        let refused = connection.sotw(Some(token), claimed).await.unwrap_err();
        assert_refused(&refused, reason, code, says);
    }
    let refused = connection.hds(Some(&both)).await.unwrap_err();
    assert_refused(&refused, "proxy_denied", Code::PermissionDenied, "type dataplane");
    setup.assert_nothing_arrived().await;
}

#[tokio::test]
async fn a_token_of_the_other_scope_is_refused_after_the_first_message() {
    let setup = Bench::new().start().await;
    let egress_only = setup.sign(claims_with("Scope", json!(["egress"])));
    let connection = setup.connect().await;
    let refused = connection.sotw(Some(&egress_only), Claimed::INGRESS).await.unwrap_err();
    let says = "has scope \"egress\", this proxy needs ingress";
    assert_refused(&refused, "out_of_scope", Code::PermissionDenied, says);
    setup.assert_nothing_arrived().await;
}

#[tokio::test]
async fn sidecars_pass_unchecked_where_they_may_and_zone_proxies_do_not() {
    let setup = Bench::new().set("proxies", json!({ "dataplane": "pass" })).start().await;
    let connection = setup.connect().await;
    let mut sidecar = connection.sotw(Some("not ours"), Claimed::DATAPLANE).await.unwrap();
    assert!(sidecar.next().await.unwrap().is_some());
    assert!(connection.delta(None, Claimed::NOTHING).await.is_ok());
    assert!(connection.hds(Some("not ours")).await.is_ok());
    setup.control_plane.recorder().clear();
    let refused = connection.sotw(Some("not ours"), Claimed::INGRESS).await.unwrap_err();
    assert_refused(&refused, "malformed_token", Code::Unauthenticated, "three segments");
    let refused = connection.sotw(None, Claimed::EGRESS).await.unwrap_err();
    assert_refused(
        &refused,
        "missing_token",
        Code::Unauthenticated,
        "no token in its authorization header",
    );
    setup.assert_nothing_arrived().await;
}

#[tokio::test]
async fn repeated_and_unreadable_authorization_headers_are_refused() {
    let setup = Bench::new().start().await;
    let token = setup.token().into_bytes();
    for (values, reason) in [
        (vec![token.clone(), token.clone()], "multiple_tokens"),
        (vec![token.clone(), b"x".to_vec()], "multiple_tokens"),
        (vec![b"\xff\xfe".to_vec()], "malformed_token"),
        (vec![[token.as_slice(), b"\xff"].concat()], "malformed_token"),
        (vec![b"\xc3\xa9.\xc3\xa9.\xc3\xa9".to_vec()], "malformed_token"),
    ] {
        let before = setup.denied(reason).await;
        let mut headers = grpc_headers("");
        headers.truncate(2);
        headers.extend(values.into_iter().map(|value| ("authorization", value)));
        let request =
            RawRequest { method: "POST", path: ADS_SOTW, headers, chunks: vec![], end: End::Never };
        let answer = setup.raw().await.send(request).await.unwrap();
        assert_eq!(answer.grpc_status(), Some(16), "{reason}: {answer:?}");
        assert_eq!(setup.denied(reason).await, before + 1, "{reason}: {answer:?}");
    }
    setup.assert_nothing_arrived().await;
}

/// Envoy drops the empty one of two headers before any filter, so that the control plane gets one value, which the gate
/// has judged.
#[tokio::test]
async fn an_empty_authorization_beside_a_token_is_dropped_before_the_gate() {
    let setup = Bench::new().start().await;
    let token = setup.token();
    let mut headers = grpc_headers(&token);
    headers.insert(2, ("authorization", Vec::new()));
    let chunks = vec![grpc_frame(&discovery_request(Claimed::INGRESS).encode_to_vec())];
    let request = RawRequest { method: "POST", path: ADS_SOTW, headers, chunks, end: End::Stream };
    let answer = setup.raw().await.send(request).await.unwrap();
    assert_eq!(answer.grpc_status(), Some(0), "{answer:?}");
    let seen = setup.control_plane.recorder().requests();
    assert_eq!(seen[0].header("authorization").collect::<Vec<_>>(), [token.as_bytes()]);
}

#[tokio::test]
async fn a_client_learns_no_reason_with_error_detail_none() {
    let setup = Bench::new().set("errorDetail", json!("none")).start().await;
    let other_zone = setup.sign(claims_with("Zone", json!("zone-2")));
    let refused = setup.connect().await.sotw(Some(&other_zone), Claimed::INGRESS).await;
    assert_eq!(refused.unwrap_err().message(), "zonegate: denied");
    assert_eq!(setup.denied("wrong_zone").await, 1);
    setup.assert_nothing_arrived().await;
}

/// For the operator: the log has reason, kid, jti and zone, and never the token.
#[tokio::test]
async fn a_refusal_is_logged_without_the_token() {
    let setup = Bench::new().set("revocations", json!(["id-1"])).start().await;
    let token = setup.token();
    let refused = setup.connect().await.sotw(Some(&token), Claimed::INGRESS).await.unwrap_err();
    assert_refused(&refused, "revoked", Code::Unauthenticated, "is revoked");
    setup.gateway.wait_log("\"verdict\":\"deny\"", LIMIT).await.unwrap();
    let log = setup.gateway.log().unwrap();
    let line = log.lines().find(|line| line.contains("zonegate: denied")).unwrap();
    for part in
        ["reason=revoked", "peer=\"127.0.0.1:", "request_id=\"", "kid=\"1\"", "jti=\"id-1\""]
    {
        assert!(line.contains(part), "{part}: {line}");
    }
    assert!(
        line.contains("path=\"/envoy.service.discovery.v3.")
            && line.contains(&format!("zone=\"{ZONE}\"")),
        "{line}"
    );
    for segment in token.split('.') {
        assert!(!log.contains(segment), "the log holds a part of the token");
    }
    let access = log.lines().find(|line| line.contains("\"verdict\":\"deny\"")).unwrap();
    let access: serde_json::Value = serde_json::from_str(access).unwrap();
    assert_eq!(access["reason"], "revoked");
    let described = access["token"].as_str().unwrap();
    let described = described.rsplit_once(" exp=").unwrap();
    assert_eq!(described.0, format!("kind=zoneToken kid=1 jti=id-1 zone={ZONE}"));
    assert!(described.1.parse::<u64>().unwrap() > now(), "{access}");
}

pub(crate) fn assert_refused(refused: &Status, reason: &str, code: Code, says: &str) {
    let message = refused.message();
    assert!(message.starts_with(&format!("zonegate: {reason}: ")), "{reason}: {refused:?}");
    assert!(message.contains(says), "{reason}: {refused:?}");
    assert_eq!(refused.code(), code, "{reason}: {refused:?}");
}
