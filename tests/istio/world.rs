//! An istiod, an Envoy that it configures, and a control plane behind it.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;
use tokio::time::sleep;
use zonegate_issuer::SigningKey;
use zonegate_testkit::certificates::Certificates;
use zonegate_testkit::control_plane::{self, ControlPlane};
use zonegate_testkit::kuma::free_port;
use zonegate_testkit::process::{Log, Process};
use zonegate_testkit::zone_proxy::{Claimed, Connection};

pub(crate) const LIMIT: Duration = Duration::from_secs(120);

/// Without the filters that only Istio's own build of Envoy knows.
const ENVIRONMENT: [(&str, &str); 2] =
    [("PILOT_ENABLE_ALPN_FILTER", "false"), ("PILOT_ENABLE_METADATA_EXCHANGE", "false")];

pub(crate) struct World {
    pub(crate) control_plane: ControlPlane,
    key: SigningKey,
    port: u16,
    istiod: Option<Process>,
    envoy: Option<Process>,
    dir: TempDir,
}

/// The file that this environment variable names.
pub(crate) fn variable(name: &str) -> PathBuf {
    let path = std::env::var_os(name).filter(|path| !path.is_empty());
    let path = path.unwrap_or_else(|| panic!("{name} is not set: make test-istio sets it"));
    PathBuf::from(path).canonicalize().unwrap()
}

pub(crate) fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

impl World {
    pub(crate) async fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let certificates = Certificates::generate(dir.path()).unwrap();
        let key = SigningKey::generate(2048).unwrap();
        fs::write(dir.path().join("key.pem"), key.public_key_pem()).unwrap();
        let behind = control_plane::Options::new(&certificates);
        let control_plane = ControlPlane::start(behind).await.unwrap();
        let port = free_port().unwrap();
        Self { control_plane, key, port, istiod: None, envoy: None, dir }
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

    /// The objects that this format renders for the gateway, with the key of the tokens in the policy.
    pub(crate) fn render(&self, format: &str, flags: &[&str]) -> String {
        let mut zonegate = std::process::Command::new(env!("CARGO_BIN_EXE_zonegate"));
        zonegate.args(["config", "render", "--zone", "zone-1", "--format", format]);
        zonegate.arg("--public-key").arg(format!("1={}", path(&self.folder().join("key.pem"))));
        zonegate.args(["--selector", "istio=ingressgateway", "--namespace", "default"]);
        zonegate.args(["--port", &self.port.to_string()]).args(flags);
        let output = zonegate.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Applies these objects and the surrounding ones, at once.
    pub(crate) fn apply(&self, rendered: &[Value]) {
        let objects = self.around();
        let texts: Vec<String> =
            objects.iter().chain(rendered).map(|one| format!("---\n{one}\n")).collect();
        let (folder, new) = (self.folder().join("objects"), self.folder().join("new.yaml"));
        fs::create_dir_all(&folder).unwrap();
        fs::write(&new, texts.concat()).unwrap();
        fs::rename(new, folder.join("all.yaml")).unwrap();
    }

    /// A gateway, and a route to the control plane with TLS. The control plane's certificate is not verified: that
    /// needs an agent.
    fn around(&self) -> [Value; 4] {
        let of = |kind: &str, spec: Value| {
            json!({ "apiVersion": "networking.istio.io/v1", "kind": kind,
                "metadata": { "name": "edge", "namespace": "default" }, "spec": spec })
        };
        let host = "control-plane.example.org";
        let port = self.control_plane.address().port();
        [
            of(
                "Gateway",
                json!({
                    "selector": { "istio": "ingressgateway" },
                    "servers": [{
                        "port": { "number": self.port, "name": "kuma", "protocol": "HTTP2" },
                        "bind": "127.0.0.1", "hosts": ["*"],
                    }],
                }),
            ),
            of(
                "VirtualService",
                json!({
                    "hosts": ["*"], "gateways": ["edge"],
                    "http": [{ "route": [{ "destination": { "host": host, "port": { "number": port } } }] }],
                }),
            ),
            of(
                "ServiceEntry",
                json!({
                    "hosts": [host], "location": "MESH_EXTERNAL", "resolution": "STATIC",
                    "ports": [{ "number": port, "name": "grpc", "protocol": "GRPC" }],
                    "endpoints": [{ "address": "127.0.0.1" }],
                }),
            ),
            of(
                "DestinationRule",
                json!({
                    "host": host,
                    "trafficPolicy": { "tls": { "mode": "SIMPLE", "sni": "localhost", "insecureSkipVerify": true } },
                }),
            ),
        ]
    }

    /// Starts istiod and Envoy. Connects once Envoy lets a stream with this token through.
    pub(crate) async fn start(&mut self, token: &str) -> Connection {
        let begun = Instant::now();
        let address = SocketAddr::from(([127, 0, 0, 1], self.port));
        let mut istiod = self.start_istiod().await;
        let mut envoy = self.start_envoy(istiod.1);
        let connection = loop {
            if let Ok(connection) = Connection::open_plain(address).await
                && connection.sotw(Some(token), Claimed::INGRESS).await.is_ok()
            {
                break connection;
            }
            for process in [&mut istiod.0, &mut envoy] {
                let goes_on = process.ended().unwrap().is_none() && begun.elapsed() < LIMIT;
                assert!(goes_on, "{}: {}", process.log_path().display(), process.log_tail());
            }
            sleep(Duration::from_millis(200)).await;
        };
        println!("it serves after {:?}", begun.elapsed());
        (self.istiod, self.envoy) = (Some(istiod.0), Some(envoy));
        connection
    }

    async fn start_istiod(&self) -> (Process, u16) {
        let grpc = free_port().unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], grpc));
        let mut command = Command::new(variable("ISTIOD"));
        command.args(["--grpcAddr", &address.to_string()]);
        command.arg("--config").arg(self.folder().join("objects/all.yaml")).envs(ENVIRONMENT);
        let log = self.folder().join("istiod.log");
        let mut istiod = Process::start(command, Log::File, log).unwrap();
        let begun = Instant::now();
        while tokio::net::TcpStream::connect(address).await.is_err() {
            let goes_on = istiod.ended().unwrap().is_none() && begun.elapsed() < LIMIT;
            assert!(goes_on, "{}", istiod.log_tail());
            sleep(Duration::from_millis(100)).await;
        }
        (istiod, grpc)
    }

    /// Starts Envoy as an agent would, with less configuration.
    fn start_envoy(&self, istiod: u16) -> Process {
        let bootstrap = json!({
            "node": {
                "id": "router~10.0.0.1~edge.default~default.svc.cluster.local",
                "cluster": "edge.default",
                "metadata": {
                    "NAMESPACE": "default", "LABELS": { "istio": "ingressgateway" },
                    "CLUSTER_ID": "Kubernetes", "INSTANCE_IPS": "10.0.0.1",
                },
            },
            "dynamic_resources": {
                "ads_config": {
                    "api_type": "GRPC", "transport_api_version": "V3",
                    "grpc_services": [{ "envoy_grpc": { "cluster_name": "xds-grpc" } }],
                },
                "lds_config": { "ads": {}, "resource_api_version": "V3" },
                "cds_config": { "ads": {}, "resource_api_version": "V3" },
            },
            "static_resources": { "clusters": [{
                "name": "xds-grpc", "type": "STATIC", "connect_timeout": "1s",
                "typed_extension_protocol_options": {
                    "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                        "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                        "explicit_http_config": { "http2_protocol_options": {} },
                    },
                },
                "load_assignment": { "cluster_name": "xds-grpc", "endpoints": [{ "lb_endpoints": [{
                    "endpoint": { "address": { "socket_address": { "address": "127.0.0.1", "port_value": istiod } } },
                }] }] },
            }] },
        });
        let file = self.folder().join("envoy.yaml");
        fs::write(&file, bootstrap.to_string()).unwrap();
        let mut command = Command::new(variable("ENVOY_PATH"));
        command.args(["--disable-hot-restart", "--concurrency", "2", "--config-path"]).arg(&file);
        let log = self.folder().join("envoy.log");
        Process::start(command, Log::File, log).unwrap()
    }

    pub(crate) async fn end(self) {
        for mut process in [self.envoy, self.istiod].into_iter().flatten() {
            process.stop().await;
        }
    }
}
