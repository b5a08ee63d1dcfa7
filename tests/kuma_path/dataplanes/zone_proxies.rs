//! Zone proxies of a mesh: a Dataplane whose listeners are a zone ingress and a zone egress.

use serde_json::json;
use zonegate_testkit::kuma::Kind;

use super::{Meshes, token};
use crate::exceptions::ZONE_PROXY_OF_A_MESH;
use crate::harness::{Bench, LIMIT, MESH};

/// Such a Dataplane has a dataplane token. The older kinds of zone proxy still connect with their zone tokens.
#[tokio::test]
#[ignore = "needs KUMA_HOME: make test-kuma"]
async fn a_zone_proxy_of_a_mesh_is_a_dataplane() {
    let (setup, Meshes { default, .. }) = Meshes::start(Bench::new()).await;
    if ZONE_PROXY_OF_A_MESH.holds(setup.home.release()) {
        let good = token(&default, "1", &[]);
        let proxy = setup.proxy(Kind::MeshZoneProxy, "zone-proxy", Some(&good));
        let says = "networking: has to contain at least one inbound interface or gateway";
        return proxy.wait_log(says, LIMIT).await.unwrap();
    }
    let zone_token = setup.sign(&setup.claims());
    let of_sidecar = token(&default, "1", &[("Name", json!("web"))]);
    let of_service = token(&default, "1", &[("Tags", json!({ "kuma.io/service": ["web"] }))]);
    for (token, says) in [
        (&zone_token, "unknown_kid: "),
        (
            &of_sidecar,
            "wrong_proxy: the token is for dataplane \"web\", the proxy says that it is dataplane \"zone-proxy\"",
        ),
        // A zone proxy of a mesh has no tags.
        (&of_service, "wrong_proxy: "),
    ] {
        let refused = setup.proxy(Kind::MeshZoneProxy, "zone-proxy", Some(token));
        refused.wait_log(&format!("zonegate: {says}"), LIMIT).await.unwrap();
        refused.stop().await;
    }
    let claims = [("Name", json!("zone-proxy")), ("Mesh", json!(MESH))];
    let good = token(&default, "1", &claims);
    let zone_proxy = setup.proxy(Kind::MeshZoneProxy, "zone-proxy", Some(&good));
    setup.wait_online(&zone_proxy, Kind::MeshZoneProxy, "zone-proxy", true).await;
    for kind in [Kind::Ingress, Kind::Egress] {
        let proxy = setup.proxy(kind, kind.name(), Some(&zone_token));
        setup.wait_online(&proxy, kind, kind.name(), true).await;
        proxy.stop().await;
    }
    // A revocation cuts it like a sidecar.
    let mut tokens = setup.policy["dpToken"].clone();
    tokens["revocations"] = json!({ MESH: "id-1" });
    setup.push(&[("dpToken", tokens)]).await;
    zone_proxy.wait_log("zonegate: revoked: ", LIMIT).await.unwrap();
    setup.wait_online(&zone_proxy, Kind::MeshZoneProxy, "zone-proxy", false).await;
}
