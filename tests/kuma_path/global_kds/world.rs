//! A global control plane, the gateway in front of it, and zones.
//!
//! In: tokens and policies. Out: running programs, and the state of the zones.

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::sleep;
use zonegate_issuer::SigningKey;
use zonegate_testkit::certificates::Certificates;
use zonegate_testkit::gateway::{
    self, Delivery, Gateway, Log, Pushed, ServiceOptions, ZoneSide, ZoneSideOptions,
};
use zonegate_testkit::kuma::{ControlPlane, Options, Role, free_port};

use zonegate_tool::plugin_config::plugin_file::PluginConfiguration;

use crate::harness::{LIMIT, from_environment, home, now};

/// The kid of the key that a new global control plane makes.
pub(super) const KID: &str = "1";

/// A global control plane and the gateway in front of it.
pub(super) struct Global {
    pub(super) control_plane: ControlPlane,
    pub(super) gateway: Gateway,
    pub(super) key: SigningKey,
    pub(super) policy: Value,
    pub(super) options: gateway::Options,
    behind: Certificates,
    pub(super) front: Certificates,
    _dir: TempDir,
}

/// A zone's control plane, and the Envoy beside it.
pub(super) struct ZoneWorld {
    pub(super) control_plane: ControlPlane,
    pub(super) side: ZoneSide,
}

/// The claims of a token.
pub(super) struct Claims<'a> {
    pub(super) zone: &'a str,
    pub(super) id: &'a str,
    pub(super) seconds: i64,
}

impl Global {
    /// Starts the control plane and the gateway. The gateway's keys come from the control plane's secrets.
    pub(super) async fn start(fields: &[(&str, Value)]) -> Self {
        let dir = TempDir::new().unwrap();
        let authority = |name| {
            let dir = dir.path().join(name);
            std::fs::create_dir(&dir).unwrap();
            Certificates::generate(&dir).unwrap()
        };
        let (behind, front) = (authority("behind"), authority("front"));
        let mut options = Options::new("", &behind.control_plane);
        options.role = Role::Global;
        options.environment = settings(&[
            // The delay until a lost zone shows as offline.
            ("KUMA_MULTIZONE_GLOBAL_KDS_ZONE_INSIGHT_FLUSH_INTERVAL", "200ms"),
            // The interval of a zone's health checks. Each call is judged with its token again.
            ("KUMA_MULTIZONE_GLOBAL_KDS_ZONE_HEALTH_CHECK_POLL_INTERVAL", "1s"),
            ("KUMA_MULTIZONE_GLOBAL_KDS_ZONE_HEALTH_CHECK_TIMEOUT", "10s"),
        ]);
        let control_plane = start(&options).await;
        let secret = format!("zone-token-signing-key-{KID}");
        let secret = control_plane.api().secret(&secret).await.unwrap().unwrap();
        let key = SigningKey::from_secret(&secret).unwrap();
        let mut policy = json!({
            "profile": "globalKds",
            "publicKeys": [{ "kid": KID, "key": key.public_key_pem() }],
            "countZones": ["east", "west"],
        });
        for (name, value) in fields {
            policy[*name] = value.clone();
        }
        let options = gateway::Options {
            envoy: from_environment("ENVOY_PATH"),
            func_e: None,
            module: from_environment("ZONEGATE_WASM"),
            policy: policy.clone(),
            control_plane: control_plane.kds_address().to_string(),
            control_plane_ca: behind.ca_path.clone(),
            control_plane_name: "localhost".to_owned(),
            certificate: front.gateway.certificate_path.clone(),
            key: front.gateway.key_path.clone(),
            listen: SocketAddr::from(([127, 0, 0, 1], free_port().unwrap())),
            concurrency: 1,
            log: Log::File,
            service: ServiceOptions::default(),
            delivery: Delivery::Ecds,
            probes: false,
            edits: Vec::new(),
            environment: Vec::new(),
        };
        let gateway = Gateway::start(options.clone()).await;
        let gateway = gateway.unwrap_or_else(|error| panic!("{error:#}"));
        Self { control_plane, gateway, key, policy, options, behind, front, _dir: dir }
    }

    pub(super) fn token(&self, claims: Claims<'_>) -> String {
        self.token_by(&self.key, claims)
    }

    /// A token signed by this key.
    pub(super) fn token_by(
        &self,
        key: &SigningKey,
        Claims { zone, id, seconds }: Claims<'_>,
    ) -> String {
        let at = |seconds: i64| now().checked_add_signed(seconds).unwrap();
        let claims = json!({
            "Zone": zone, "Scope": ["cp"], "exp": at(seconds), "nbf": at(-60), "iat": at(-60), "jti": id,
        });
        let header = json!({ "alg": "RS256", "kid": KID, "typ": "JWT" });
        key.sign_raw(header.to_string(), claims.to_string())
    }

    /// Starts a zone whose Envoy has this token.
    pub(super) async fn zone(&self, name: &str, token: &str) -> ZoneWorld {
        let options = ZoneSideOptions {
            envoy: from_environment("ENVOY_PATH"),
            gateway: self.options.listen,
            gateway_ca: self.front.ca_path.clone(),
            gateway_name: "localhost".to_owned(),
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        };
        let side = ZoneSide::start(options, Some(token)).await;
        let side = side.unwrap_or_else(|error| panic!("{error:#}"));
        let address = format!("grpc://{}", side.address());
        ZoneWorld { control_plane: self.zone_control_plane(name, address, &[]).await, side }
    }

    /// Starts a zone as in Kuma's documentation: directly to the global address, with its CA.
    pub(super) async fn zone_without_side(&self, name: &str) -> ControlPlane {
        let address = format!("grpcs://localhost:{}", self.options.listen.port());
        let ca = self.front.ca_path.to_str().unwrap();
        self.zone_control_plane(name, address, &[("KUMA_MULTIZONE_ZONE_KDS_ROOT_CA_FILE", ca)])
            .await
    }

    async fn zone_control_plane(
        &self,
        name: &str,
        global: String,
        more: &[(&str, &str)],
    ) -> ControlPlane {
        let mut options = Options::new(name, &self.behind.control_plane);
        options.role = Role::Federated { global, ca: None };
        options.environment = settings(&[
            // Without these, the wait after each refusal grows to a minute.
            ("KUMA_GENERAL_RESILIENT_COMPONENT_BASE_BACKOFF", "200ms"),
            ("KUMA_GENERAL_RESILIENT_COMPONENT_MAX_BACKOFF", "1s"),
        ]);
        options.environment.extend(settings(more));
        start(&options).await
    }

    /// Stops the gateway, calls `meanwhile`, and starts the gateway again at the same address.
    pub(super) async fn restart_gateway(self, meanwhile: impl AsyncFnOnce(&ControlPlane)) -> Self {
        let Self { gateway, options, .. } = self;
        gateway.stop().await;
        meanwhile(&self.control_plane).await;
        let options = gateway::Options { policy: self.policy.clone(), ..options };
        let gateway = Gateway::start(options.clone()).await;
        let gateway = gateway.unwrap_or_else(|error| panic!("{error:#}"));
        Self { gateway, options, ..self }
    }

    pub(super) async fn push(&mut self, fields: &[(&str, Value)]) {
        for (name, value) in fields {
            self.policy[*name] = value.clone();
        }
        assert_eq!(self.gateway.push(&self.policy).await.unwrap(), Pushed::Accepted);
    }

    /// Pushes the policy in a file that Envoy would watch.
    pub(super) async fn push_file(&mut self, file: &Path) {
        let found = PluginConfiguration::find(&std::fs::read(file).unwrap()).unwrap();
        self.policy = serde_json::from_slice(&found.json).unwrap();
        assert_eq!(self.gateway.push(&self.policy).await.unwrap(), Pushed::Accepted);
    }

    pub(super) async fn stat(&self, name: &str) -> u64 {
        self.gateway.stat(&format!("zonegate.{name}")).await.unwrap().unwrap_or_default()
    }

    pub(super) async fn wait_stat(&self, name: &str, wanted: u64) {
        self.gateway.wait_stat(&format!("zonegate.{name}"), wanted, LIMIT).await.unwrap();
    }

    /// Waits until a counter has this value or more.
    pub(super) async fn wait_at_least(&self, name: &str, wanted: u64) {
        let start = Instant::now();
        while self.stat(name).await < wanted {
            assert!(start.elapsed() < LIMIT, "{name} is {}, not {wanted}", self.stat(name).await);
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Whether the global control plane shows the zone as online (Kuma: `ZoneInsight.IsOnline`).
    pub(super) async fn is_online(&self, zone: &str) -> bool {
        let path = format!("/zones/{zone}/_overview");
        let Some(text) = self.control_plane.api().get(&path).await.unwrap() else { return false };
        let overview: Value = serde_json::from_str(&text).unwrap();
        let all = overview.pointer("/zoneInsight/subscriptions").and_then(Value::as_array);
        all.into_iter()
            .flatten()
            .any(|one| one.get("connectTime").is_some() && one.get("disconnectTime").is_none())
    }

    pub(super) async fn wait_online(&self, zone: &str, online: bool) {
        let start = Instant::now();
        while self.is_online(zone).await != online {
            let log = self.gateway.log_tail();
            assert!(start.elapsed() < LIMIT, "{zone} online is not {online}; the gateway:\n{log}");
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// A change on the global control plane reaches the zone, and the other way round.
    pub(super) async fn assert_synced(&self, name: &str, zone: &ControlPlane) {
        let mesh = json!({ "type": "Mesh", "name": format!("mesh-{name}") });
        self.control_plane.api().put(&format!("/meshes/mesh-{name}"), &mesh).await.unwrap();
        wait_there(zone, &format!("/meshes/mesh-{name}"), name).await;
        wait_there(zone, "/meshes/default", "default").await;
        let dataplane = dataplane(name);
        zone.api().put(&format!("/meshes/default/dataplanes/{name}"), &dataplane).await.unwrap();
        wait_there(&self.control_plane, "/meshes/default/dataplanes", name).await;
    }
}

impl ZoneWorld {
    /// Waits for this sentence in the log of the zone's control plane.
    pub(super) async fn wait_log(&self, text: &str) {
        self.control_plane.process().wait_log(text, LIMIT).await.unwrap();
    }
}

async fn start(options: &Options) -> ControlPlane {
    let control_plane = ControlPlane::start(&home(), options).await;
    control_plane.unwrap_or_else(|error| panic!("{error:#}"))
}

fn settings(settings: &[(&str, &str)]) -> Vec<(String, String)> {
    settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

pub(super) fn dataplane(name: &str) -> Value {
    json!({
        "type": "Dataplane",
        "mesh": "default",
        "name": name,
        "networking": {
            "address": "127.0.0.1",
            "inbound": [{ "port": 10_001, "tags": { "kuma.io/service": name } }],
        },
    })
}

/// Waits until a control plane's answer to `path` contains `text`.
pub(super) async fn wait_there(control_plane: &ControlPlane, path: &str, text: &str) {
    let start = Instant::now();
    loop {
        let seen = control_plane.api().get(path).await.unwrap().unwrap_or_default();
        if seen.contains(text) {
            return;
        }
        assert!(start.elapsed() < LIMIT, "{path} has no {text}:\n{seen}");
        sleep(Duration::from_millis(20)).await;
    }
}
