//! An istiod, an Envoy that it configures, and a control plane behind it.

use std::fs;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::process::Command;
use tokio::time::sleep;
use zonegate_testkit::kuma::free_port;
use zonegate_testkit::process::{Log, Process};
use zonegate_testkit::zone_proxy::{Claimed, Connection};

use crate::other_gateways::{LIMIT, Zone, variable};

/// Without the filters that only Istio's own build of Envoy knows.
const ENVIRONMENT: [(&str, &str); 2] =
    [("PILOT_ENABLE_ALPN_FILTER", "false"), ("PILOT_ENABLE_METADATA_EXCHANGE", "false")];

pub(crate) struct World {
    pub(crate) zone: Zone,
    port: u16,
    istiod: Option<Process>,
    envoy: Option<Process>,
}

impl World {
    pub(crate) async fn new() -> Self {
        let zone = Zone::new().await;
        let port = free_port().unwrap();
        Self { zone, port, istiod: None, envoy: None }
    }

    /// The objects that this format renders for the gateway, with the key of the tokens in the policy.
    pub(crate) fn render(&self, format: &str, flags: &[&str]) -> String {
        let port = self.port.to_string();
        let gateway = ["--selector", "istio=ingressgateway", "--port", &port];
        self.zone.render(format, &[&gateway, flags].concat())
    }

    /// Applies these objects and the surrounding ones, at once.
    pub(crate) fn apply(&self, rendered: &[Value]) {
        self.zone
            .write_objects("objects", self.around().into_iter().chain(rendered.iter().cloned()));
    }

    /// A gateway, and a route to the control plane with TLS. The control plane's certificate is not verified: that
    /// needs an agent.
    fn around(&self) -> [Value; 4] {
        let of = |kind: &str, spec: Value| {
            json!({ "apiVersion": "networking.istio.io/v1", "kind": kind,
                "metadata": { "name": "edge", "namespace": "default" }, "spec": spec })
        };
        let host = "control-plane.example.org";
        let port = self.zone.control_plane.address().port();
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
        command.arg("--config").arg(self.zone.folder().join("objects/all.yaml")).envs(ENVIRONMENT);
        let log = self.zone.folder().join("istiod.log");
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
        let file = self.zone.folder().join("envoy.yaml");
        fs::write(&file, bootstrap.to_string()).unwrap();
        let mut command = Command::new(variable("ENVOY_PATH"));
        command.args(["--disable-hot-restart", "--concurrency", "2", "--config-path"]).arg(&file);
        let log = self.zone.folder().join("envoy.log");
        Process::start(command, Log::File, log).unwrap()
    }

    pub(crate) async fn end(self) {
        for mut process in [self.envoy, self.istiod].into_iter().flatten() {
            process.stop().await;
        }
    }
}
