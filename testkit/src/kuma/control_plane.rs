//! kuma-cp, a control plane on Universal: of a zone, or global; store in memory, TLS.
//!
//! In: [`Options`]. Out: a running [`ControlPlane`], ready, or an error with the end of its log.
//! Usage reports are off.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail};
use tempfile::TempDir;
use tokio::time::sleep;

use super::configuration::{self, Ports};
use super::{Api, Home, Metrics};
use crate::certificates::Identity;
use crate::process::{Log, Process};

/// How long kuma-cp may take to be ready.
const START: Duration = Duration::from_secs(60);
/// Time between two polls.
const LOOK: Duration = Duration::from_millis(50);

/// How to run a control plane.
#[derive(Debug, Clone)]
pub struct Options {
    /// Its role among other control planes.
    pub role: Role,
    /// The zone that it serves, unless it is global.
    pub zone: String,
    /// The certificate for all its ports with TLS.
    pub certificate: PathBuf,
    /// The certificate's private key.
    pub key: PathBuf,
    /// The address at which proxies reach it, if not its own port: `XDS_HOST` and `XDS_PORT`.
    pub xds: Option<(String, u16)>,
    /// How zone proxies are authenticated.
    pub zone_proxies: ZoneProxyAuthentication,
    /// Static public keys of zone tokens.
    pub public_keys: Vec<StaticKey>,
    /// Static public keys of dataplane tokens.
    pub dataplane_keys: Vec<DataplaneKey>,
    /// The port of the dataplane server; 0 takes a free one.
    pub port: u16,
    /// More settings, as environment variables.
    pub environment: Vec<(String, String)>,
}

/// The role of a control plane among others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Role {
    /// The control plane of the only zone.
    Standalone,
    /// The control plane above those of several zones. No proxy connects to it.
    Global,
    /// The control plane of one zone among several.
    Federated {
        /// The URL of the global control plane: [`ControlPlane::kds_address`], or a server in front of it.
        global: String,
        /// The CA of the certificate there, if the URL has TLS.
        ca: Option<PathBuf>,
    },
}

/// `dpServer.authn.zoneProxy.type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ZoneProxyAuthentication {
    /// By zone token; keys in secrets count as well as static ones.
    ZoneToken,
    /// By zone token; only the static keys count, and no token is issued.
    StaticKeys,
    /// Zone proxies are not authenticated.
    None,
}

/// A public key in the control plane's configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StaticKey {
    /// Its kid.
    pub kid: String,
    /// PEM.
    pub key: String,
}

/// A public key of dataplane tokens in the control plane's configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataplaneKey {
    /// The mesh whose tokens it verifies; `None` means every mesh.
    pub mesh: Option<String>,
    /// Its kid.
    pub kid: String,
    /// PEM.
    pub key: String,
}

impl Options {
    /// Options for `zone`, with this certificate. All else is as Kuma's defaults.
    #[must_use]
    pub fn new(zone: &str, identity: &Identity) -> Self {
        Self {
            role: Role::Standalone,
            zone: zone.to_owned(),
            certificate: identity.certificate_path.clone(),
            key: identity.key_path.clone(),
            xds: None,
            zone_proxies: ZoneProxyAuthentication::ZoneToken,
            public_keys: Vec::new(),
            dataplane_keys: Vec::new(),
            port: 0,
            environment: Vec::new(),
        }
    }

    /// The secrets that kuma-cp creates after it reports ready, in no fixed order.
    fn first_secrets(&self) -> &'static [&'static str] {
        match (&self.role, self.zone_proxies) {
            // These secrets come from the global control plane, once it accepts the zone.
            (Role::Federated { .. }, _) => &[],
            (_, ZoneProxyAuthentication::StaticKeys) => &["admin-user-token"],
            (Role::Standalone | Role::Global, _) => {
                &["admin-user-token", "zone-token-signing-key-1"]
            }
        }
    }
}

/// A running control plane. It is killed when dropped.
#[derive(Debug)]
pub struct ControlPlane {
    process: Process,
    ports: Ports,
    api: Api,
    diagnostics: Api,
    configuration: PathBuf,
    _dir: TempDir,
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
        let configuration = configuration::write(dir.path(), options, ports)?;
        command.arg("run").arg("--config-file").arg(&configuration);
        command.envs(options.environment.iter().map(|(name, value)| (name, value)));
        let process = Process::start(command, Log::File, dir.path().join("kuma-cp.log"))?;
        let (api, diagnostics) = (Api::new(local(ports.api)), Api::new(local(ports.diagnostics)));
        let mut started = Self { process, ports, api, diagnostics, configuration, _dir: dir };
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
        let secrets = options.first_secrets();
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

    /// The address of its dataplane server: discovery and bootstrap, TLS.
    pub fn address(&self) -> SocketAddr {
        local(self.ports.dp_server)
    }

    /// If it is global, the address for the control planes of zones, TLS.
    pub fn kds_address(&self) -> SocketAddr {
        local(self.ports.kds)
    }

    /// The file that it was started with.
    pub fn configuration(&self) -> &Path {
        &self.configuration
    }

    /// Its API, plain HTTP on loopback.
    pub fn api(&self) -> &Api {
        &self.api
    }

    /// The address of its API with TLS.
    pub fn api_tls_address(&self) -> SocketAddr {
        local(self.ports.api_tls)
    }

    /// Its administrator's token, for ports where loopback clients are not administrators.
    ///
    /// # Errors
    /// The token cannot be read.
    pub async fn admin_token(&self) -> anyhow::Result<String> {
        let made = async {
            loop {
                if let Some(token) = self.api.secret("admin-user-token").await? {
                    return Ok(String::from_utf8(token)?);
                }
                sleep(Duration::from_millis(100)).await;
            }
        };
        // A separate component of the control plane creates it, some time after the others are ready.
        tokio::time::timeout(Duration::from_secs(30), made).await.context("no admin-user-token")?
    }

    /// Its Prometheus metrics.
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

fn local(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}
