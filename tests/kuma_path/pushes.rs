//! Revocation and key rotation as in Kuma's documentation, each with a push to the gateway, observed at the proxies.

use serde_json::{Value, json};
use zonegate_testkit::kuma::Kind;
use zonegate_testkit::zone_proxy::discovery_request;

use crate::harness::{Bench, INGRESS_HERE, LIMIT, ZONE, within};

const LISTENERS: &str = "type.googleapis.com/envoy.config.listener.v3.Listener";

/// Both get the text of the secret `zone-token-revocations`.
#[tokio::test]
#[ignore = "needs KUMA_HOME: make test-kuma"]
async fn a_revoked_token_cuts_its_stream_and_the_proxy_is_told() {
    let setup = Bench::new().start().await;
    let mut claims = setup.claims();
    let other = setup.sign(&claims);
    claims["jti"] = json!("to-be-revoked");
    let token = setup.sign(&claims);
    let revoked = setup.proxy(Kind::Ingress, "revoked", Some(&token));
    let kept = setup.proxy(Kind::Egress, "kept", Some(&other));
    setup.wait_online(&revoked, Kind::Ingress, "revoked", true).await;
    setup.wait_online(&kept, Kind::Egress, "kept", true).await;
    let direct = setup.connect_without_gateway().await;
    let mut open = within(direct.sotw(Some(&token), INGRESS_HERE)).await.unwrap();
    within(open.next()).await.unwrap().unwrap();
    let text = "long-ago,to-be-revoked\n";
    let secret = "zone-token-revocations";
    setup.control_plane.api().set_secret(secret, text.as_bytes()).await.unwrap();
    setup.push(&[("revocations", json!(text))]).await;
    let says = "zonegate: revoked: token \"to-be-revoked\" is revoked; issue a new one";
    revoked.wait_log(says, LIMIT).await.unwrap();
    setup.wait_online(&revoked, Kind::Ingress, "revoked", false).await;
    setup.wait_online(&kept, Kind::Egress, "kept", true).await;
    assert_eq!(setup.stat("streams.cut.revoked").await, 1);
    assert!(!kept.process.log().unwrap().contains("zonegate: "));
    // Kuma alone refuses the next stream of the token, and keeps an open stream.
    let start = std::time::Instant::now();
    let refusal = loop {
        let mut next = match within(direct.sotw(Some(&token), INGRESS_HERE)).await {
            Ok(next) => next,
            Err(status) => break status,
        };
        match within(next.next()).await {
            Ok(_) => assert!(start.elapsed() < LIMIT, "the control plane revokes nothing"),
            Err(status) => break status,
        }
    };
    assert!(refusal.message().contains("token is revoked"), "{refusal:?}");
    let request = discovery_request(INGRESS_HERE);
    let listeners = LISTENERS.to_owned();
    open.send(envoy_types::pb::envoy::service::discovery::v3::DiscoveryRequest {
        type_url: listeners.clone(),
        ..request
    })
    .await
    .unwrap();
    let answer = within(open.next()).await.unwrap().unwrap();
    assert_eq!(answer.type_url, listeners);
}

/// Kuma's documentation, "signing key rotation": a new key beside the old one, new tokens, the old key removed. The
/// gateway gets the keys before each step of the control plane.
#[tokio::test]
#[ignore = "needs KUMA_HOME: make test-kuma"]
async fn a_key_is_rotated_out() {
    let setup = Bench::new().start().await;
    let keys = |keys: &[(&str, &str)]| -> Value {
        keys.iter().map(|(kid, key)| json!({ "kid": kid, "key": key })).collect()
    };
    let first = setup.public_key(1).await;
    setup.push(&[("publicKeys", keys(&[("1", &first)]))]).await;
    let zone_token = ["generate", "zone-token", "--zone", ZONE, "--valid-for", "1h"];
    let old_token = setup.kumactl(&zone_token).await;
    let old = setup.proxy(Kind::Ingress, "old", Some(&old_token));
    setup.wait_online(&old, Kind::Ingress, "old", true).await;
    let data = setup.kumactl(&["generate", "signing-key"]).await;
    setup.store_signing_key(2, &data).await;
    let second = setup.public_key(2).await;
    setup.push(&[("publicKeys", keys(&[("1", &first), ("2", &second)]))]).await;
    let new_token = setup.kumactl(&zone_token).await;
    let new = setup.proxy(Kind::Egress, "new", Some(&new_token));
    setup.wait_online(&new, Kind::Egress, "new", true).await;
    setup.wait_online(&old, Kind::Ingress, "old", true).await;
    assert_eq!([setup.stat("kid.1.allowed").await, setup.stat("kid.2.allowed").await], [2, 2]);
    setup.kumactl(&["delete", "global-secret", "zone-token-signing-key-1"]).await;
    let only = keys(&[("2", &second)]);
    setup.push(&[("publicKeys", only.clone())]).await;
    // The old stream continues unless the policy says otherwise.
    setup.wait_online(&old, Kind::Ingress, "old", true).await;
    assert_eq!(setup.stat("streams.open").await, 2);
    setup.push(&[("publicKeys", only), ("openStreams", json!({ "onKeyRemoved": "cut" }))]).await;
    let says = "zonegate: unknown_kid: no configured key has this kid; rotated out?";
    old.wait_log(says, LIMIT).await.unwrap();
    setup.wait_online(&old, Kind::Ingress, "old", false).await;
    setup.wait_online(&new, Kind::Egress, "new", true).await;
    assert_eq!(setup.stat("streams.cut.key_removed").await, 1);
    assert!(!new.process.log().unwrap().contains("zonegate: "));
}
