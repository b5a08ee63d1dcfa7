//! One gateway, one control plane, and tokens.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use tempfile::TempDir;
use zonegate_issuer::SigningKey;
use zonegate_testkit::certificates::Certificates;
use zonegate_testkit::control_plane::{self, ControlPlane};
use zonegate_testkit::gateway::{Delivery, Gateway, Log, Options, ServiceOptions};
use zonegate_testkit::raw_client::RawConnection;
use zonegate_testkit::zone_proxy::{Claimed, Connection};

/// The zone of every gateway here.
pub(crate) const ZONE: &str = "zone-1";
/// Longer than any step takes on a slow machine.
pub(crate) const LIMIT: Duration = Duration::from_secs(20);

/// A gateway in front of a control plane.
pub(crate) struct Setup {
    pub(crate) gateway: Gateway,
    pub(crate) control_plane: ControlPlane,
    pub(crate) key: SigningKey,
    pub(crate) ca: String,
    dir: TempDir,
}

/// The options of a test, and its files.
pub(crate) struct Bench {
    pub(crate) key: SigningKey,
    pub(crate) certificates: Certificates,
    pub(crate) options: Options,
    pub(crate) record_bodies: bool,
    dir: TempDir,
}

impl Bench {
    pub(crate) fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let certificates = Certificates::generate(dir.path()).unwrap();
        let key = SigningKey::generate(2048).unwrap();
        let options = Options {
            envoy: from_environment("ENVOY_PATH"),
            func_e: None,
            module: crate::form::module(),
            policy: policy(&key),
            control_plane: String::new(),
            control_plane_ca: certificates.ca_path.clone(),
            control_plane_name: "localhost".to_owned(),
            certificate: certificates.gateway.certificate_path.clone(),
            key: certificates.gateway.key_path.clone(),
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            concurrency: 2,
            log: Log::File,
            service: ServiceOptions::default(),
            delivery: Delivery::Ecds,
            probes: false,
            edits: Vec::new(),
            environment: Vec::new(),
        };
        Self { key, certificates, options, record_bodies: true, dir }
    }

    /// A folder for this test.
    pub(crate) fn scratch(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn set(mut self, field: &str, value: Value) -> Self {
        self.options.policy[field] = value;
        self
    }

    /// Policies that are equal are pushed as equal bytes; one worker.
    pub(crate) fn text() -> Self {
        let mut bench = Self::new();
        bench.options.delivery = Delivery::EcdsText;
        bench.options.concurrency = 1;
        bench
    }

    pub(crate) fn workers(mut self, workers: u32) -> Self {
        self.options.concurrency = workers;
        self
    }

    pub(crate) async fn start(self) -> Setup {
        self.start_by(async |options| Gateway::start(options).await).await
    }

    /// As [`Self::start`], and another gateway can take over.
    pub(crate) async fn start_first(self) -> Setup {
        self.start_by(async |options| Gateway::start_first(options).await).await
    }

    async fn start_by(self, start: impl AsyncFnOnce(Options) -> anyhow::Result<Gateway>) -> Setup {
        let Self { key, certificates, mut options, record_bodies, dir } = self;
        let mut behind = control_plane::Options::new(&certificates);
        behind.record_bodies = record_bodies;
        let control_plane = ControlPlane::start(behind).await.unwrap();
        options.control_plane = control_plane.address().to_string();
        let gateway = start(options).await.unwrap_or_else(|error| panic!("{error:#}"));
        Setup { gateway, control_plane, key, ca: certificates.ca, dir }
    }
}

/// The default policy, with this key as kid 1.
pub(crate) fn policy(key: &SigningKey) -> Value {
    json!({ "zone": ZONE, "publicKeys": [{ "kid": "1", "key": key.public_key_pem() }] })
}

pub(crate) fn from_environment(name: &str) -> PathBuf {
    let path = std::env::var_os(name);
    let path = PathBuf::from(path.unwrap_or_else(|| panic!("{name} is not set: run make test")));
    path.canonicalize().unwrap_or_else(|error| panic!("{name}={}: {error}", path.display()))
}

impl Setup {
    /// The path of the CA of the gateway's certificate.
    pub(crate) fn ca_path(&self) -> PathBuf {
        self.dir.path().join("ca.pem")
    }

    pub(crate) async fn connect(&self) -> Connection {
        Connection::open(self.gateway.address(), &self.ca).await.unwrap()
    }

    pub(crate) async fn raw(&self) -> RawConnection {
        RawConnection::open(self.gateway.address(), &self.ca).await.unwrap()
    }

    /// A token that is good for both kinds of zone proxy.
    pub(crate) fn token(&self) -> String {
        self.sign(claims())
    }

    /// A token with these claims, well signed under kid 1.
    pub(crate) fn sign(&self, claims: Value) -> String {
        self.key.sign_raw(r#"{"alg":"RS256","kid":"1","typ":"JWT"}"#, claims.to_string())
    }

    pub(crate) async fn denied(&self, reason: &str) -> u64 {
        let stat = format!("zonegate.denied.{reason}");
        self.gateway.stat(&stat).await.unwrap().unwrap_or_default()
    }
}

/// The claims of a good token.
pub(crate) fn claims() -> Value {
    json!({
        "Zone": ZONE,
        "Scope": ["ingress", "egress"],
        "exp": now() + 3600,
        "nbf": now() - 5,
        "iat": now() - 5,
        "jti": "id-1",
    })
}

pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs()
}

/// `claims()` with one claim replaced, or removed if `value` is null.
pub(crate) fn claims_with(name: &str, value: Value) -> Value {
    let mut claims = claims();
    match value {
        Value::Null => drop(claims.as_object_mut().unwrap().remove(name)),
        value => claims[name] = value,
    }
    claims
}

/// The headers of a gRPC request.
pub(crate) fn grpc_headers(token: &str) -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("content-type", b"application/grpc".to_vec()),
        ("te", b"trailers".to_vec()),
        ("authorization", token.as_bytes().to_vec()),
    ]
}

impl Setup {
    /// A counter or gauge of the filter.
    pub(crate) async fn stat(&self, name: &str) -> u64 {
        let stat = self.gateway.stat(&format!("zonegate.{name}")).await.unwrap();
        stat.unwrap_or_default()
    }

    /// Asserts that no request has reached the control plane. A good request arrives, so the recorder works.
    pub(crate) async fn assert_nothing_arrived(&self) {
        let recorder = self.control_plane.recorder();
        assert_eq!(recorder.count(), 0, "{:?}", recorder.requests());
        let token = self.token();
        let mut stream = self.connect().await.sotw(Some(&token), Claimed::INGRESS).await.unwrap();
        stream.next().await.unwrap();
        assert_eq!(recorder.count(), 1);
        recorder.clear();
    }
}
