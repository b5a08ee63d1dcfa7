//! kuma-cp, the control plane of a zone or the global one: universal, store in memory, TLS.
//!
//! In: [`Options`]. Out: a running [`ControlPlane`], ready, or an error with the end of its log.
//! Usage reports are off.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::sleep;

use super::{Api, Home, Metrics, free_port};
use crate::certificates::Identity;
use crate::process::{Log, Process};

/// How long kuma-cp may take to be ready.
const START: Duration = Duration::from_secs(60);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(50);

/// How to run a control plane.
#[derive(Debug, Clone)]
pub struct Options {
    /// The zone that it serves; means nothing for a global one.
    pub zone: String,
    /// Whether it is alone.
    pub role: Role,
    /// What it presents on all its ports with TLS.
    pub certificate: PathBuf,
    /// The certificate's private key.
    pub key: PathBuf,
    /// Where proxies reach it, if not at its own port: `XDS_HOST` and `XDS_PORT`.
    pub xds: Option<(String, u16)>,
    /// How zone proxies are authenticated.
    pub zone_proxies: ZoneProxyAuthentication,
    /// Static public keys of zone tokens.
    pub public_keys: Vec<StaticKey>,
    /// The port of the dataplane server; 0 takes a free one.
    pub port: u16,
    /// More settings, as environment variables.
    pub environment: Vec<(String, String)>,
}

/// Whether a control plane is alone, and what it is if not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Role {
    /// Of a zone, without a global one.
    Standalone,
    /// The global one.
    Global,
    /// Of a zone, which connects to the global one at this URL.
    Zone(String),
}

/// `dpServer.authn.zoneProxy.type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ZoneProxyAuthentication {
    /// By zone token; keys in secrets count as well as static ones.
    ZoneToken,
    /// By zone token; only the static keys count, and no token is issued.
    StaticKeys,
    /// Not at all.
    None,
}

/// A public key in the control plane's configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StaticKey {
    /// Its name in tokens.
    pub kid: String,
    /// PEM.
    pub key: String,
}

impl Options {
    /// For `zone`, with this certificate, all else as Kuma's defaults.
    #[must_use]
    pub fn new(zone: &str, identity: &Identity) -> Self {
        Self {
            zone: zone.to_owned(),
            role: Role::Standalone,
            certificate: identity.certificate_path.clone(),
            key: identity.key_path.clone(),
            xds: None,
            zone_proxies: ZoneProxyAuthentication::ZoneToken,
            public_keys: Vec::new(),
            port: 0,
            environment: Vec::new(),
        }
    }
}

/// A running control plane. Dropped, it is killed.
#[derive(Debug)]
pub struct ControlPlane {
    process: Process,
    ports: Ports,
    api: Api,
    diagnostics: Api,
    _dir: TempDir,
}

/// What it listens on.
#[derive(Debug, Clone, Copy)]
struct Ports {
    dp_server: u16,
    kds: u16,
    api: u16,
    api_tls: u16,
    diagnostics: u16,
    inter_cp: u16,
    monitoring: u16,
}

impl ControlPlane {
    /// Starts kuma-cp and waits until it is ready, with its default secrets in its store.
    ///
    /// # Errors
    /// It cannot be started, ends, or is not ready in time; with the end of its log.
    pub async fn start(home: &Home, options: &Options) -> anyhow::Result<Self> {
        let dir = tempfile::Builder::new().prefix("zonegate-kuma-cp-").tempdir()?;
        let ports = Ports::free(options.port)?;
        let mut command = home.command("kuma-cp", dir.path());
        let file = write_configuration(dir.path(), options, ports)?;
        command.arg("run").arg("--config-file").arg(file);
        command.envs(options.environment.iter().map(|(name, value)| (name, value)));
        let process = Process::start(command, Log::File, dir.path().join("kuma-cp.log"))?;
        let (api, diagnostics) = (Api::new(local(ports.api)), Api::new(local(ports.diagnostics)));
        let mut started = Self { process, ports, api, diagnostics, _dir: dir };
        match started.ready(options).await {
            Ok(()) => Ok(started),
            Err(error) => {
                let tail = started.process.log_tail();
                Err(anyhow!("{error:#}; kuma-cp's log ends:\n{tail}"))
            }
        }
    }

    async fn ready(&mut self, options: &Options) -> anyhow::Result<()> {
        let begun = Instant::now();
        // What kuma-cp creates after it says that it is ready, in no certain order.
        let secrets: &[&str] = match (&options.role, options.zone_proxies) {
            // It has those of the global one.
            (Role::Zone(_), _) => &[],
            (_, ZoneProxyAuthentication::StaticKeys) => &["admin-user-token"],
            _ => &["admin-user-token", "zone-token-signing-key-1"],
        };
        while begun.elapsed() < START {
            if let Some(status) = self.process.ended()? {
                bail!("kuma-cp did not start ({status})");
            }
            let is_ready = matches!(self.diagnostics.get("/ready").await, Ok(Some(_)));
            if is_ready && self.has_secrets(secrets).await {
                return Ok(());
            }
            sleep(LOOK).await;
        }
        bail!("kuma-cp was not ready within {} s", START.as_secs())
    }

    async fn has_secrets(&self, names: &[&str]) -> bool {
        for name in names {
            if !matches!(self.api.secret(name).await, Ok(Some(_))) {
                return false;
            }
        }
        true
    }

    /// Where its dataplane server listens: discovery and bootstrap, TLS.
    pub fn address(&self) -> SocketAddr {
        local(self.ports.dp_server)
    }

    /// Where the control planes of zones connect to a global one: KDS, TLS.
    pub fn kds_address(&self) -> SocketAddr {
        local(self.ports.kds)
    }

    /// Its API, plain HTTP on loopback.
    pub fn api(&self) -> &Api {
        &self.api
    }

    /// Where its API listens with TLS.
    pub fn api_tls_address(&self) -> SocketAddr {
        local(self.ports.api_tls)
    }

    /// Its administrator's token, for where loopback alone does not count as such.
    ///
    /// # Errors
    /// The control plane does not tell.
    pub async fn admin_token(&self) -> anyhow::Result<String> {
        let token = self.api.secret("admin-user-token").await?.context("no admin-user-token")?;
        Ok(String::from_utf8(token)?)
    }

    /// Its own counters.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn metrics(&self) -> anyhow::Result<Metrics> {
        let text = self.diagnostics.get("/metrics").await?;
        Ok(Metrics::new(text.context("kuma-cp has no metrics")?))
    }

    /// The process, with its log.
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// Ends kuma-cp, and waits until it has ended.
    pub async fn stop(mut self) {
        self.process.stop().await;
    }
}

impl Ports {
    fn free(dp_server: u16) -> anyhow::Result<Self> {
        let dp_server = match dp_server {
            0 => free_port()?,
            port => port,
        };
        Ok(Self {
            dp_server,
            kds: free_port()?,
            api: free_port()?,
            api_tls: free_port()?,
            diagnostics: free_port()?,
            inter_cp: free_port()?,
            monitoring: free_port()?,
        })
    }
}

fn local(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

/// Kuma: `pkg/config/app/kuma-cp/kuma-cp.defaults.yaml`. JSON is YAML.
fn write_configuration(dir: &Path, options: &Options, ports: Ports) -> anyhow::Result<PathBuf> {
    let keys = options.public_keys.iter();
    let keys: Vec<Value> =
        keys.map(|StaticKey { kid, key }| json!({ "kid": kid, "key": key })).collect();
    let (kind, secrets) = match options.zone_proxies {
        ZoneProxyAuthentication::ZoneToken => ("zoneToken", true),
        ZoneProxyAuthentication::StaticKeys => ("zoneToken", false),
        ZoneProxyAuthentication::None => ("none", true),
    };
    let validator = json!({ "useSecrets": secrets, "publicKeys": keys });
    let zone_token = json!({ "enableIssuer": secrets, "validator": validator });
    let (xds_host, xds_port) = options.xds.clone().unwrap_or_default();
    let loopback = |port| json!({ "enabled": true, "interface": "127.0.0.1", "port": port });
    let (mode, multizone) = match &options.role {
        Role::Standalone => ("zone", json!({ "zone": { "name": options.zone } })),
        Role::Global => ("global", json!({ "global": { "kds": { "grpcPort": ports.kds } } })),
        Role::Zone(address) => {
            ("zone", json!({ "zone": { "name": options.zone, "globalAddress": address } }))
        }
    };
    let configuration = json!({
        "environment": "universal",
        "mode": mode,
        "store": { "type": "memory" },
        "multizone": multizone,
        "general": {
            "workDir": dir,
            "tlsCertFile": options.certificate,
            "tlsKeyFile": options.key,
        },
        "bootstrapServer": { "params": { "xdsHost": xds_host, "xdsPort": xds_port } },
        "apiServer": { "http": loopback(ports.api), "https": loopback(ports.api_tls) },
        "dpServer": {
            "port": ports.dp_server,
            "authn": { "zoneProxy": { "type": kind, "zoneToken": zone_token } },
        },
        "diagnostics": { "serverPort": ports.diagnostics },
        "interCp": {
            "catalog": { "instanceAddress": "127.0.0.1" },
            "server": { "port": ports.inter_cp },
        },
        // Before 2.14 it cannot be switched off.
        "monitoringAssignmentServer": { "enabled": false, "port": ports.monitoring },
        "reports": { "enabled": false },
    });
    let path = dir.join("kuma-cp.yaml");
    std::fs::write(&path, configuration.to_string())
        .with_context(|| format!("writing {}", path.display()))?;
    Ok(path)
}
