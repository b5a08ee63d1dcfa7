//! The Envoy beside a zone's control plane, from the files in `envoy/global-kds/`. It adds the zone's token to requests
//! to the gateway of the global control plane.
//!
//! In: [`ZoneSideOptions`]. Out: a running [`ZoneSide`], ready, or an error with the end of Envoy's log. Whether the
//! gateway can be reached is not checked.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;
use tokio::time::sleep;

use super::admin::{ADDRESS_FILE, Admin};
use super::configuration::{san_type, set, yaml};
use crate::process::{Log, Process};

const ENVOY: &str = include_str!("../../../envoy/global-kds/zone-side.yaml");
const SECRET: &str = include_str!("../../../envoy/global-kds/zone-token.yaml");
/// How long Envoy may take to be ready. It waits up to 15 s for a token.
const START: Duration = Duration::from_secs(60);
/// Time between two polls.
const LOOK: Duration = Duration::from_millis(20);

/// How to run this Envoy.
#[derive(Debug, Clone)]
pub struct ZoneSideOptions {
    /// The Envoy to run.
    pub envoy: PathBuf,
    /// The gateway in front of the global control plane.
    pub gateway: SocketAddr,
    /// The CA of its certificate, PEM.
    pub gateway_ca: PathBuf,
    /// The name in its certificate.
    pub gateway_name: String,
    /// The address to listen on; port 0 takes a free one.
    pub listen: SocketAddr,
}

/// A running Envoy beside a zone's control plane. It is killed when dropped.
#[derive(Debug)]
pub struct ZoneSide {
    process: Process,
    admin: Admin,
    address: SocketAddr,
    options: ZoneSideOptions,
    dir: TempDir,
}

impl ZoneSide {
    /// Starts Envoy with this text in the token file, or without the file.
    ///
    /// # Errors
    /// Envoy cannot be started, ends, or is not ready in time; with the end of its log.
    pub async fn start(options: ZoneSideOptions, token: Option<&str>) -> anyhow::Result<Self> {
        let dir = tempfile::Builder::new().prefix("zonegate-zone-side-").tempdir()?;
        fs::create_dir(token_folder(dir.path()))?;
        if let Some(token) = token {
            fs::write(token_folder(dir.path()).join("token"), token)?;
        }
        Self::run(options, dir).await
    }

    /// Ends Envoy, and starts another one with the same files and the same address.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub async fn restart(mut self) -> anyhow::Result<Self> {
        self.process.stop().await;
        fs::remove_file(self.dir.path().join(ADDRESS_FILE))?;
        let listen = self.address;
        Self::run(ZoneSideOptions { listen, ..self.options }, self.dir).await
    }

    async fn run(options: ZoneSideOptions, dir: TempDir) -> anyhow::Result<Self> {
        let file = write_configuration(dir.path(), &options)?;
        let mut command = Command::new(&options.envoy);
        command
            .arg("--config-path")
            .arg(file)
            .arg("--admin-address-path")
            .arg(dir.path().join(ADDRESS_FILE))
            .args(["--concurrency", "1", "--disable-hot-restart", "--log-level", "warning"])
            .current_dir(dir.path());
        let mut process = Process::start(command, Log::File, dir.path().join("envoy.log"))?;
        match ready(&mut process, dir.path()).await {
            Ok((admin, address)) => Ok(Self { process, admin, address, options, dir }),
            Err(error) => {
                process.stop().await;
                Err(anyhow!("{error:#}; Envoy's log ends:\n{}", process.log_tail()))
            }
        }
    }

    /// The address for the zone's control plane, without TLS.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The folder of the token file.
    pub fn token_folder(&self) -> PathBuf {
        token_folder(self.dir.path())
    }

    /// Replaces the token by a rename, as an operator does.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn set_token(&self, token: &str) -> anyhow::Result<()> {
        let folder = token_folder(self.dir.path());
        let (new, place) = (folder.join(".token.new"), folder.join("token"));
        fs::write(&new, token).and_then(|()| fs::rename(&new, &place)).context("writing the token")
    }

    /// Removes the token file.
    ///
    /// # Errors
    /// It cannot be removed.
    pub fn remove_token(&self) -> anyhow::Result<()> {
        fs::remove_file(token_folder(self.dir.path()).join("token")).context("removing the token")
    }

    /// A counter or gauge of Envoy; `None` if no such metric exists.
    ///
    /// # Errors
    /// Envoy does not answer.
    pub async fn stat(&self, name: &str) -> anyhow::Result<Option<u64>> {
        self.admin.stat(name).await
    }

    /// GETs a path of the admin interface.
    ///
    /// # Errors
    /// Envoy does not answer.
    pub async fn admin(&self, path: &str) -> anyhow::Result<String> {
        self.admin.get(path).await
    }

    /// Envoy's log so far.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn log(&self) -> anyhow::Result<String> {
        self.process.log()
    }

    /// Ends Envoy, and waits until it has ended.
    pub async fn stop(mut self) {
        self.process.stop().await;
    }
}

async fn ready(process: &mut Process, dir: &Path) -> anyhow::Result<(Admin, SocketAddr)> {
    let begun = Instant::now();
    while begun.elapsed() < START {
        if let Some(status) = process.ended()? {
            bail!("Envoy did not start ({status})");
        }
        if let Some(admin) = Admin::find(dir)
            && admin.is_ready().await
        {
            let address = admin.listener("zone-control-plane").await?;
            return Ok((admin, address));
        }
        sleep(LOOK).await;
    }
    bail!("Envoy was not ready within {} s", START.as_secs())
}

fn token_folder(dir: &Path) -> PathBuf {
    dir.join("zone-token")
}

fn write_configuration(dir: &Path, options: &ZoneSideOptions) -> anyhow::Result<PathBuf> {
    const LISTENER: &str = "/static_resources/listeners/0/address/socket_address";
    const SOURCE: &str = "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config/http_filters/0\
                          /typed_config/credential/typed_config/credential/sds_config/path_config_source";
    const CLUSTER: &str = "/static_resources/clusters/0";
    let socket = "load_assignment/endpoints/0/lb_endpoints/0/endpoint/address/socket_address";
    let trust = "transport_socket/typed_config/common_tls_context/validation_context";
    let name = &options.gateway_name;
    let (mut envoy, mut secret) = (yaml(ENVOY)?, yaml(SECRET)?);
    let folder = token_folder(dir);
    let secret_file = dir.join("zone-token.json");
    for (pointer, value) in [
        ("/admin/address/socket_address/port_value".to_owned(), json!(0)),
        (format!("{LISTENER}/address"), json!(options.listen.ip())),
        (format!("{LISTENER}/port_value"), json!(options.listen.port())),
        (format!("{SOURCE}/path"), json!(secret_file)),
        (format!("{SOURCE}/watched_directory/path"), json!(folder)),
        (format!("{CLUSTER}/{socket}/address"), json!(options.gateway.ip())),
        (format!("{CLUSTER}/{socket}/port_value"), json!(options.gateway.port())),
        (format!("{CLUSTER}/transport_socket/typed_config/sni"), json!(name)),
        (format!("{CLUSTER}/{trust}/trusted_ca/filename"), json!(options.gateway_ca)),
        (
            format!("{CLUSTER}/{trust}/match_typed_subject_alt_names/0/san_type"),
            json!(san_type(name)),
        ),
        (format!("{CLUSTER}/{trust}/match_typed_subject_alt_names/0/matcher/exact"), json!(name)),
    ] {
        set(&mut envoy, &pointer, value)?;
    }
    let token = json!(folder.join("token"));
    set(&mut secret, "/resources/0/generic_secret/secret/filename", token)?;
    let file = dir.join("zone-side.json");
    write(&secret_file, &secret)?;
    write(&file, &envoy)?;
    Ok(file)
}

fn write(file: &Path, content: &Value) -> anyhow::Result<()> {
    fs::write(file, content.to_string()).with_context(|| format!("writing {}", file.display()))
}
