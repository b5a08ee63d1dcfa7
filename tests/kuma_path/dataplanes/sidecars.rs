//! kuma-dp as a sidecar: good and bad tokens, a revocation, and the rotation of a mesh's key.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::sleep;
use zonegate_issuer::SigningKey;
use zonegate_testkit::kuma::{Kind, Proxy};

use super::{Meshes, OTHER, public, set_mesh_secret, token};
use crate::harness::{Bench, LIMIT, MESH, Setup, now, within};

const DISCOVERY: &str = "envoy.service.discovery.v3.AggregatedDiscoveryService";
const HEALTH_DISCOVERY: &str = "envoy.service.health.v3.HealthDiscoveryService";

/// A token that is refused, and the text of the refusal.
struct Bad {
    token: Option<String>,
    says: &'static str,
    /// Whether the node id alone shows the fault: health discovery sends no resource.
    shows_in_id: bool,
}

fn bad_tokens(meshes: &Meshes) -> Vec<Bad> {
    let with = |name: &str, value: Value| token(&meshes.default, "1", &[(name, value)]);
    let foreign = SigningKey::generate(2048).unwrap();
    let bad = |token, says| Bad { token: Some(token), says, shows_in_id: true };
    let of_resource = |token, says| Bad { token: Some(token), says, shows_in_id: false };
    vec![
        bad(
            with("Name", json!("api")),
            "wrong_proxy: the token is for dataplane \"api\", the proxy says that it is dataplane \"web\"",
        ),
        bad(
            with("Mesh", json!(OTHER)),
            "wrong_mesh: the token is for mesh \"other\", the proxy says that it is mesh \"default\"",
        ),
        bad(with("jti", json!("gone")), "revoked: token \"gone\" is revoked; issue a new one"),
        bad(with("exp", json!(now() - 60)), "expired: "),
        bad(token(&foreign, "1", &[]), "invalid_signature: "),
        bad(token(&meshes.other, "1", &[]), "invalid_signature: "),
        bad(token(&meshes.default, "2", &[]), "unknown_kid: "),
        of_resource(with("Tags", json!({ "kuma.io/service": ["api"] })), "wrong_proxy: "),
        of_resource(with("Tags", json!({ "team": ["a"] })), "wrong_proxy: "),
        of_resource(with("Workload", json!("backend")), "wrong_proxy: "),
    ]
}

/// kuma-dp ends at the bootstrap, and no request reaches the control plane.
#[tokio::test]
#[ignore = "needs KUMA_HOME: make test-kuma"]
async fn a_bad_token_ends_a_sidecar_at_its_bootstrap() {
    let (setup, meshes) = Meshes::start(Bench::new()).await;
    let before = setup.seen().await;
    let missing = "missing_token: the bootstrap request has no dataplaneToken";
    let missing = Bad { token: None, says: missing, shows_in_id: true };
    for Bad { token, says, .. } in bad_tokens(&meshes).into_iter().chain([missing]) {
        let mut sidecar = setup.proxy(Kind::Dataplane, "web", token.as_deref());
        assert_told(&sidecar, &format!("Invalid request: zonegate: {says}")).await;
        assert!(!sidecar.process.wait().await.unwrap().success(), "{says}");
    }
    assert_eq!(setup.seen().await, before);
    assert_good_one_is_online(&setup, &meshes).await;
}

/// With `bootstrap: pass` each stream is refused. On a stream of health discovery the gate sees no tags and no
/// workload. The control plane compares them if it has the resource. It never gets a stranger's resource.
#[tokio::test]
#[ignore = "needs KUMA_HOME: make test-kuma"]
async fn a_bad_token_opens_no_stream_for_a_sidecar() {
    let (setup, meshes) = Meshes::start(Bench::new().set("bootstrap", json!("pass"))).await;
    let (before, mut bootstraps) = (setup.seen().await, 0.0);
    for Bad { token, says, shows_in_id } in bad_tokens(&meshes) {
        let health = setup.streams_of(HEALTH_DISCOVERY).await;
        let sidecar = setup.proxy(Kind::Dataplane, "web", token.as_deref());
        assert_told(&sidecar, &format!("to ads_cluster closed: {}", closed(says))).await;
        match shows_in_id {
            true => {
                assert_told(
                    &sidecar,
                    &format!("StreamHealthCheck gRPC config stream closed: {}", closed(says)),
                )
                .await;
                assert_eq!(setup.streams_of(HEALTH_DISCOVERY).await, health, "{says}");
            }
            false => {
                within(async {
                    while setup.streams_of(HEALTH_DISCOVERY).await == health {
                        sleep(Duration::from_millis(50)).await;
                    }
                })
                .await
            }
        }
        sidecar.stop().await;
        bootstraps += 1.0;
    }
    assert_eq!(setup.streams_of(DISCOVERY).await, 0.0);
    assert_eq!(setup.seen().await.bootstraps, before.bootstraps + bootstraps);
    assert_good_one_is_online(&setup, &meshes).await;
}

/// The text that Envoy logs for a stream that ended with 16 or 7.
fn closed(says: &str) -> String {
    let code = if says.starts_with("wrong_") { 7 } else { 16 };
    format!("{code}, zonegate: {says}")
}

async fn assert_told(sidecar: &Proxy, words: &str) {
    sidecar.wait_log(words, LIMIT).await.unwrap_or_else(|error| panic!("{words}: {error:#}"));
}

/// The counters do count: a good token gets a sidecar through, health discovery included.
async fn assert_good_one_is_online(setup: &Setup, Meshes { default, .. }: &Meshes) {
    let claims = [
        ("Name", json!("web")),
        ("Mesh", json!(MESH)),
        ("Tags", json!({ "kuma.io/service": ["web", "api"] })),
    ];
    let (streams, health) =
        (setup.streams_of(DISCOVERY).await, setup.streams_of(HEALTH_DISCOVERY).await);
    let sidecar = setup.proxy(Kind::Dataplane, "web", Some(&token(default, "1", &claims)));
    setup.wait_online(&sidecar, Kind::Dataplane, "web", true).await;
    setup.wait_stat("streams.open", 2).await;
    assert_eq!(setup.streams_of(DISCOVERY).await, streams + 1.0);
    assert_eq!(setup.streams_of(HEALTH_DISCOVERY).await, health + 1.0);
    assert!(!sidecar.process.log().unwrap().contains("zonegate: "));
}

/// The control plane's own tokens, of both meshes with the same kid: each is valid in its own mesh only.
#[tokio::test]
#[ignore = "needs KUMA_HOME: make test-kuma"]
async fn a_token_of_the_control_plane_is_good_in_its_mesh_alone() {
    let (setup, _) = Meshes::start(Bench::new()).await;
    let tokens = [
        (MESH, setup.control_plane.api().dataplane_token(MESH, "web").await.unwrap()),
        (OTHER, setup.control_plane.api().dataplane_token(OTHER, "web").await.unwrap()),
    ];
    for (mesh, good, bad) in
        [(MESH, &tokens[0].1, &tokens[1].1), (OTHER, &tokens[1].1, &tokens[0].1)]
    {
        let start = |token: &str| {
            let mut options = setup.proxy_options(Kind::Dataplane, "web", Some(token));
            options.mesh = mesh.to_owned();
            Proxy::start(&setup.home, &options).unwrap()
        };
        let stranger = start(bad);
        assert_told(&stranger, "zonegate: invalid_signature: ").await;
        stranger.stop().await;
        let sidecar = start(good);
        setup.wait_online_in(mesh, &sidecar, Kind::Dataplane, "web", true).await;
    }
    // A key of a mesh has a counter with the name of the mesh.
    for mesh in [MESH, OTHER] {
        assert!(setup.stat(&format!("kid.{mesh}/1.allowed")).await >= 1, "{mesh}");
    }
}

/// A revocation in its mesh cuts the streams, and the sidecar does not come back. The same id in another mesh has no
/// effect.
#[tokio::test]
#[ignore = "needs KUMA_HOME: make test-kuma"]
async fn a_revoked_sidecar_is_cut_and_stays_out() {
    let (setup, Meshes { default, .. }) = Meshes::start(Bench::new()).await;
    let sidecar = setup.proxy(Kind::Dataplane, "web", Some(&token(&default, "1", &[])));
    let kept = token(&default, "1", &[("jti", json!("id-2"))]);
    let kept = setup.proxy(Kind::Dataplane, "kept", Some(&kept));
    setup.wait_online(&sidecar, Kind::Dataplane, "web", true).await;
    setup.wait_online(&kept, Kind::Dataplane, "kept", true).await;
    // Discovery and health discovery of both sidecars.
    setup.wait_stat("streams.open", 4).await;
    let revoked_in = |mesh: &str| {
        let mut tokens = setup.policy["dpToken"].clone();
        tokens["revocations"] = json!({ mesh: "id-1" });
        tokens
    };
    setup.push(&[("dpToken", revoked_in(OTHER))]).await;
    assert_eq!((setup.stat("streams.cut.revoked").await, setup.stat("streams.open").await), (0, 4));
    setup.push(&[("dpToken", revoked_in(MESH))]).await;
    assert_told(&sidecar, "zonegate: revoked: token \"id-1\" is revoked").await;
    setup.wait_online(&sidecar, Kind::Dataplane, "web", false).await;
    setup.wait_stat("streams.open", 2).await;
    setup.wait_stat("streams.cut.revoked", 2).await;
    setup.wait_online(&kept, Kind::Dataplane, "kept", true).await;
    assert!(!kept.process.log().unwrap().contains("zonegate: "));
}

/// Rotates as Kuma's documentation says: a second key, new tokens, then the first key is removed.
#[tokio::test]
#[ignore = "needs KUMA_HOME: make test-kuma"]
async fn the_key_of_a_mesh_is_rotated() {
    let (setup, Meshes { default, .. }) = Meshes::start(Bench::new()).await;
    let api = setup.control_plane.api();
    let old = setup.proxy(Kind::Dataplane, "old", Some(&token(&default, "1", &[])));
    setup.wait_online(&old, Kind::Dataplane, "old", true).await;
    let second = SigningKey::generate(2048).unwrap();
    let name = "dataplane-token-signing-key-default-2";
    set_mesh_secret(api, MESH, name, second.to_pem().as_bytes()).await;
    let keys = |keys: Vec<Value>| json!({ "publicKeys": keys });
    let both = keys(vec![public(MESH, "1", &default), public(MESH, "2", &second)]);
    setup.push(&[("dpToken", both)]).await;
    // The control plane signs with the newest key.
    let issued = api.dataplane_token(MESH, "new").await.unwrap();
    let new = setup.proxy(Kind::Dataplane, "new", Some(&issued));
    setup.wait_online(&new, Kind::Dataplane, "new", true).await;
    setup.wait_stat("kid.default/2.allowed", 3).await;
    let last = keys(vec![public(MESH, "2", &second)]);
    setup.push(&[("dpToken", last.clone())]).await;
    // The old stream continues unless the policy says otherwise.
    setup.wait_stat("streams.open", 4).await;
    setup.wait_online(&old, Kind::Dataplane, "old", true).await;
    setup.push(&[("dpToken", last), ("openStreams", json!({ "onKeyRemoved": "cut" }))]).await;
    assert_told(&old, "zonegate: unknown_kid: ").await;
    setup.wait_online(&old, Kind::Dataplane, "old", false).await;
    setup.wait_online(&new, Kind::Dataplane, "new", true).await;
    setup.wait_stat("streams.cut.key_removed", 2).await;
    assert!(!new.process.log().unwrap().contains("zonegate: "));
}

impl Setup {
    /// How many streams of this service have begun at the control plane.
    async fn streams_of(&self, service: &str) -> f64 {
        let metrics = self.control_plane.metrics().await.unwrap();
        metrics.sum("grpc_server_started_total", &[("grpc_service", service)])
    }
}
