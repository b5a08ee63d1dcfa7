//! A service, alone or with an Envoy, and tokens for it.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::sleep;
use zonegate_issuer::SigningKey;
use zonegate_testkit::certificates::Certificates;
use zonegate_testkit::control_plane::{self, ControlPlane};
use zonegate_testkit::gateway::{
    Delivery, Gateway, Log, Options, Service, ServiceOptions, ServiceProtocol,
};
use zonegate_testkit::zone_proxy::{Claimed, Connection};

/// Longer than anything here takes on a slow machine.
pub(crate) const LIMIT: Duration = Duration::from_secs(20);

/// Paths, options and keys of a test.
pub(crate) struct World {
    pub(crate) key: SigningKey,
    pub(crate) certificates: Certificates,
    pub(crate) options: Options,
    pub(crate) dir: TempDir,
}

/// An Envoy that asks a service, in front of a control plane.
pub(crate) struct Setup {
    pub(crate) gateway: Gateway,
    pub(crate) control_plane: ControlPlane,
    pub(crate) world: World,
}

impl World {
    pub(crate) fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let certificates = Certificates::generate(dir.path()).unwrap();
        let key = SigningKey::generate(2048).unwrap();
        let options = Options {
            envoy: std::env::var_os("ENVOY_PATH").unwrap_or_default().into(),
            func_e: None,
            module: env!("CARGO_BIN_EXE_zonegate").into(),
            policy: policy(&key, json!({})),
            control_plane: String::new(),
            control_plane_ca: certificates.ca_path.clone(),
            control_plane_name: "localhost".to_owned(),
            certificate: certificates.gateway.certificate_path.clone(),
            key: certificates.gateway.key_path.clone(),
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            concurrency: 1,
            log: Log::File,
            probes: false,
            service: ServiceOptions::default(),
            delivery: Delivery::Ecds,
            edits: Vec::new(),
            environment: Vec::new(),
        };
        Self { key, certificates, options, dir }
    }

    pub(crate) fn set(mut self, fields: Value) -> Self {
        self.options.policy = policy(&self.key, fields);
        self
    }

    pub(crate) fn folder(&self) -> &Path {
        self.dir.path()
    }

    /// The policy file of a service that runs alone.
    pub(crate) fn file(&self) -> PathBuf {
        self.folder().join("policy.yaml")
    }

    /// Replaces the policy file by a rename.
    pub(crate) fn write(&self, policy: &Value) {
        let new = self.folder().join(".new");
        fs::write(&new, policy.to_string()).unwrap();
        fs::rename(new, self.file()).unwrap();
    }

    /// The service alone, with the policy of the options in force.
    pub(crate) async fn serve(&self) -> Service {
        self.write(&self.options.policy);
        let service = self.serve_whatever(&self.file()).await;
        wait_stat(&service, "zonegate.config.accepted", 1).await;
        service
    }

    /// The service alone, with any file as its policy.
    pub(crate) async fn serve_whatever(&self, file: &Path) -> Service {
        let mut options = self.options.clone();
        options.service.address = Some(SocketAddr::from(([127, 0, 0, 1], 0)));
        Service::start(&options, file, self.folder()).await.unwrap()
    }

    /// An Envoy that asks it by this protocol.
    pub(crate) async fn gateway(mut self, protocol: ServiceProtocol) -> Setup {
        let behind = control_plane::Options::new(&self.certificates);
        let control_plane = ControlPlane::start(behind).await.unwrap();
        self.options.control_plane = control_plane.address().to_string();
        self.options.service.protocol = protocol;
        let gateway = Gateway::start(self.options.clone()).await;
        let gateway = gateway.unwrap_or_else(|error| panic!("{error:#}"));
        Setup { gateway, control_plane, world: self }
    }

    /// A token with these claims besides the usual ones.
    pub(crate) fn token(&self, fields: Value) -> String {
        let mut claims = json!({
            "Zone": "zone-1", "Scope": ["ingress", "egress"], "exp": now() + 3600, "jti": "id-1",
        });
        claims.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        self.key.sign_raw(r#"{"alg":"RS256","kid":"1","typ":"JWT"}"#, claims.to_string())
    }
}

impl Setup {
    pub(crate) async fn connect(&self) -> Connection {
        let ca = &self.world.certificates.ca;
        Connection::open(self.gateway.address(), ca).await.unwrap()
    }

    /// Opens a stream with this token, and reads its first answer.
    pub(crate) async fn open(&self, token: &str) -> Result<Sotw, tonic::Status> {
        let mut stream = self.connect().await.sotw(Some(token), Claimed::INGRESS).await?;
        stream.next().await?;
        Ok(stream)
    }

    pub(crate) async fn push(&self, fields: Value) {
        let policy = policy(&self.world.key, fields);
        let pushed = self.gateway.push(&policy).await.unwrap();
        assert_eq!(pushed, zonegate_testkit::gateway::Pushed::Accepted);
    }
}

/// An open state-of-the-world stream.
pub(crate) type Sotw = zonegate_testkit::zone_proxy::Stream<
    envoy_types::pb::envoy::service::discovery::v3::DiscoveryRequest,
    envoy_types::pb::envoy::service::discovery::v3::DiscoveryResponse,
>;

/// The policy of zone-1 with this key as kid 1, and these fields.
pub(crate) fn policy(key: &SigningKey, fields: Value) -> Value {
    let keys = json!([{ "kid": "1", "key": key.public_key_pem() }]);
    let mut policy = json!({ "zone": "zone-1", "publicKeys": keys });
    policy.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    policy
}

pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs()
}

/// Waits until a counter or gauge has this value.
pub(crate) async fn wait_stat(service: &Service, name: &str, wanted: u64) {
    let start = Instant::now();
    loop {
        let seen = service.stat(name).await.unwrap();
        if seen == Some(wanted) {
            return;
        }
        assert!(start.elapsed() < LIMIT, "{name} is {seen:?}, not {wanted}");
        sleep(Duration::from_millis(20)).await;
    }
}
