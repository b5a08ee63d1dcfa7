//! kuma-dp through the gateway to kuma-cp: bootstrap, then discovery.

use envoy_types::pb::envoy::service::discovery::v3::DeltaDiscoveryRequest;
use zonegate_testkit::kuma::{Kind, Proxy, ZoneProxyAuthentication};
use zonegate_testkit::zone_proxy::delta_discovery_request;

use crate::exceptions::DELTA;
use crate::harness::{Bench, INGRESS_HERE, LIMIT, Seen, Setup, within};

/// Both kinds of zone proxy, and both forms of discovery.
#[tokio::test]
#[ignore = "needs KUMA_HOME: make test-kuma"]
async fn a_good_token_brings_a_zone_proxy_online() {
    let setup = Bench::new().start().await;
    let token = setup.sign(&setup.claims());
    let variant = "KUMA_DATAPLANE_RUNTIME_ENVOY_XDS_TRANSPORT_PROTOCOL_VARIANT";
    let mut proxies = Vec::new();
    for (kind, form) in [
        (Kind::Ingress, "GRPC"),
        (Kind::Egress, "GRPC"),
        (Kind::Ingress, "DELTA_GRPC"),
        (Kind::Egress, "DELTA_GRPC"),
    ] {
        let name = format!("{}-{}", kind.name(), form.to_lowercase().replace('_', "-"));
        let mut options = setup.proxy_options(kind, &name, Some(&token));
        options.environment.push((variant.to_owned(), form.to_owned()));
        let proxy = Proxy::start(&setup.home, &options).unwrap();
        if form == "DELTA_GRPC" && DELTA.holds(setup.home.release()) {
            // kuma-dp keeps trying.
            proxy.wait_log("stream was authenticated for ID", LIMIT).await.unwrap();
            proxy.stop().await;
            continue;
        }
        setup.wait_online(&proxy, kind, &name, true).await;
        proxies.push(proxy);
    }
    if DELTA.holds(setup.home.release()) {
        setup.wait_stat("streams.open", 2).await;
        assert_delta_ends_without_gateway(&setup, &token).await;
        return;
    }
    // All streams went through the gateway, and the control plane's counters agree.
    assert_eq!(setup.seen().await, Seen { streams: 4.0, bootstraps: 4.0 });
    assert_eq!(setup.stat("streams.open").await, 4);
    let metrics = setup.control_plane.metrics().await.unwrap();
    for (method, streams) in [("StreamAggregatedResources", 2.0), ("DeltaAggregatedResources", 2.0)]
    {
        let label = [("grpc_method", method)];
        assert_eq!(metrics.sum("grpc_server_started_total", &label), streams, "{method}");
    }
}

/// Sends a second message without the node, as Envoy does.
async fn assert_delta_ends_without_gateway(setup: &Setup, token: &str) {
    let direct = setup.connect_without_gateway().await;
    let mut open = within(direct.delta(Some(token), INGRESS_HERE)).await.unwrap();
    let type_url = delta_discovery_request(INGRESS_HERE).type_url;
    open.send(DeltaDiscoveryRequest { type_url, ..Default::default() }).await.unwrap();
    let refused = loop {
        match within(open.next()).await {
            Ok(answer) => assert!(answer.is_some(), "the stream has ended well"),
            Err(status) => break status,
        }
    };
    assert!(refused.message().contains("stream was authenticated for ID"), "{refused:?}");
}

/// With `dpServer.authn.zoneProxy.type: none` the control plane accepts every zone proxy. Only the gateway checks.
#[tokio::test]
#[ignore = "needs KUMA_HOME: make test-kuma"]
async fn a_control_plane_that_checks_nothing_is_safe_behind_the_gateway() {
    let mut bench = Bench::new();
    bench.options.zone_proxies = ZoneProxyAuthentication::None;
    let setup = bench.start().await;
    let direct = setup.connect_without_gateway().await;
    let mut open = within(direct.sotw(Some("nonsense"), INGRESS_HERE)).await.unwrap();
    assert!(within(open.next()).await.unwrap().is_some(), "this control plane does check");
    let before = setup.seen().await;
    let refused = setup.connect().await.sotw(Some("nonsense"), INGRESS_HERE).await.unwrap_err();
    assert!(refused.message().starts_with("zonegate: malformed_token: "), "{refused:?}");
    let without = setup.proxy(Kind::Ingress, "without", None);
    without.wait_log("zonegate: missing_token: ", LIMIT).await.unwrap();
    assert_eq!(setup.seen().await, before);
    let token = setup.sign(&setup.claims());
    let good = setup.proxy(Kind::Ingress, "good", Some(&token));
    setup.wait_online(&good, Kind::Ingress, "good", true).await;
}
