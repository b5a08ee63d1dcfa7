//! kuma-dp, which fetches its bootstrap configuration and runs an Envoy with it.
//!
//! In: [`ProxyOptions`]. Out: a running [`Proxy`] and its log, which includes its Envoy's log. On Linux its Envoy ends
//! when kuma-dp ends, even by SIGKILL.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Home, free_port};
use crate::process::{Log, Process};

/// The file with the token, in the proxy's folder.
const TOKEN: &str = "token";

/// The kind of a proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A zone ingress.
    Ingress,
    /// A zone egress.
    Egress,
    /// A sidecar.
    Dataplane,
    /// A zone ingress and a zone egress of a mesh: two listeners of a Dataplane.
    MeshZoneProxy,
}

/// The source of a proxy's resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResourceSource {
    /// The proxy sends the resource of its kind.
    Proxy,
    /// The control plane has the resource already, as on Kubernetes, and the proxy has its name.
    ControlPlane,
}

/// How to run a proxy.
#[derive(Debug, Clone)]
pub struct ProxyOptions {
    /// The kind of proxy.
    pub kind: Kind,
    /// Its name.
    pub name: String,
    /// Its mesh, if a proxy of its kind has one.
    pub mesh: String,
    /// The source of its resource.
    pub resource: ResourceSource,
    /// Its token; `None` starts it without one.
    pub token: Option<String>,
    /// The URL of the control plane, or of a server in front of it: `https://…`.
    pub control_plane: String,
    /// The CA of the certificate there.
    pub ca: PathBuf,
    /// The Envoy to run.
    pub envoy: PathBuf,
    /// More settings, as environment variables.
    pub environment: Vec<(String, String)>,
}

/// A running kuma-dp. It is killed when dropped.
#[derive(Debug)]
pub struct Proxy {
    /// The process, with its log.
    pub process: Process,
    dir: TempDir,
}

impl Proxy {
    /// Starts kuma-dp, without waiting for it.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start(home: &Home, options: &ProxyOptions) -> anyhow::Result<Self> {
        let dir = tempfile::Builder::new().prefix("zonegate-kuma-dp-").tempdir()?;
        let mut command = home.command("kuma-dp", dir.path());
        command
            .args(["run", "--proxy-type", options.kind.name()])
            .args(["--cp-address", &options.control_plane])
            .arg("--ca-cert-file")
            .arg(&options.ca)
            .arg("--binary-path")
            .arg(&options.envoy)
            // Otherwise kuma-dp makes a folder elsewhere, which stays if kuma-dp is killed.
            .arg(home.release().work_dir_flag())
            .arg(dir.path())
            .arg("--dns-server-config-dir")
            .arg(dir.path())
            .args(["--concurrency", "1", "--drain-time", "1s"])
            .args(["--envoy-log-level", "warning", "--dns-enabled=false"])
            .env("KUMA_READINESS_PORT", free_port()?.to_string())
            // kuma-dp retries a temporary refusal; soon, in tests.
            .env("KUMA_CONTROL_PLANE_RETRY_BACKOFF", "1s")
            .envs(options.environment.iter().map(|(name, value)| (name, value)));
        match options.resource {
            ResourceSource::Proxy => {
                let file = dir.path().join("resource.yaml");
                fs::write(&file, resource(home, options)?.to_string())
                    .context("writing the proxy's resource")?;
                command.arg("--dataplane-file").arg(&file);
            }
            ResourceSource::ControlPlane => {
                command.args(["--name", &options.name]).args(["--mesh", &options.mesh]);
            }
        }
        if !home.release().has_work_dir() {
            command.env("KUMA_DATAPLANE_RUNTIME_SOCKET_DIR", dir.path());
        }
        if let Some(token) = &options.token {
            let file = dir.path().join(TOKEN);
            fs::write(&file, token).context("writing the proxy's token")?;
            command.arg("--dataplane-token-file").arg(&file);
        }
        let process = Process::start(command, Log::File, dir.path().join("kuma-dp.log"))?;
        Ok(Self { process, dir })
    }

    /// Its working folder.
    pub fn folder(&self) -> &Path {
        self.dir.path()
    }

    /// Writes another token to the token file.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn replace_token(&self, token: &str) -> anyhow::Result<()> {
        let (new, place) = (self.dir.path().join("token.new"), self.dir.path().join(TOKEN));
        fs::write(&new, token)
            .and_then(|()| fs::rename(&new, &place))
            .context("writing the proxy's token")
    }

    /// Waits until the log contains `text`.
    ///
    /// # Errors
    /// It does not in time; with the last lines.
    pub async fn wait_log(&self, text: &str, limit: Duration) -> anyhow::Result<()> {
        self.process.wait_log(text, limit).await.context("kuma-dp")
    }

    /// Ends kuma-dp, and waits until it has ended.
    pub async fn stop(mut self) {
        self.process.stop().await;
    }
}

/// The resource that the proxy sends.
fn resource(home: &Home, options: &ProxyOptions) -> anyhow::Result<Value> {
    let ports = [free_port()?, free_port()?];
    let mut resource = options.kind.resource(&options.mesh, &options.name, ports);
    if !home.release().has_admin_socket() {
        let networking = resource.get_mut("networking").and_then(Value::as_object_mut);
        let networking = networking.context("the proxy's resource has no networking")?;
        networking.insert("admin".to_owned(), json!({ "port": free_port()? }));
    }
    Ok(resource)
}

impl Kind {
    /// The value of `--proxy-type`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ingress => "ingress",
            Self::Egress => "egress",
            Self::Dataplane | Self::MeshZoneProxy => "dataplane",
        }
    }

    /// The path of its overview in the control plane's API.
    pub(super) fn overview(self, mesh: &str, name: &str) -> String {
        match self {
            Self::Ingress => format!("/zoneingresses/{name}/_overview"),
            Self::Egress => format!("/zoneegresses/{name}/_overview"),
            Self::Dataplane | Self::MeshZoneProxy => {
                format!("/meshes/{mesh}/dataplanes/{name}/_overview")
            }
        }
    }

    /// The place of its connections in the overview, as a JSON pointer.
    pub(super) fn subscriptions(self) -> &'static str {
        match self {
            Self::Ingress => "/zoneIngressInsight/subscriptions",
            Self::Egress => "/zoneEgressInsight/subscriptions",
            Self::Dataplane | Self::MeshZoneProxy => "/dataplaneInsight/subscriptions",
        }
    }

    /// The resource that it sends, with listeners on these ports.
    pub fn resource(self, mesh: &str, name: &str, [port, other]: [u16; 2]) -> Value {
        let address = "127.0.0.1";
        match self {
            Self::Ingress => json!({
                "type": "ZoneIngress",
                "name": name,
                "networking": {
                    "address": address,
                    "port": port,
                    "advertisedAddress": address,
                    "advertisedPort": port,
                },
            }),
            Self::Egress => json!({
                "type": "ZoneEgress",
                "name": name,
                "networking": { "address": address, "port": port },
            }),
            Self::Dataplane => json!({
                "type": "Dataplane",
                "mesh": mesh,
                "name": name,
                "networking": {
                    "address": address,
                    "inbound": [{ "port": port, "tags": { "kuma.io/service": name } }],
                },
            }),
            Self::MeshZoneProxy => json!({
                "type": "Dataplane",
                "mesh": mesh,
                "name": name,
                "networking": {
                    "address": address,
                    "listeners": [
                        { "type": "ZoneIngress", "name": "ingress", "address": address, "port": port },
                        { "type": "ZoneEgress", "name": "egress", "address": address, "port": other },
                    ],
                },
            }),
        }
    }
}
