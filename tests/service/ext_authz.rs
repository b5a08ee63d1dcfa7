//! A real Envoy that asks by external authorization.

use serde_json::{Value, json};
use tonic::Code;
use zonegate_testkit::gateway::ServiceProtocol;
use zonegate_testkit::raw_client::{End, RawConnection, RawRequest};

use crate::world::{LIMIT, Setup, World};

async fn bootstrap(setup: &Setup, body: &Value) -> (u16, String) {
    let ca = &setup.world.certificates.ca;
    let raw = RawConnection::open(setup.gateway.address(), ca).await.unwrap();
    let request = RawRequest {
        method: "POST",
        path: "/bootstrap",
        headers: vec![("content-type", b"application/json".to_vec())],
        chunks: vec![body.to_string().into_bytes()],
        end: End::Stream,
    };
    let answer = raw.send(request).await.unwrap();
    (answer.status, answer.text())
}

#[tokio::test]
async fn headers_are_judged_and_bootstrap_bodies_too() {
    let setup = World::new().gateway(ServiceProtocol::ExtAuthz).await;
    let good = setup.world.token(json!({}));
    let stream = setup.open(&good).await.unwrap();
    for (fields, code, reason) in [
        (json!({ "Zone": "elsewhere" }), Code::PermissionDenied, "wrong_zone"),
        (json!({ "exp": 1 }), Code::Unauthenticated, "expired"),
        (json!({ "Scope": ["cp"] }), Code::PermissionDenied, "out_of_scope"),
    ] {
        let refused = setup.open(&setup.world.token(fields)).await.err().unwrap();
        assert_eq!(refused.code(), code, "{refused:?}");
        assert!(refused.message().starts_with(&format!("zonegate: {reason}: ")), "{refused:?}");
    }
    let body = |token: &str| json!({ "mesh": "default", "name": "zi", "proxyType": "ingress", "dataplaneToken": token });
    assert_eq!(bootstrap(&setup, &body(&good)).await.0, 200);
    let (status, text) = bootstrap(&setup, &body("garbage")).await;
    assert!(status == 401 && text.contains("zonegate: malformed_token: "), "{status} {text}");
    // The service does not see the proxy type: an ingress passes with a token for egresses only.
    drop(setup.open(&setup.world.token(json!({ "Scope": ["egress"] }))).await.unwrap());
    setup.gateway.wait_log("\"verdict\":\"allow\"", LIMIT).await.unwrap();
    drop(stream);
}

#[tokio::test]
async fn a_service_that_is_killed_closes_the_gate_and_leaves_open_streams_alone() {
    let mut setup = World::new().gateway(ServiceProtocol::ExtAuthz).await;
    let token = setup.world.token(json!({}));
    let mut stream = setup.open(&token).await.unwrap();
    setup.gateway.take_service().unwrap().kill().await.unwrap();
    let refused = setup.open(&token).await.err().unwrap();
    assert_eq!(refused.code(), Code::Unavailable, "{refused:?}");
    setup.control_plane.push();
    assert!(stream.next().await.unwrap().is_some());
}

/// This is the limit of external authorization: an open stream stays open.
#[tokio::test]
async fn a_revocation_refuses_new_streams_and_cuts_none() {
    let setup = World::new().gateway(ServiceProtocol::ExtAuthz).await;
    let token = setup.world.token(json!({}));
    let mut stream = setup.open(&token).await.unwrap();
    setup.push(json!({ "revocations": "id-1" })).await;
    let refused = setup.open(&token).await.err().unwrap();
    assert!(refused.message().starts_with("zonegate: revoked: "), "{refused:?}");
    setup.control_plane.push();
    assert!(stream.next().await.unwrap().is_some());
}
