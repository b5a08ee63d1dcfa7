//! Envoy as a child process.
//!
//! In: how to run it. Out: its log and its end. Only the process that was started here is ended.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::Context;
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::admin::ADDRESS_FILE;
use super::{Log, Options};

/// How long Envoy may take to end after SIGTERM.
const GRACE: Duration = Duration::from_secs(5);

/// A running Envoy. Dropped, it is killed.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    pub(super) fn start(options: &Options, gateway: &Path, dir: &Path) -> anyhow::Result<Self> {
        let log = dir.join("envoy.log");
        let file = File::create(&log).with_context(|| format!("creating {}", log.display()))?;
        let mut command = match &options.func_e {
            // func-e 1.x runs the Envoy that ENVOY_PATH names and downloads nothing.
            Some(func_e) => {
                let mut command = Command::new(func_e);
                command.arg("run").env("ENVOY_PATH", &options.envoy);
                command
            }
            None => Command::new(&options.envoy),
        };
        command
            .arg("--config-path")
            .arg(gateway)
            .arg("--admin-address-path")
            .arg(dir.join(ADDRESS_FILE))
            .args(["--concurrency", &options.concurrency.to_string()])
            .args(["--disable-hot-restart", "--log-level", "warning"])
            .args(["--component-log-level", "wasm:info,config:info"])
            .envs(options.environment.iter().map(|(name, value)| (name, value)))
            .current_dir(dir)
            .stdin(Stdio::null())
            .kill_on_drop(true);
        match options.log {
            Log::Terminal => command.stdout(Stdio::inherit()).stderr(Stdio::inherit()),
            Log::File => command.stdout(file.try_clone()?).stderr(file),
        };
        let program = command.as_std().get_program().to_owned();
        let child = command.spawn().with_context(|| format!("running {}", program.display()))?;
        Ok(Self { child, log })
    }

    pub(super) fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    pub(super) fn ended(&mut self) -> anyhow::Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    pub(super) async fn wait(&mut self) -> anyhow::Result<ExitStatus> {
        self.child.wait().await.context("waiting for Envoy")
    }

    pub(super) async fn stop(&mut self) {
        if let Some(pid) = self.child.id() {
            // The standard library sends only SIGKILL; func-e would leave its Envoy behind.
            let kill = Command::new("kill").arg("-TERM").arg(pid.to_string()).status().await;
            if kill.is_ok() && timeout(GRACE, self.child.wait()).await.is_ok() {
                return;
            }
        }
        self.child.kill().await.ok();
    }

    pub(super) fn log_path(&self) -> &Path {
        &self.log
    }

    pub(super) fn log(&self) -> anyhow::Result<String> {
        let bytes = fs::read(&self.log).with_context(|| format!("{}", self.log.display()))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The last lines.
    pub(super) fn log_tail(&self) -> String {
        let log = self.log().unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines.get(lines.len().saturating_sub(20)..).unwrap_or_default().join("\n")
    }
}
