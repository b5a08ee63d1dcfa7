//! One kuma-cp, one gateway in front of it, and proxies that connect through it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::{sleep, timeout};
use zonegate_issuer::SigningKey;
use zonegate_testkit::certificates::Certificates;
use zonegate_testkit::gateway::{self, Delivery, Gateway, Log, Pushed};
use zonegate_testkit::kuma::{
    ControlPlane, HOW_TO, Home, Kind, Options, Proxy, ProxyOptions, ResourceSource, StaticKey,
    free_port,
};
use zonegate_testkit::zone_proxy::{Claimed, Connection};

/// The zone of every control plane here.
pub(crate) const ZONE: &str = "zone-1";
/// The mesh that every control plane has from the start.
pub(crate) const MESH: &str = "default";
/// The kid of the key that both sides know.
pub(crate) const KID: &str = "key-1";
/// Longer than anything here takes on a slow machine.
pub(crate) const LIMIT: Duration = Duration::from_secs(30);

/// A zone ingress of our own client. It sends its resource, as kuma-dp does.
pub(crate) const INGRESS_HERE: Claimed<'static> = Claimed {
    proxy_type: Some("ingress"),
    resource: Some(
        r#"{"type":"ZoneIngress","name":"zone-proxy-1","networking":{"address":"127.0.0.1","port":10001}}"#,
    ),
};

/// A gateway in front of a control plane.
pub(crate) struct Setup {
    pub(crate) home: Home,
    pub(crate) control_plane: ControlPlane,
    pub(crate) gateway: Gateway,
    pub(crate) key: SigningKey,
    pub(crate) policy: Value,
    gateway_ca: PathBuf,
    behind: Certificates,
    envoy: PathBuf,
    dir: TempDir,
}

/// What has reached a control plane, by its own counters.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Seen {
    pub(crate) streams: f64,
    pub(crate) bootstraps: f64,
}

/// A setup that is not started yet, to change its defaults.
pub(crate) struct Bench {
    pub(crate) policy: Value,
    pub(crate) options: Options,
    /// Whether kuma-cp gets the address of the gateway.
    pub(crate) names_the_gateway: bool,
    pub(crate) behind: Certificates,
    pub(crate) front: Certificates,
    key: SigningKey,
    dir: TempDir,
}

impl Bench {
    pub(crate) fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let authority = |name| {
            let dir = dir.path().join(name);
            std::fs::create_dir(&dir).unwrap();
            Certificates::generate(&dir).unwrap()
        };
        // Two authorities: kuma-dp must trust the gateway's CA, not kuma-cp's.
        let (behind, front) = (authority("behind"), authority("front"));
        let key = SigningKey::generate(2048).unwrap();
        let public = key.public_key_pem().to_owned();
        let mut options = Options::new(ZONE, &behind.control_plane);
        options.public_keys = vec![StaticKey { kid: KID.to_owned(), key: public.clone() }];
        // Without this, a node that has just disconnected counts as connected.
        let delay = ("KUMA_XDS_DATAPLANE_DEREGISTRATION_DELAY", "0s");
        options.environment.push((delay.0.to_owned(), delay.1.to_owned()));
        let policy = json!({ "zone": ZONE, "publicKeys": [{ "kid": KID, "key": public }] });
        Self { policy, options, names_the_gateway: true, behind, front, key, dir }
    }

    pub(crate) fn set(mut self, field: &str, value: Value) -> Self {
        self.policy[field] = value;
        self
    }

    pub(crate) async fn start(self) -> Setup {
        let Self { policy, mut options, names_the_gateway, behind, front, key, dir } = self;
        let home = home();
        let port = free_port().unwrap();
        // Not localhost: kuma-dp's Envoy would connect to ::1.
        options.xds = names_the_gateway.then(|| ("127.0.0.1".to_owned(), port));
        let control_plane =
            ControlPlane::start(&home, &options).await.unwrap_or_else(|error| panic!("{error:#}"));
        let envoy = from_environment("ENVOY_PATH");
        let gateway = Gateway::start(gateway::Options {
            envoy: envoy.clone(),
            func_e: None,
            module: from_environment("ZONEGATE_WASM"),
            policy: policy.clone(),
            control_plane: control_plane.address().to_string(),
            control_plane_ca: behind.ca_path.clone(),
            control_plane_name: "localhost".to_owned(),
            certificate: front.gateway.certificate_path,
            key: front.gateway.key_path,
            listen: SocketAddr::from(([127, 0, 0, 1], port)),
            concurrency: 1,
            log: Log::File,
            delivery: Delivery::Ecds,
            probes: false,
            service: gateway::ServiceOptions::default(),
            edits: Vec::new(),
            environment: Vec::new(),
        });
        let gateway = gateway.await.unwrap_or_else(|error| panic!("{error:#}"));
        let gateway_ca = front.ca_path;
        Setup { home, control_plane, gateway, key, policy, gateway_ca, behind, envoy, dir }
    }
}

/// Kuma's programs.
pub(crate) fn home() -> Home {
    match Home::from_environment() {
        Ok(Some(home)) => home,
        Ok(None) => panic!("KUMA_HOME is not set: run make test-kuma\n{HOW_TO}"),
        Err(error) => panic!("{error:#}"),
    }
}

pub(crate) fn from_environment(name: &str) -> PathBuf {
    let path = std::env::var_os(name);
    let path =
        PathBuf::from(path.unwrap_or_else(|| panic!("{name} is not set: run make test-kuma")));
    path.canonicalize().unwrap_or_else(|error| panic!("{name}={}: {error}", path.display()))
}

/// The result of the future, which must come in time.
pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    timeout(LIMIT, future).await.unwrap_or_else(|_| panic!("nothing within {LIMIT:?}"))
}

pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs()
}

impl Setup {
    /// Pushes the policy with these fields changed, and waits until it is in force.
    pub(crate) async fn push(&self, fields: &[(&str, Value)]) {
        let mut policy = self.policy.clone();
        for (name, value) in fields {
            policy[*name] = value.clone();
        }
        assert_eq!(self.gateway.push(&policy).await.unwrap(), Pushed::Accepted);
    }

    /// The control plane's own counters: streams begun, bootstraps answered.
    pub(crate) async fn seen(&self) -> Seen {
        let metrics = self.control_plane.metrics().await.unwrap();
        Seen { streams: metrics.streams_begun(), bootstraps: metrics.bootstraps() }
    }

    /// A counter or gauge of the filter.
    pub(crate) async fn stat(&self, name: &str) -> u64 {
        let stat = self.gateway.stat(&format!("zonegate.{name}")).await.unwrap();
        stat.unwrap_or_default()
    }

    /// Waits until a counter or gauge of the filter has this value.
    pub(crate) async fn wait_stat(&self, name: &str, wanted: u64) {
        let start = Instant::now();
        while self.stat(name).await != wanted {
            assert!(start.elapsed() < LIMIT, "{name} is {}, not {wanted}", self.stat(name).await);
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// The claims of a token that is good for both kinds of zone proxy.
    pub(crate) fn claims(&self) -> Value {
        json!({
            "Zone": ZONE,
            "Scope": ["ingress", "egress"],
            "exp": now() + 3600,
            "nbf": now() - 5,
            "iat": now() - 5,
            "jti": "id-1",
        })
    }

    /// A token with these claims, signed with the key that both sides know.
    pub(crate) fn sign(&self, claims: &Value) -> String {
        let header = json!({ "alg": "RS256", "kid": KID, "typ": "JWT" });
        self.key.sign_raw(header.to_string(), claims.to_string())
    }

    /// A client of ours that connects through the gateway.
    pub(crate) async fn connect(&self) -> Connection {
        let ca = std::fs::read_to_string(&self.gateway_ca).unwrap();
        Connection::open(self.gateway.address(), &ca).await.unwrap()
    }

    /// A client of ours that connects directly to the control plane.
    pub(crate) async fn connect_without_gateway(&self) -> Connection {
        Connection::open(self.control_plane.address(), &self.behind.ca).await.unwrap()
    }

    /// The CA of the control plane's certificate.
    pub(crate) fn control_plane_ca(&self) -> &Path {
        &self.behind.ca_path
    }

    /// The output of kumactl, as the administrator of this control plane.
    pub(crate) async fn kumactl(&self, arguments: &[&str]) -> String {
        let config = self.dir.path().join("kumactl.yaml");
        if !config.exists() {
            let address = format!("http://{}", self.control_plane.api().address());
            let context = json!({
                "controlPlanes": [{
                    "name": "here",
                    "coordinates": { "apiServer": { "url": address } },
                }],
                "contexts": [{ "name": "here", "controlPlane": "here" }],
                "currentContext": "here",
            });
            std::fs::write(&config, context.to_string()).unwrap();
        }
        let config = ["--config-file", config.to_str().unwrap()];
        let all = config.iter().chain(arguments);
        self.home.kumactl(self.dir.path(), all).await.unwrap_or_else(|error| panic!("{error:#}"))
    }

    /// A folder of this test, in which kumactl runs.
    pub(crate) fn scratch(&self) -> &Path {
        self.dir.path()
    }

    /// A kuma-dp that goes through the gateway.
    pub(crate) fn proxy(&self, kind: Kind, name: &str, token: Option<&str>) -> Proxy {
        Proxy::start(&self.home, &self.proxy_options(kind, name, token)).unwrap()
    }

    pub(crate) fn proxy_options(
        &self,
        kind: Kind,
        name: &str,
        token: Option<&str>,
    ) -> ProxyOptions {
        ProxyOptions {
            kind,
            name: name.to_owned(),
            mesh: MESH.to_owned(),
            resource: ResourceSource::Proxy,
            token: token.map(str::to_owned),
            control_plane: format!("https://{}", self.gateway.address()),
            ca: self.gateway_ca.clone(),
            envoy: self.envoy.clone(),
            environment: Vec::new(),
        }
    }

    /// Waits until the control plane lists the proxy as online, or as gone.
    pub(crate) async fn wait_online(&self, proxy: &Proxy, kind: Kind, name: &str, online: bool) {
        self.wait_online_in(MESH, proxy, kind, name, online).await;
    }

    /// The same for a proxy of this mesh.
    pub(crate) async fn wait_online_in(
        &self,
        mesh: &str,
        proxy: &Proxy,
        kind: Kind,
        name: &str,
        online: bool,
    ) {
        let start = Instant::now();
        while self.control_plane.api().is_online(kind, mesh, name).await.unwrap() != online {
            let log = proxy.process.log_tail();
            assert!(start.elapsed() < LIMIT, "{name} online is not {online}; its log ends:\n{log}");
            sleep(Duration::from_millis(50)).await;
        }
    }
}
