//! `make run CP=…` in front of kuma-cp: the two settings that it prints keep proxies at the gateway. Without them it
//! reports that a proxy bypasses the gateway.

use zonegate_testkit::kuma::{Kind, Proxy, free_port};

use crate::demo::Demo;
use crate::harness::{Bench, from_environment};

#[tokio::test]
#[ignore = "needs KUMA_HOME: make test-kuma"]
async fn the_settings_that_the_demo_prints_bring_proxies_back() {
    for is_told in [false, true] {
        let port = free_port().unwrap();
        let mut bench = Bench::new();
        bench.names_the_gateway = false;
        // The settings as they are printed.
        let settings = [("HOST", "127.0.0.1".to_owned()), ("PORT", port.to_string())]
            .map(|(name, value)| (format!("KUMA_BOOTSTRAP_SERVER_PARAMS_XDS_{name}"), value));
        if is_told {
            bench.options.environment.extend(settings.clone());
        }
        let setup = bench.start().await;
        let config = setup.scratch().join("gate.yaml");
        std::fs::write(&config, setup.policy.to_string()).unwrap();
        let (envoy, module) = (from_environment("ENVOY_PATH"), from_environment("ZONEGATE_WASM"));
        let behind = (setup.control_plane.address(), setup.control_plane_ca());
        let mut demo = Demo::start([&envoy, &module], port, behind, &config);
        demo.says("gateway: configured").await;
        for (name, value) in settings {
            assert!(demo.text.contains(&format!("  {name}={value}\n")), "{}", demo.text);
        }
        let token = setup.sign(&setup.claims());
        let mut options = setup.proxy_options(Kind::Ingress, "ingress", Some(&token));
        options.control_plane = format!("https://127.0.0.1:{port}");
        options.ca = demo.after("(its CA: ").into();
        let proxy = Proxy::start(&setup.home, &options).unwrap();
        demo.says("bootstrap: allowed, HTTP 200 (zoneToken ").await;
        if is_told {
            demo.says("StreamAggregatedResources: allowed, open (zoneToken ").await;
            setup.wait_online(&proxy, Kind::Ingress, "ingress", true).await;
        } else {
            demo.says("WARNING: the proxy at 127.0.0.1:").await;
            assert!(!demo.text.contains("StreamAggregatedResources"), "{}", demo.text);
        }
        proxy.stop().await;
        demo.stop().await;
    }
}
