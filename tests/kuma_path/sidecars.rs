//! A sidecar that shares the port: it passes with `dataplane: pass`, and is refused with `deny`.

use serde_json::json;
use zonegate_testkit::kuma::Kind;

use crate::harness::{Bench, LIMIT, Seen};

#[tokio::test]
#[ignore = "needs KUMA_HOME: make test-kuma"]
async fn a_sidecar_passes_where_it_may() {
    // `bootstrap: verify` applies to zone proxies. Only the control plane checks the token of a sidecar.
    let setup = Bench::new().set("proxies", json!({ "dataplane": "pass" })).start().await;
    let token = setup.control_plane.api().dataplane_token("default", "web").await.unwrap();
    let sidecar = setup.proxy(Kind::Dataplane, "web", Some(&token));
    setup.wait_online(&sidecar, Kind::Dataplane, "web", true).await;
    // Discovery and health discovery.
    let metrics = setup.control_plane.metrics().await.unwrap();
    for service in [
        "envoy.service.discovery.v3.AggregatedDiscoveryService",
        "envoy.service.health.v3.HealthDiscoveryService",
    ] {
        let label = [("grpc_service", service)];
        assert!(metrics.sum("grpc_server_started_total", &label) >= 1.0, "{service}");
    }
    // The control plane still checks: it refuses a zone token of a sidecar.
    let zone_token = setup.sign(&setup.claims());
    let pretender = setup.proxy(Kind::Dataplane, "pretender", Some(&zone_token));
    pretender.wait_log("authentication failed", LIMIT).await.unwrap();
    // The gate refuses a sidecar's token of a zone proxy.
    let ingress = setup.proxy(Kind::Ingress, "ingress", Some(&token));
    ingress.wait_log("zonegate: unknown_kid: ", LIMIT).await.unwrap();
}

#[tokio::test]
#[ignore = "needs KUMA_HOME: make test-kuma"]
async fn a_sidecar_is_refused_where_it_may_not() {
    let says = "zonegate: proxy_denied: proxies of type dataplane may not connect here";
    for bootstrap in ["verify", "pass"] {
        let setup = Bench::new().set("bootstrap", json!(bootstrap)).start().await;
        let token = setup.control_plane.api().dataplane_token("default", "web").await.unwrap();
        let sidecar = setup.proxy(Kind::Dataplane, "web", Some(&token));
        let told = sidecar.wait_log(says, LIMIT).await;
        told.unwrap_or_else(|error| panic!("{bootstrap}: {error:#}"));
        let bootstraps = if bootstrap == "pass" { 1.0 } else { 0.0 };
        assert_eq!(setup.seen().await, Seen { streams: 0.0, bootstraps });
    }
}
