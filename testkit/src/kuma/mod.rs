//! Kuma's own programs, kuma-cp, kuma-dp and kumactl, to test the gateway with.
//!
//! In: the folder that `KUMA_HOME` names, with an unpacked release of Kuma. Out: running programs on loopback, and
//! their output. This module does not download or build them. Only the address of kuma-cp's API can be configured: its
//! other ports are open on every interface of the machine while it runs.

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

/// The hint for a missing folder.
pub const HOW_TO: &str = "KUMA_HOME must name a folder with bin/kuma-cp, bin/kuma-dp and \
     bin/kumactl; make test-kuma says how to get one";

/// The folder of Kuma's programs, and their release.
#[derive(Debug, Clone)]
pub struct Home {
    bin: PathBuf,
    release: Release,
}

impl Home {
    /// The folder that `KUMA_HOME` names; `None` if it is not set.
    ///
    /// # Errors
    /// It is set, and a program is missing in the folder.
    pub fn from_environment() -> anyhow::Result<Option<Self>> {
        let home = std::env::var_os(KUMA_HOME).filter(|home| !home.is_empty());
        home.map(|home| Self::at(Path::new(&home))).transpose()
    }

    /// Uses this folder.
    ///
    /// # Errors
    /// A program is missing there, or kuma-cp does not print its release.
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

    /// The release.
    pub fn release(&self) -> &Release {
        &self.release
    }

    /// The path of one of the programs.
    pub fn program(&self, name: &str) -> PathBuf {
        self.bin.join(name)
    }

    /// The output of kumactl, run in `dir` without any user's configuration.
    ///
    /// # Errors
    /// It fails; with its output.
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

    /// A program that inherits only PATH from this process, because each of its settings can be an environment
    /// variable.
    fn command(&self, name: &str, dir: &Path) -> Command {
        let mut command = Command::new(self.program(name));
        let path = std::env::var_os("PATH").unwrap_or_default();
        command.env_clear().env("PATH", path).env("HOME", dir).current_dir(dir).kill_on_drop(true);
        command
    }
}
