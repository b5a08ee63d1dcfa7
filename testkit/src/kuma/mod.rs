//! Kuma's own programs, kuma-cp, kuma-dp and kumactl: what the gateway is tested with.
//!
//! In: the folder that `KUMA_HOME` names, where somebody has unpacked a release of Kuma. Out: running
//! programs on loopback, and what they say. Nothing here downloads or builds them. kuma-cp can be
//! told where to listen only for its API: its other ports are open on every interface of the machine
//! while it runs.

mod api;
mod configuration;
mod control_plane;
mod judge;
mod kubernetes;
mod metrics;
mod ports;
mod proxy;
mod release;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use tokio::process::Command;

pub use api::Api;
pub use control_plane::{
    ControlPlane, DataplaneKey, Options, Role, StaticKey, ZoneProxyAuthentication,
};
pub use judge::Judge;
pub use kubernetes::KubernetesControlPlane;
pub use metrics::Metrics;
pub use ports::free_port;
pub use proxy::{Kind, Proxy, ProxyOptions, ResourceSource};
pub use release::Release;

/// The environment variable that names the folder.
pub const KUMA_HOME: &str = "KUMA_HOME";

/// What to do where it is missing.
pub const HOW_TO: &str = "KUMA_HOME must name a folder with bin/kuma-cp, bin/kuma-dp and \
     bin/kumactl; make test-kuma says how to get one";

/// Where Kuma's programs are, and which release they are of.
#[derive(Debug, Clone)]
pub struct Home {
    bin: PathBuf,
    release: Release,
}

impl Home {
    /// The folder that `KUMA_HOME` names; `None` where it is not set.
    ///
    /// # Errors
    /// It is set and a program is missing there.
    pub fn from_environment() -> anyhow::Result<Option<Self>> {
        let home = std::env::var_os(KUMA_HOME).filter(|home| !home.is_empty());
        home.map(|home| Self::at(Path::new(&home))).transpose()
    }

    /// This folder.
    ///
    /// # Errors
    /// A program is missing there, or kuma-cp does not tell its release.
    pub fn at(dir: &Path) -> anyhow::Result<Self> {
        let dir = dir.canonicalize().with_context(|| format!("{}\n{HOW_TO}", dir.display()))?;
        let bin = dir.join("bin");
        for name in ["kuma-cp", "kuma-dp", "kumactl"] {
            let path = bin.join(name);
            ensure!(path.is_file(), "{} is missing\n{HOW_TO}", path.display());
        }
        let release = Release::of(&bin.join("kuma-cp"))?;
        Ok(Self { bin, release })
    }

    /// Which release this is.
    pub fn release(&self) -> &Release {
        &self.release
    }

    /// One of the programs.
    pub fn program(&self, name: &str) -> PathBuf {
        self.bin.join(name)
    }

    /// What kumactl prints, run in `dir` with no configuration of its user's.
    ///
    /// # Errors
    /// It fails; with what it said.
    pub async fn kumactl(
        &self,
        dir: &Path,
        arguments: impl IntoIterator<Item = impl AsRef<OsStr>>,
    ) -> anyhow::Result<String> {
        let mut command = self.command("kumactl", dir);
        let output = command.args(arguments).output().await.context("running kumactl")?;
        let error = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "kumactl: {}: {error}", output.status);
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// A program that inherits no setting from this process but PATH: each of its settings can be
    /// an environment variable.
    fn command(&self, name: &str, dir: &Path) -> Command {
        let mut command = Command::new(self.program(name));
        let path = std::env::var_os("PATH").unwrap_or_default();
        command.env_clear().env("PATH", path).env("HOME", dir).current_dir(dir).kill_on_drop(true);
        command
    }
}
