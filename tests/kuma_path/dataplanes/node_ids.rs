//! The node id of a stream: it stays the same for the life of the stream, and on health discovery the gate sees nothing
//! else.
//!
//! The gate judges by the first message. It relies on the control plane to refuse a later message with another node id.

use envoy_types::pb::envoy::service::discovery::v3::DeltaDiscoveryRequest;
use serde_json::json;
use zonegate_testkit::kuma::Kind;
use zonegate_testkit::zone_proxy::{Stream, health_check_request};

use super::{Meshes, OTHER, sidecar, token};
use crate::harness::{Bench, MESH, Setup, now, within};

/// Kuma's refusal: `pkg/xds/auth/callbacks.go`, `pkg/hds/authn/callbacks.go`.
fn refusal(next: &str) -> String {
    format!(
        "stream was authenticated for ID default.web. Received request is for node with ID {next}. Node ID \
         cannot be changed after stream is initialized"
    )
}

/// Another name, and another mesh.
const OTHER_IDS: [&str; 2] = ["default.api", "other.web"];

#[tokio::test]
#[ignore = "needs KUMA_HOME: make test-kuma"]
async fn kuma_refuses_another_node_id_on_the_same_stream() {
    let (setup, Meshes { default, .. }) = Meshes::start(Bench::new()).await;
    let token = token(&default, "1", &[("Name", json!("web"))]);
    let client = setup.connect().await;
    for next in OTHER_IDS {
        let (mesh, name) = next.split_once('.').unwrap();
        let first = sidecar(MESH, "web");
        let mut stream = within(client.sotw_of(Some(&token), first)).await.unwrap();
        assert!(within(stream.next()).await.unwrap().is_some());
        stream.send(sidecar(mesh, name)).await.unwrap();
        assert_eq!(end_of(stream).await, refusal(next));
        let mut stream = within(client.delta_of(Some(&token), delta(MESH, "web"))).await.unwrap();
        assert!(within(stream.next()).await.unwrap().is_some());
        stream.send(delta(mesh, name)).await.unwrap();
        assert_eq!(end_of(stream).await, refusal(next));
    }
    assert_eq!(setup.stat("allowed").await, 4);
}

/// Health discovery begins once the control plane has the Dataplane. Good and bad tokens, and another id on an open
/// stream.
#[tokio::test]
#[ignore = "needs KUMA_HOME: make test-kuma"]
async fn health_discovery_is_judged_by_its_node_id() {
    let (setup, Meshes { default, other }) = Meshes::start(Bench::new()).await;
    let resource = Kind::Dataplane.resource(MESH, "web", [8080, 8081]);
    let path = format!("/meshes/{MESH}/dataplanes/web");
    setup.control_plane.api().put(&path, &resource).await.unwrap();
    let client = setup.connect().await;
    let before = setup.seen().await;
    for (key, kid, name, value, says) in [
        (&default, "1", "Name", json!("api"), "wrong_proxy: "),
        (&default, "1", "Mesh", json!(OTHER), "wrong_mesh: "),
        (&default, "1", "jti", json!("gone"), "revoked: "),
        (&default, "1", "exp", json!(now() - 60), "expired: "),
        (&default, "2", "Name", json!("web"), "unknown_kid: "),
        (&other, "1", "Name", json!("web"), "invalid_signature: "),
    ] {
        let token = token(key, kid, &[(name, value)]);
        let hello = health_check_request("default.web");
        let refused = within(client.hds_of(Some(&token), hello)).await.unwrap_err();
        assert!(refused.message().starts_with(&format!("zonegate: {says}")), "{refused:?}");
    }
    let hello = health_check_request("default.web");
    let refused = within(client.hds_of(None, hello)).await.unwrap_err();
    assert!(refused.message().starts_with("zonegate: missing_token: "), "{refused:?}");
    assert_eq!(setup.seen().await, before);

    let good = token(&default, "1", &[("Name", json!("web"))]);
    for next in OTHER_IDS {
        let hello = health_check_request("default.web");
        let mut stream = within(client.hds_of(Some(&good), hello)).await.unwrap();
        assert!(within(stream.next()).await.unwrap().is_some());
        stream.send(health_check_request(next)).await.unwrap();
        assert_eq!(end_of(stream).await, refusal(next));
    }
    // The gate leaves to the control plane what the node id does not show.
    let tags = token(&default, "1", &[("Tags", json!({ "kuma.io/service": ["api"] }))]);
    let hello = health_check_request("default.web");
    let stream = within(client.hds_of(Some(&tags), hello)).await.unwrap();
    let end = end_of(stream).await;
    assert!(end.starts_with("authentication failed: dataplane contains tag "), "{end}");
}

/// A sidecar's first message of the delta variant.
fn delta(mesh: &str, name: &str) -> DeltaDiscoveryRequest {
    let message = sidecar(mesh, name);
    DeltaDiscoveryRequest {
        node: message.node,
        type_url: message.type_url,
        ..DeltaDiscoveryRequest::default()
    }
}

/// The error message with which a stream ends.
async fn end_of<Q, A>(mut stream: Stream<Q, A>) -> String {
    within(async {
        loop {
            match stream.next().await {
                Ok(answer) => assert!(answer.is_some(), "the stream has ended well"),
                Err(status) => return status.message().to_owned(),
            }
        }
    })
    .await
}

/// A first message without an id could be followed by one with any id.
#[tokio::test]
#[ignore = "needs KUMA_HOME: make test-kuma"]
async fn a_stream_without_a_node_id_does_not_reach_kuma() {
    let (setup, Meshes { default, .. }) = Meshes::start(Bench::new()).await;
    let token = token(&default, "1", &[]);
    let mut message = sidecar(MESH, "web");
    message.node.as_mut().unwrap().id = String::new();
    let before = setup.seen().await;
    let refused = refusal_of(&setup, &token, message).await;
    assert!(refused.starts_with("zonegate: malformed_request: "), "{refused}");
    // Nor does a stream that names itself and sends the resource of another proxy.
    let mut message = sidecar(MESH, "api");
    message.node.as_mut().unwrap().id = "default.web".to_owned();
    let refused = refusal_of(&setup, &token, message).await;
    assert!(refused.starts_with("zonegate: malformed_request: "), "{refused}");
    assert_eq!(setup.seen().await, before);
}

async fn refusal_of(
    setup: &Setup,
    token: &str,
    message: envoy_types::pb::envoy::service::discovery::v3::DiscoveryRequest,
) -> String {
    let client = setup.connect().await;
    let refused = within(client.sotw_of(Some(token), message)).await.unwrap_err();
    refused.message().to_owned()
}
