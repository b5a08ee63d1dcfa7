//! A real API server with the definitions of Envoy Gateway and Istio accepts the output of `config render` for them.

use std::process::Command;

use crate::manifests::Kubectl;

const KEY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/data/key-1.pub.pem");

fn render(format: &str, flags: &[&str]) -> String {
    let mut zonegate = Command::new(env!("CARGO_BIN_EXE_zonegate"));
    zonegate.args([
        "config",
        "render",
        "--zone",
        "z",
        "--namespace",
        "kuma-system",
        "--format",
        format,
    ]);
    zonegate.args(["--public-key", &format!("1={KEY}")]).args(flags);
    let output = zonegate.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test]
#[ignore = "needs a Kubernetes API server: make test-kubernetes"]
async fn a_real_api_server_takes_what_is_rendered() {
    let kubectl = Kubectl::start().await;
    let image = ["--module-url", "oci://registry.example.org/zonegate:1"];
    let https =
        ["--module-url", "https://example.org/zonegate.wasm", "--module-sha256", &"ab".repeat(32)];
    let library = ["--module", "/etc/zonegate/module/libzonegate.so"];
    let (edge, kuma) = (["--gateway", "edge"], ["--listener", "kuma"]);
    let (istio, port) = (["--selector", "istio=ingressgateway"], ["--port", "5678"]);
    for (format, flags, objects) in [
        ("envoy-gateway", [&image[..], &edge].concat(), 3),
        ("envoy-gateway", [&https[..], &edge].concat(), 3),
        ("envoy-gateway-native", [&image[..], &edge].concat(), 4),
        ("envoy-gateway-ecds", [&image[..], &edge, &kuma].concat(), 5),
        ("envoy-gateway-ecds", [&image[..], &edge, &kuma, &library].concat(), 5),
        ("envoy-gateway-ext-proc", edge.to_vec(), 3),
        ("envoy-gateway-ext-auth", edge.to_vec(), 3),
        ("istio", [&image[..], &istio].concat(), 2),
        ("istio", [&https[..], &edge].concat(), 2),
        ("istio-ecds", [&image[..], &istio, &port].concat(), 2),
        ("istio-ecds", [&image[..], &edge].concat(), 2),
    ] {
        let text = render(format, &flags);
        let output = kubectl.apply(&text);
        let (said, error) =
            (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{format} {flags:?}: {error}");
        assert_eq!(said.lines().count(), objects, "{format}: {said}");
    }
    for (format, flags, right, wrong) in [
        ("envoy-gateway", [&image[..], &edge].concat(), "failOpen:", "failsOpen:"),
        ("envoy-gateway-native", [&image[..], &edge].concat(), "filterName:", "filter:"),
        ("envoy-gateway-ecds", [&image[..], &edge, &kuma].concat(), "op: add", "op: put"),
        ("envoy-gateway-ext-proc", edge.to_vec(), "FullDuplexStreamed", "FullDuplex"),
        ("envoy-gateway-ext-auth", edge.to_vec(), "headersToExtAuth", "headersToAuth"),
        ("istio", [&image[..], &istio].concat(), "phase: AUTHN", "phase: FIRST"),
        ("istio-ecds", [&image[..], &istio].concat(), "HTTP_FILTER", "HTTP_FILTERS"),
    ] {
        let text = render(format, &flags);
        assert!(text.contains(right), "{text}");
        assert!(!kubectl.apply(&text.replace(right, wrong)).status.success(), "{wrong}");
    }
}
