//! A real Envoy Gateway, standalone: resources from files, and Envoy as a process of this machine. What
//! `config render --format envoy-gateway-ecds` writes is what it is given; only paths are other ones, and the EnvoyProxy,
//! which is for Kubernetes, gives way to one for a host.
//!
//! `make test-envoy-gateway` names the programs (`ENVOY_GATEWAY`, `ENVOY_PATH`, `ZONEGATE_WASM`). Envoy Gateway's own ports
//! are fixed, so that there is one test.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test may panic
#![allow(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;
use tokio::time::{sleep, timeout};
use zonegate_issuer::SigningKey;
use zonegate_testkit::certificates::Certificates;
use zonegate_testkit::control_plane::{self, ControlPlane};
use zonegate_testkit::kuma::free_port;
use zonegate_testkit::process::{Log, Process};
use zonegate_testkit::zone_proxy::{Claimed, Connection};

const LIMIT: Duration = Duration::from_secs(120);

fn variable(name: &str) -> PathBuf {
    let path = std::env::var_os(name).filter(|path| !path.is_empty());
    let path = path.unwrap_or_else(|| panic!("{name} is not set: make test-envoy-gateway sets it"));
    PathBuf::from(path).canonicalize().unwrap()
}

fn token(key: &SigningKey, id: &str) -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let claims = json!({ "Zone": "zone-1", "Scope": ["ingress"], "exp": now + 3600, "jti": id });
    key.sign_raw(r#"{"alg":"RS256","kid":"1"}"#, claims.to_string())
}

/// The rendered objects, and the file in the ConfigMap.
fn rendered(dir: &Path, key: &SigningKey) -> (Vec<Value>, String) {
    let pem = dir.join("key.pem");
    fs::write(&pem, key.public_key_pem()).unwrap();
    let mut zonegate = std::process::Command::new(env!("CARGO_BIN_EXE_zonegate"));
    zonegate.args(["config", "render", "--zone", "zone-1", "--format", "envoy-gateway-ecds"]);
    zonegate.args(["--gateway", "edge", "--listener", "kuma", "--namespace", "default"]);
    zonegate.args(["--module-url", "oci://registry.example.org/zonegate:1", "--public-key"]);
    let output = zonegate.arg(format!("1={}", pem.display())).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let here = |text: &str| {
        text.replace("/etc/zonegate/module/plugin.wasm", path(&variable("ZONEGATE_WASM")))
            .replace("/etc/zonegate/ecds", path(&dir.join("ecds")))
    };
    let mut objects: Vec<Value> = serde_saphyr::from_multiple(&here(&text)).unwrap();
    let file = objects.remove(0)["data"]["zonegate.yaml"].as_str().unwrap().to_owned();
    objects.retain(|one| one["kind"] != "EnvoyProxy");
    assert_eq!(objects.len(), 3, "{objects:?}");
    (objects, file)
}

/// What stands around them: a Gateway with TLS, and a route to the control plane with TLS.
fn around(certificates: &Certificates, port: u16, control_plane: SocketAddr) -> Vec<Value> {
    let metadata = |name: &str| json!({ "name": name, "namespace": "default" });
    let encoded = |text: &str| STANDARD.encode(text);
    let identity = &certificates.gateway;
    vec![
        json!({ "apiVersion": "gateway.networking.k8s.io/v1", "kind": "GatewayClass", "metadata": { "name": "eg" },
            "spec": {
                "controllerName": "gateway.envoyproxy.io/gatewayclass-controller",
                "parametersRef": { "group": "gateway.envoyproxy.io", "kind": "EnvoyProxy", "name": "host", "namespace": "default" },
            } }),
        json!({ "apiVersion": "gateway.envoyproxy.io/v1alpha1", "kind": "EnvoyProxy", "metadata": metadata("host"),
            "spec": { "provider": { "type": "Host", "host": { "envoyVersion": "1.40.0" } } } }),
        json!({ "apiVersion": "v1", "kind": "Secret", "metadata": metadata("certificate"), "type": "kubernetes.io/tls",
            "data": { "tls.crt": encoded(&identity.certificate), "tls.key": encoded(&identity.key) } }),
        json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata("ca"), "data": { "ca.crt": certificates.ca } }),
        json!({ "apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway", "metadata": metadata("edge"),
            "spec": { "gatewayClassName": "eg", "listeners": [{
                "name": "kuma", "protocol": "HTTPS", "port": port,
                "tls": { "mode": "Terminate", "certificateRefs": [{ "name": "certificate" }] },
            }] } }),
        json!({ "apiVersion": "gateway.envoyproxy.io/v1alpha1", "kind": "Backend", "metadata": metadata("control-plane"),
            "spec": {
                "endpoints": [{ "ip": { "address": "127.0.0.1", "port": control_plane.port() } }],
                "tls": { "caCertificateRefs": [{ "group": "", "kind": "ConfigMap", "name": "ca" }], "sni": "localhost" },
            } }),
        json!({ "apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "metadata": metadata("control-plane"),
            "spec": {
                "parentRefs": [{ "name": "edge" }],
                "rules": [{ "backendRefs": [{
                    "group": "gateway.envoyproxy.io", "kind": "Backend", "name": "control-plane",
                }] }],
            } }),
    ]
}

/// Starts Envoy Gateway, which starts Envoy.
fn start(dir: &Path, objects: &[Value]) -> Process {
    let envoys = dir.join("data/envoy-versions/1.40.0/bin");
    fs::create_dir_all(&envoys).unwrap();
    symlink(variable("ENVOY_PATH"), envoys.join("envoy")).unwrap();
    let resources = dir.join("resources");
    fs::create_dir(&resources).unwrap();
    let texts: Vec<String> = objects.iter().map(|one| format!("---\n{one}\n")).collect();
    fs::write(resources.join("all.yaml"), texts.concat()).unwrap();
    let configuration = json!({
        "apiVersion": "gateway.envoyproxy.io/v1alpha1",
        "kind": "EnvoyGateway",
        "gateway": { "controllerName": "gateway.envoyproxy.io/gatewayclass-controller" },
        "provider": { "type": "Custom", "custom": {
            "resource": { "type": "File", "file": { "paths": [resources] } },
            "infrastructure": { "type": "Host", "host": {
                "configHome": dir.join("config"),
                "dataHome": dir.join("data"),
                "stateHome": dir.join("state"),
                "runtimeDir": dir.join("run"),
            } },
        } },
        "extensionApis": { "enableBackend": true, "enableEnvoyPatchPolicy": true },
    });
    let file = dir.join("envoy-gateway.yaml");
    fs::write(&file, configuration.to_string()).unwrap();
    // The certificates that it and its Envoy know each other by.
    let mut certgen = std::process::Command::new(variable("ENVOY_GATEWAY"));
    certgen.args(["certgen", "--local", "--config-home"]).arg(dir.join("config"));
    let output = certgen.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let mut command = Command::new(variable("ENVOY_GATEWAY"));
    command.args(["server", "--config-path"]).arg(&file).current_dir(dir);
    Process::start(command, Log::File, dir.join("envoy-gateway.log")).unwrap()
}

#[tokio::test]
#[ignore = "needs Envoy Gateway: make test-envoy-gateway"]
async fn a_rendered_bundle_gates_and_a_push_cuts_the_revoked_stream_alone() {
    let dir = TempDir::new().unwrap();
    let certificates = Certificates::generate(dir.path()).unwrap();
    let key = SigningKey::generate(2048).unwrap();
    let control_plane =
        ControlPlane::start(control_plane::Options::new(&certificates)).await.unwrap();
    let port = free_port().unwrap();
    let (policies, file) = rendered(dir.path(), &key);
    let ecds = dir.path().join("ecds");
    fs::create_dir(&ecds).unwrap();
    fs::write(ecds.join("zonegate.yaml"), &file).unwrap();
    let mut objects = around(&certificates, port, control_plane.address());
    objects.extend(policies);
    let mut gateway = start(dir.path(), &objects);
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let (good, leaked) = (token(&key, "good"), token(&key, "leaked"));
    let begun = Instant::now();
    let connection = loop {
        if let Ok(connection) = Connection::open(address, &certificates.ca).await
            && connection.sotw(Some(&good), Claimed::INGRESS).await.is_ok()
        {
            break connection;
        }
        assert!(
            gateway.ended().unwrap().is_none() && begun.elapsed() < LIMIT,
            "{}",
            gateway.log_tail()
        );
        sleep(Duration::from_millis(200)).await;
    };
    println!("it serves after {:?}", begun.elapsed());
    let refused = connection.sotw(Some("garbage"), Claimed::INGRESS).await.unwrap_err();
    assert!(refused.message().starts_with("zonegate: malformed_token: "), "{refused:?}");
    let refused = connection.sotw(Some(&good), Claimed::EGRESS).await.unwrap_err();
    assert!(refused.message().starts_with("zonegate: out_of_scope: "), "{refused:?}");
    // A message of 300 kB comes to the filter, which takes no such resource. By itself Envoy Gateway lets 64 KiB
    // through.
    let large = "x".repeat(300_000);
    let claimed = Claimed { resource: Some(&large), ..Claimed::INGRESS };
    let refused = connection.sotw(Some(&good), claimed).await.unwrap_err();
    assert!(refused.message().starts_with("zonegate: malformed_request: "), "{refused:?}");
    let mut kept = connection.sotw(Some(&good), Claimed::INGRESS).await.unwrap();
    let mut cut = connection.sotw(Some(&leaked), Claimed::INGRESS).await.unwrap();
    assert!(kept.next().await.unwrap().is_some() && cut.next().await.unwrap().is_some());
    // A push, as the kubelet's or an operator's.
    let pushed = file.trim_end().to_owned() + "\n          revocations: leaked\n";
    fs::write(ecds.join(".new"), pushed).unwrap();
    let begun = Instant::now();
    fs::rename(ecds.join(".new"), ecds.join("zonegate.yaml")).unwrap();
    assert!(timeout(LIMIT, cut.next()).await.unwrap().is_err());
    println!("cut after {:?}", begun.elapsed());
    assert!(begun.elapsed() < Duration::from_secs(2));
    control_plane.push();
    assert!(kept.next().await.unwrap().is_some(), "the other stream has ended");
    let refused = connection.sotw(Some(&leaked), Claimed::INGRESS).await.unwrap_err();
    assert!(refused.message().starts_with("zonegate: revoked: "), "{refused:?}");
    end(gateway).await;
}

/// Envoy Gateway ends its Envoy when it is asked to end, and not when it is killed.
async fn end(mut gateway: Process) {
    let pid = gateway.pid().unwrap().to_string();
    let status = std::process::Command::new("kill").args(["-TERM", &pid]).status().unwrap();
    assert!(status.success());
    let _ = timeout(Duration::from_secs(30), gateway.wait()).await;
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}
