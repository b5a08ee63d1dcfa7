//! Bad configurations, at start and as a push.

use serde_json::{Value, json};
use zonegate_issuer::SigningKey;
use zonegate_testkit::control_plane::{self, ControlPlane};
use zonegate_testkit::gateway::{Delivery, Form, Gateway, Pushed};
use zonegate_testkit::zone_proxy::Claimed;

use crate::form::{FilterOnly, form};
use crate::harness::{Bench, policy};

/// An empty `Struct` arrives as no bytes in a wasm module, and as `{}` in a dynamic module.
fn empty() -> &'static str {
    match form() {
        Form::Wasm => "no configuration",
        Form::Native | Form::Service => "publicKeys: at least one key is required",
    }
}

/// Each bad configuration, with the text in Envoy's log.
fn bad(key: &SigningKey) -> Vec<(Value, &'static str)> {
    let with = |field: &str, value: Value| {
        let mut policy = policy(key);
        policy[field] = value;
        policy
    };
    let one_key = |item: Value| with("publicKeys", json!([item]));
    let pem = key.public_key_pem();
    let item = json!({ "kid": "1", "key": pem });
    vec![
        (json!({}), empty()),
        (with("publicKeys", json!([])), "publicKeys: at least one key is required"),
        (one_key(json!({ "kid": "1", "key": "x" })), "publicKeys[0].key: not PEM"),
        (one_key(json!({ "kid": true, "key": pem })), "publicKeys[0].kid: invalid type"),
        (one_key(json!({ "kid": "1", "key": &*key.to_pem() })), "publicKeys[0].key: a private key"),
        (with("publicKeys", json!([item, item])), "publicKeys[1].kid: \"1\" occurs twice"),
        (with("zone", json!("")), "zone: must not be empty"),
        (with("zones", json!("a")), "zones: unknown field"),
        (with("mode", json!("off")), "mode: unknown variant"),
        (
            with("openStreams", json!({ "onRevoked": "no" })),
            "openStreams.onRevoked: unknown variant",
        ),
        (with("profile", json!("kds")), "profile: unknown variant"),
        // The policy has a zone, which nothing would check.
        (with("profile", json!("globalKds")), "zone: means nothing with profile globalKds"),
        (with("proxies", json!({ "ingress": "allow" })), "proxies.ingress: unknown variant"),
        (with("bootstrap", json!("no")), "bootstrap: unknown variant"),
        (with("revocations", json!([1])), "revocations[0]: invalid type"),
        (with("requireExpiration", json!("yes")), "requireExpiration: invalid type"),
        (with("leewaySeconds", json!(-1)), "leewaySeconds: "),
        (with("maxTokenBytes", json!(1)), "maxTokenBytes: 1: must be from"),
        (with("firstMessageSeconds", json!(0)), "firstMessageSeconds: 0: must be from"),
        (with("errorDetail", json!("all")), "errorDetail: unknown variant"),
    ]
}

#[tokio::test]
async fn envoy_does_not_start_and_its_log_names_the_path() {
    if FilterOnly::Start.is_left_out() {
        return;
    }
    let mut bench = Bench::new();
    bench.options.delivery = Delivery::Gateway;
    bench.options.control_plane = "127.0.0.1:1".to_owned();
    // The same setup starts with a good policy, so the failures below are due to the policy.
    Gateway::start(bench.options.clone()).await.unwrap().stop().await;
    for (policy, says) in bad(&bench.key) {
        let mut options = bench.options.clone();
        options.policy = policy.clone();
        let error = format!("{:#}", Gateway::start(options).await.unwrap_err());
        assert!(error.contains("Envoy did not start (exit status: 1)"), "{policy}: {error}");
        let says = format!("zonegate: configuration refused: {says}");
        assert!(error.contains(&says), "{says}: {error}");
    }
}

/// As in kuma-cp's file. Envoy passes it as a double.
#[tokio::test]
async fn a_kid_may_be_a_whole_number() {
    let bench = Bench::new();
    let keys = json!([{ "kid": 1, "key": bench.key.public_key_pem() }]);
    let setup = bench.set("publicKeys", keys).start().await;
    let connection = setup.connect().await;
    let mut stream = connection.sotw(Some(&setup.token()), Claimed::INGRESS).await.unwrap();
    stream.next().await.unwrap().unwrap();
}

/// By ECDS, Envoy starts without the filter, and answers every request with an error.
#[tokio::test]
async fn a_bad_policy_by_ecds_lets_nothing_through() {
    let mut bench = Bench::new();
    let control_plane =
        ControlPlane::start(control_plane::Options::new(&bench.certificates)).await.unwrap();
    bench.options.control_plane = control_plane.address().to_string();
    bench.options.policy = json!({ "zone": "a", "publicKeys": [] });
    let error = format!("{:#}", Gateway::start(bench.options).await.unwrap_err());
    assert!(error.contains("the policy was refused"), "{error}");
    assert!(error.contains("configuration refused: publicKeys: at least one key"), "{error}");
}

#[tokio::test]
async fn a_bad_push_changes_nothing() {
    let setup = Bench::new().start().await;
    let token = setup.token();
    let connection = setup.connect().await;
    let mut stream = connection.sotw(Some(&token), Claimed::INGRESS).await.unwrap();
    stream.next().await.unwrap().unwrap();
    for (policy, says) in bad(&setup.key) {
        assert_eq!(setup.gateway.push(&policy).await.unwrap(), Pushed::Rejected, "{policy}");
        assert!(setup.gateway.log().unwrap().contains(says), "{says}");
        connection.delta(Some(&token), Claimed::EGRESS).await.unwrap();
    }
    assert_eq!(setup.stat("config.rejected").await, bad(&setup.key).len() as u64);
    assert_eq!(setup.stat("config.accepted").await, 1);
    setup.control_plane.push();
    assert!(stream.next().await.unwrap().is_some(), "the open stream has ended");
    let mut good = policy(&setup.key);
    good["revocations"] = json!("id-1");
    assert_eq!(setup.gateway.push(&good).await.unwrap(), Pushed::Accepted);
    setup.refused_everywhere_as(&setup.witness("id-1"), "revoked").await;
    let refused = connection.sotw(Some(&token), Claimed::INGRESS).await.unwrap_err();
    assert!(refused.message().starts_with("zonegate: revoked: "), "{refused:?}");
    assert_eq!(setup.stat("config.accepted").await, 2);
    assert_eq!(setup.stat("config.revocations").await, 1);
    assert_eq!(setup.gateway.log().unwrap().matches("zonegate: configured ").count(), 2);
}

/// A push is enough to revoke the token.
#[tokio::test]
async fn a_token_is_good_until_it_is_revoked() {
    let setup = Bench::new().start().await;
    let token = setup.token();
    let connection = setup.connect().await;
    connection.sotw(Some(&token), Claimed::INGRESS).await.unwrap();
    let mut revoking = policy(&setup.key);
    revoking["revocations"] = json!("other, id-1\n");
    assert_eq!(setup.gateway.push(&revoking).await.unwrap(), Pushed::Accepted);
    setup.refused_everywhere_as(&setup.witness("id-1"), "revoked").await;
    let refused = connection.sotw(Some(&token), Claimed::INGRESS).await.unwrap_err();
    assert_eq!(refused.message(), "zonegate: revoked: token \"id-1\" is revoked; issue a new one");
}
