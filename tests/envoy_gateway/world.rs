//! An Envoy Gateway and the objects that surround the rendered ones: a Gateway with TLS, and a route to a control plane
//! with TLS.

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
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::{sleep, timeout};
use zonegate_issuer::SigningKey;
use zonegate_testkit::certificates::Certificates;
use zonegate_testkit::control_plane::{self, ControlPlane};
use zonegate_testkit::kuma::free_port;
use zonegate_testkit::process::{Log, Process};
use zonegate_testkit::zone_proxy::{Claimed, Connection, discovery_request};

pub(crate) const LIMIT: Duration = Duration::from_secs(120);
/// The drain time of a replaced listener. Envoy Gateway's default is a minute.
pub(crate) const DRAIN: Duration = Duration::from_secs(5);

/// Held while Envoy Gateway's fixed ports are in use.
static PORTS: Mutex<()> = Mutex::const_new(());

pub(crate) struct World {
    pub(crate) control_plane: ControlPlane,
    key: SigningKey,
    certificates: Certificates,
    address: SocketAddr,
    gateway: Option<Process>,
    dir: TempDir,
    _ports: MutexGuard<'static, ()>,
}

/// The file that this environment variable names.
pub(crate) fn variable(name: &str) -> PathBuf {
    let path = std::env::var_os(name).filter(|path| !path.is_empty());
    let path = path.unwrap_or_else(|| panic!("{name} is not set: make test-envoy-gateway sets it"));
    PathBuf::from(path).canonicalize().unwrap()
}

pub(crate) fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

impl World {
    pub(crate) async fn new() -> Self {
        let ports = PORTS.lock().await;
        let dir = TempDir::new().unwrap();
        let certificates = Certificates::generate(dir.path()).unwrap();
        let key = SigningKey::generate(2048).unwrap();
        fs::write(dir.path().join("key.pem"), key.public_key_pem()).unwrap();
        let behind = control_plane::Options::new(&certificates);
        let control_plane = ControlPlane::start(behind).await.unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], free_port().unwrap()));
        // The certificates by which Envoy Gateway and its Envoy authenticate each other.
        let mut certgen = std::process::Command::new(variable("ENVOY_GATEWAY"));
        certgen.args(["certgen", "--local", "--config-home"]).arg(dir.path().join("config"));
        let output = certgen.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        Self { control_plane, key, certificates, address, gateway: None, dir, _ports: ports }
    }

    pub(crate) fn folder(&self) -> &Path {
        self.dir.path()
    }

    /// A token of a zone ingress, with this id.
    pub(crate) fn token(&self, id: &str) -> String {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
        let claims =
            json!({ "Zone": "zone-1", "Scope": ["ingress"], "exp": now + 3600, "jti": id });
        self.key.sign_raw(r#"{"alg":"RS256","kid":"1"}"#, claims.to_string())
    }

    /// The objects that this format renders for the Gateway, with the key of the tokens in the policy.
    pub(crate) fn render(&self, format: &str, flags: &[&str]) -> String {
        let mut zonegate = std::process::Command::new(env!("CARGO_BIN_EXE_zonegate"));
        zonegate.args(["config", "render", "--zone", "zone-1", "--format", format]);
        zonegate.arg("--public-key").arg(format!("1={}", path(&self.folder().join("key.pem"))));
        zonegate.args(["--gateway", "edge", "--namespace", "default"]).args(flags);
        let output = zonegate.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Applies these objects and the surrounding ones, at once.
    pub(crate) fn apply(&self, rendered: &[Value]) {
        let objects = self.around(rendered).into_iter();
        let others = rendered.iter().filter(|one| one["kind"] != "EnvoyProxy").cloned();
        let texts: Vec<String> = objects.chain(others).map(|one| format!("---\n{one}\n")).collect();
        let (resources, new) = (self.folder().join("resources"), self.folder().join("new.yaml"));
        fs::create_dir_all(&resources).unwrap();
        fs::write(&new, texts.concat()).unwrap();
        fs::rename(new, resources.join("all.yaml")).unwrap();
    }

    fn around(&self, rendered: &[Value]) -> Vec<Value> {
        let metadata = |name: &str| json!({ "name": name, "namespace": "default" });
        let encoded = |text: &str| STANDARD.encode(text);
        let identity = &self.certificates.gateway;
        // The rendered EnvoyProxy, changed for a host.
        let proxy = rendered.iter().find(|one| one["kind"] == "EnvoyProxy");
        let mut proxy = proxy.map_or(json!({}), |proxy| proxy["spec"].clone());
        proxy["provider"] = json!({ "type": "Host", "host": { "envoyVersion": "1.40.0" } });
        proxy["shutdown"] = json!({ "drainTimeout": format!("{}s", DRAIN.as_secs()) });
        vec![
            json!({ "apiVersion": "gateway.networking.k8s.io/v1", "kind": "GatewayClass", "metadata": { "name": "eg" },
                "spec": {
                    "controllerName": "gateway.envoyproxy.io/gatewayclass-controller",
                    "parametersRef": { "group": "gateway.envoyproxy.io", "kind": "EnvoyProxy", "name": "host", "namespace": "default" },
                } }),
            json!({ "apiVersion": "gateway.envoyproxy.io/v1alpha1", "kind": "EnvoyProxy", "metadata": metadata("host"),
                "spec": proxy }),
            json!({ "apiVersion": "v1", "kind": "Secret", "metadata": metadata("certificate"), "type": "kubernetes.io/tls",
                "data": { "tls.crt": encoded(&identity.certificate), "tls.key": encoded(&identity.key) } }),
            json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata("ca"),
                "data": { "ca.crt": self.certificates.ca } }),
            json!({ "apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway", "metadata": metadata("edge"),
                "spec": { "gatewayClassName": "eg", "listeners": [{
                    "name": "kuma", "protocol": "HTTPS", "port": self.address.port(),
                    "tls": { "mode": "Terminate", "certificateRefs": [{ "name": "certificate" }] },
                }] } }),
            json!({ "apiVersion": "gateway.envoyproxy.io/v1alpha1", "kind": "Backend", "metadata": metadata("control-plane"),
                "spec": {
                    "endpoints": [{ "ip": { "address": "127.0.0.1", "port": self.control_plane.address().port() } }],
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

    /// Starts Envoy Gateway, which starts Envoy. Connects once Envoy lets a stream with this token through.
    pub(crate) async fn start(&mut self, token: &str) -> Connection {
        let begun = Instant::now();
        let mut gateway = self.start_program();
        let connection = loop {
            if let Ok(connection) = self.connect().await
                && connection.sotw(Some(token), Claimed::INGRESS).await.is_ok()
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
        self.gateway = Some(gateway);
        connection
    }

    pub(crate) async fn connect(&self) -> anyhow::Result<Connection> {
        Connection::open(self.address, &self.certificates.ca).await
    }

    fn start_program(&self) -> Process {
        let dir = self.folder();
        let envoys = dir.join("data/envoy-versions/1.40.0/bin");
        fs::create_dir_all(&envoys).unwrap();
        symlink(variable("ENVOY_PATH"), envoys.join("envoy")).unwrap();
        let configuration = json!({
            "apiVersion": "gateway.envoyproxy.io/v1alpha1",
            "kind": "EnvoyGateway",
            "gateway": { "controllerName": "gateway.envoyproxy.io/gatewayclass-controller" },
            "provider": { "type": "Custom", "custom": {
                "resource": { "type": "File", "file": { "paths": [dir.join("resources")] } },
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
        let mut command = Command::new(variable("ENVOY_GATEWAY"));
        command.args(["server", "--config-path"]).arg(&file).current_dir(dir);
        command.env("HOME", dir); // Envoy Gateway keeps modules there
        Process::start(command, Log::File, dir.join("envoy-gateway.log")).unwrap()
    }

    /// Envoy Gateway ends its Envoy on SIGTERM, but not when it is killed.
    pub(crate) async fn end(mut self) {
        let Some(mut gateway) = self.gateway.take() else { return };
        let pid = gateway.pid().unwrap().to_string();
        let status = std::process::Command::new("kill").args(["-TERM", &pid]).status().unwrap();
        assert!(status.success());
        let _ = timeout(Duration::from_secs(30), gateway.wait()).await;
    }
}

/// Good streams pass and bad ones are refused, with a small first message and with one of a megabyte.
pub(crate) async fn assert_gates(connection: &Connection, good: &str) {
    let refused = connection.sotw(Some("garbage"), Claimed::INGRESS).await.unwrap_err();
    assert!(refused.message().starts_with("zonegate: malformed_token: "), "{refused:?}");
    let refused = connection.sotw(Some(good), Claimed::EGRESS).await.unwrap_err();
    assert!(refused.message().starts_with("zonegate: out_of_scope: "), "{refused:?}");
    // Envoy Gateway's default limit is 64 KiB.
    let large = |claimed| {
        let mut message = discovery_request(claimed);
        message.resource_names = vec!["x".repeat(1_000_000)];
        message
    };
    let refused = connection.sotw_of(Some(good), large(Claimed::EGRESS)).await.unwrap_err();
    assert!(refused.message().starts_with("zonegate: out_of_scope: "), "{refused:?}");
    let mut passed = connection.sotw_of(Some(good), large(Claimed::INGRESS)).await.unwrap();
    assert!(passed.next().await.unwrap().is_some());
}
