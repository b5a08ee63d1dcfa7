//! The connections that `demo run` shows at its gateway, in front of a control plane.

use serde_json::json;
use zonegate::gate::BOOTSTRAP;
use zonegate_testkit::control_plane::{self, ControlPlane};
use zonegate_testkit::raw_client::{End, RawConnection, RawRequest};
use zonegate_testkit::zone_proxy::{Claimed, Connection};

use crate::demo::Demo;
use crate::form::FilterOnly;
use crate::harness::{Bench, claims_with};

/// A proxy that connects after its bootstrap is shown with its stream. A proxy that gets its bootstrap and does not
/// connect is reported, with the setting that kuma-cp needs.
#[tokio::test]
async fn the_demo_shows_every_connection_and_proxies_that_bypass_it() {
    if FilterOnly::Demo.is_left_out() {
        return;
    }
    let bench = Bench::new();
    let options = control_plane::Options::new(&bench.certificates);
    let control_plane = ControlPlane::start(options).await.unwrap();
    let config = bench.scratch().join("gate.yaml");
    std::fs::write(&config, bench.options.policy.to_string()).unwrap();
    let programs = [&*bench.options.envoy, &*bench.options.module];
    let behind = (control_plane.address(), &*bench.options.control_plane_ca);
    let mut demo = Demo::start(programs, 0, behind, &config);
    demo.says("gateway: configured").await;
    let address: std::net::SocketAddr =
        format!("127.0.0.1:{}", demo.after("https://127.0.0.1:")).parse().unwrap();
    let (host, port) = ("XDS_HOST=127.0.0.1\n", format!("XDS_PORT={}\n", address.port()));
    for setting in [host, &port] {
        let line = format!("  KUMA_BOOTSTRAP_SERVER_PARAMS_{setting}");
        assert!(demo.text.contains(&line), "{}", demo.text);
    }
    let ca = std::fs::read_to_string(demo.after("(its CA: ")).unwrap();
    let token = |id: &str| {
        let claims = claims_with("jti", json!(id)).to_string();
        bench.key.sign_raw(r#"{"alg":"RS256","kid":"1","typ":"JWT"}"#, claims)
    };
    let (comes_back, goes_round) = (token("comes-back"), token("goes-round"));
    for (token, id) in [(&comes_back, "comes-back"), (&goes_round, "goes-round")] {
        let body = json!({ "name": "a", "proxyType": "ingress", "dataplaneToken": token });
        let request = RawRequest {
            method: "POST",
            path: BOOTSTRAP,
            headers: vec![("content-type", b"application/json".to_vec())],
            chunks: vec![body.to_string().into_bytes()],
            end: End::Stream,
        };
        let connection = RawConnection::open(address, &ca).await.unwrap();
        assert_eq!(connection.send(request).await.unwrap().status, 200);
        let wanted = format!("bootstrap: allowed, HTTP 200 (zoneToken kid=1 jti={id})");
        let line = demo.says(&wanted).await;
        assert!(line.starts_with("connection: 127.0.0.1:"), "{line}");
    }
    let connection = Connection::open(address, &ca).await.unwrap();
    let mut stream = connection.sotw(Some(&comes_back), Claimed::INGRESS).await.unwrap();
    stream.next().await.unwrap().unwrap();
    demo.says("StreamAggregatedResources: allowed, open (zoneToken kid=1 jti=comes-back)").await;
    connection.sotw(Some("garbage"), Claimed::INGRESS).await.unwrap_err();
    demo.says("StreamAggregatedResources: denied: malformed_token, HTTP 200").await;
    drop(stream);
    demo.says("StreamAggregatedResources: allowed, ended after").await;
    let warning = demo.says("WARNING: the proxy at 127.0.0.1:").await;
    assert!(warning.contains("(zoneToken kid=1 jti=goes-round)"), "{warning}");
    assert_eq!(demo.text.matches("WARNING").count(), 1, "{}", demo.text);
    demo.stop().await;
}
