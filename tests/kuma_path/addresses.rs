//! The addresses to which kuma-cp sends proxies after their bootstrap: the settings that name the gateway.

use zonegate_testkit::kuma::{ControlPlane, Kind};

use crate::harness::{Bench, Seen, home};

/// Without `XDS_PORT` the bootstrap names the control plane's own port, and the stream bypasses the gateway.
#[tokio::test]
#[ignore = "needs KUMA_HOME: make test-kuma"]
async fn without_its_settings_a_proxy_goes_round_the_gateway() {
    let mut bench = Bench::new();
    bench.names_the_gateway = false;
    // Both certificates are from one authority. Otherwise the proxy would not trust the control plane.
    bench.front = bench.behind.clone();
    let setup = bench.start().await;
    let token = setup.sign(&setup.claims());
    let proxy = setup.proxy(Kind::Ingress, "ingress", Some(&token));
    setup.wait_online(&proxy, Kind::Ingress, "ingress", true).await;
    assert_eq!(setup.seen().await, Seen { streams: 1.0, bootstraps: 1.0 });
    assert_eq!([setup.stat("allowed").await, setup.stat("streams.open").await], [1, 0]);
}

/// `XDS_HOST` must be in the control plane's own certificate.
#[tokio::test]
#[ignore = "needs KUMA_HOME: make test-kuma"]
async fn a_name_that_is_not_in_its_certificate_stops_kuma_cp() {
    let mut bench = Bench::new();
    bench.options.xds = Some(("gateway.example".to_owned(), 5678));
    let error = ControlPlane::start(&home(), &bench.options).await.unwrap_err().to_string();
    assert!(error.contains("is not available in the DP Server certificate"), "{error}");
}
