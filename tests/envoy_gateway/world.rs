//! An Envoy Gateway and the objects that surround the rendered ones: a Gateway with TLS, and a route to a control plane
//! with TLS.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::symlink;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tokio::process::Command;
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::{sleep, timeout};
use zonegate_testkit::kuma::free_port;
use zonegate_testkit::process::{Log, Process};
use zonegate_testkit::zone_proxy::{Claimed, Connection};

use crate::other_gateways::{LIMIT, Zone, variable};

/// The drain time of a replaced listener. Envoy Gateway's default is a minute.
pub(crate) const DRAIN: Duration = Duration::from_secs(5);

/// Held while Envoy Gateway's fixed ports are in use.
static PORTS: Mutex<()> = Mutex::const_new(());

pub(crate) struct World {
    pub(crate) zone: Zone,
    address: SocketAddr,
    gateway: Option<Process>,
    _ports: MutexGuard<'static, ()>,
}

impl World {
    pub(crate) async fn new() -> Self {
        let ports = PORTS.lock().await;
        let zone = Zone::new().await;
        let address = SocketAddr::from(([127, 0, 0, 1], free_port().unwrap()));
        // The certificates by which Envoy Gateway and its Envoy authenticate each other.
        let mut certgen = std::process::Command::new(variable("ENVOY_GATEWAY"));
        certgen.args(["certgen", "--local", "--config-home"]).arg(zone.folder().join("config"));
        let output = certgen.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        Self { zone, address, gateway: None, _ports: ports }
    }

    /// The objects that this format renders for the Gateway, with the key of the tokens in the policy.
    pub(crate) fn render(&self, format: &str, flags: &[&str]) -> String {
        self.zone.render(format, &[&["--gateway", "edge"], flags].concat())
    }

    /// Applies these objects and the surrounding ones, at once.
    pub(crate) fn apply(&self, rendered: &[Value]) {
        let objects = self.around(rendered).into_iter();
        let others = rendered.iter().filter(|one| one["kind"] != "EnvoyProxy").cloned();
        self.zone.write_objects("resources", objects.chain(others));
    }

    fn around(&self, rendered: &[Value]) -> Vec<Value> {
        let metadata = |name: &str| json!({ "name": name, "namespace": "default" });
        let encoded = |text: &str| STANDARD.encode(text);
        let identity = &self.zone.certificates.gateway;
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
                "data": { "ca.crt": self.zone.certificates.ca } }),
            json!({ "apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway", "metadata": metadata("edge"),
                "spec": { "gatewayClassName": "eg", "listeners": [{
                    "name": "kuma", "protocol": "HTTPS", "port": self.address.port(),
                    "tls": { "mode": "Terminate", "certificateRefs": [{ "name": "certificate" }] },
                }] } }),
            json!({ "apiVersion": "gateway.envoyproxy.io/v1alpha1", "kind": "Backend", "metadata": metadata("control-plane"),
                "spec": {
                    "endpoints": [{ "ip": { "address": "127.0.0.1", "port": self.zone.control_plane.address().port() } }],
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
        Connection::open(self.address, &self.zone.certificates.ca).await
    }

    fn start_program(&self) -> Process {
        let dir = self.zone.folder();
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
