//! `POST /bootstrap`, as kuma-dp sends it.

use prost::Message;
use serde_json::{Value, json};
use zonegate::gate::{BOOTSTRAP, MAX_BOOTSTRAP};
use zonegate_testkit::raw_client::{Answer, End, RawRequest, http1};
use zonegate_testkit::zone_proxy::{Claimed, discovery_request};

use crate::harness::{Bench, Setup, claims_with, now};

async fn post(setup: &Setup, chunks: Vec<Vec<u8>>, end: End) -> Answer {
    let headers = vec![
        ("content-type", b"application/json".to_vec()),
        ("accept", b"application/json".to_vec()),
    ];
    let request = RawRequest { method: "POST", path: BOOTSTRAP, headers, chunks, end };
    setup.raw().await.send(request).await.unwrap()
}

async fn ask(setup: &Setup, body: Value) -> Answer {
    post(setup, vec![body.to_string().into_bytes()], End::Stream).await
}

fn request(proxy_type: &str, token: &str) -> Value {
    json!({ "mesh": "", "name": "zone-proxy-1", "proxyType": proxy_type, "dataplaneToken": token })
}

#[tokio::test]
async fn a_good_token_gets_its_bootstrap() {
    let setup = Bench::new().start().await;
    for proxy_type in ["ingress", "egress"] {
        let body = request(proxy_type, &setup.token());
        let answer = ask(&setup, body.clone()).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert!(answer.text().contains("bootstrap"), "{answer:?}");
        let seen = setup.control_plane.recorder().requests();
        assert_eq!(seen[0].body, body.to_string().as_bytes());
        setup.control_plane.recorder().clear();
    }
    // In pieces, and by HTTP/1.1, as kuma-dp's Go client sends it.
    let body = request("ingress", &setup.token()).to_string();
    let pieces = body.as_bytes().chunks(7).map(<[u8]>::to_vec).collect();
    assert_eq!(post(&setup, pieces, End::Stream).await.status, 200);
    let head = format!(
        "POST /bootstrap HTTP/1.1\r\nhost: gateway:5678\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let answer =
        http1(setup.gateway.address(), &setup.ca, (head + &body).as_bytes()).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    let seen = setup.control_plane.recorder().requests();
    assert_eq!(seen[1].authority, "gateway:5678");
    assert_eq!(seen[1].body, body.as_bytes());
}

#[tokio::test]
async fn a_bad_request_is_refused_with_a_text_that_helps() {
    let setup = Bench::new().set("revocations", json!("revoked-1")).start().await;
    let signed = |name: &str, value: Value| setup.sign(claims_with(name, value));
    let good = setup.token();
    for (body, status, says) in [
        (request("ingress", ""), 401, "missing_token: the bootstrap request has no dataplaneToken"),
        (json!({ "proxyType": "egress" }), 401, "missing_token: "),
        (json!({ "proxyType": "egress", "dataplaneTokenPath": "/t" }), 401, "missing_token: "),
        (request("ingress", "garbage"), 401, "malformed_token: "),
        (request("ingress", &"x".repeat(16_385)), 401, "token_too_long: "),
        (request("ingress", &signed("exp", json!(now() - 60))), 401, "expired: "),
        (request("ingress", &signed("jti", json!("revoked-1"))), 401, "revoked: "),
        (request("ingress", &signed("Zone", json!("zone-2"))), 403, "wrong_zone: "),
        (request("ingress", &signed("Scope", json!(["egress"]))), 403, "out_of_scope: "),
        (request("dataplane", &good), 403, "proxy_denied: "),
        (request("", &good), 403, "proxy_denied: "),
        (request("gateway", &good), 403, "proxy_denied: "),
        (json!([]), 400, "malformed_request: the bootstrap request is not a JSON object"),
        (json!({ "dataplaneToken": 1 }), 400, "dataplaneToken in the bootstrap request is not"),
        (json!({ "proxyType": ["ingress"], "dataplaneToken": good }), 400, "proxyType in the"),
    ] {
        let answer = ask(&setup, body.clone()).await;
        assert_eq!(answer.status, status, "{body}: {}", answer.text());
        assert!(answer.text().starts_with("zonegate: "), "{}", answer.text());
        assert!(answer.text().contains(says), "{says}: {}", answer.text());
        assert_eq!(answer.headers["content-type"], "text/plain");
    }
    setup.assert_nothing_arrived().await;
}

#[tokio::test]
async fn a_body_that_is_no_request_is_refused() {
    let setup = Bench::new().set("firstMessageSeconds", json!(1)).start().await;
    let good = request("ingress", &setup.token()).to_string().into_bytes();
    let half = good[..good.len() / 2].to_vec();
    let padding = vec![b' '; MAX_BOOTSTRAP];
    for (chunks, end, status) in [
        (vec![], End::Stream, 400),
        (vec![half.clone()], End::Stream, 400),
        (vec![good.clone(), b"{}".to_vec()], End::Stream, 400),
        (vec![good.clone()], End::Trailers, 400),
        (vec![b"\xff\xfe\x00".to_vec()], End::Stream, 400),
        (vec![b"{\"a\":".repeat(1000)], End::Stream, 400),
        (vec![padding, good.clone()], End::Stream, 400),
        (vec![discovery_request(Claimed::INGRESS).encode_to_vec()], End::Stream, 400),
        (vec![half], End::Never, 408),
        (vec![good], End::Never, 408),
    ] {
        let answer = post(&setup, chunks, end).await;
        assert_eq!(answer.status, status, "{}", answer.text());
        let reason = if status == 408 { "no_first_message" } else { "malformed_request" };
        assert!(answer.text().starts_with(&format!("zonegate: {reason}: ")), "{}", answer.text());
    }
    setup.assert_nothing_arrived().await;
}

#[tokio::test]
async fn the_switch_passes_or_denies_all() {
    let bad = request("dataplane", "not ours");
    let setup = Bench::new().set("bootstrap", json!("pass")).start().await;
    assert_eq!(ask(&setup, bad.clone()).await.status, 200);
    let setup = Bench::new().set("bootstrap", json!("deny")).start().await;
    let answer = ask(&setup, request("ingress", &setup.token())).await;
    assert_eq!(answer.status, 404, "{answer:?}");
    assert!(answer.text().starts_with("zonegate: path_denied: "), "{}", answer.text());
    setup.assert_nothing_arrived().await;
    let setup = Bench::new().set("proxies", json!({ "dataplane": "pass" })).start().await;
    assert_eq!(ask(&setup, bad).await.status, 200);
    assert_eq!(ask(&setup, request("egress", "not ours")).await.status, 401);
}
