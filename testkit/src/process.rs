//! A program as a child process.
//!
//! In: the command, and where its output goes. Out: its log and its exit status. Only the started process is ended.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

/// How long a program may take to end after SIGTERM.
const GRACE: Duration = Duration::from_secs(5);
/// Time between two polls.
const LOOK: Duration = Duration::from_millis(20);

/// Where a program's output goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Log {
    /// To the terminal.
    Terminal,
    /// To a file that [`Process::log`] reads.
    File,
}

/// A running program. It is killed when dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `command`; with [`Log::File`] its output goes to the file `log`.
    ///
    /// # Errors
    /// The program does not exist, or the file cannot be written.
    pub fn start(mut command: Command, to: Log, log: PathBuf) -> anyhow::Result<Self> {
        let file = File::create(&log).with_context(|| format!("creating {}", log.display()))?;
        command.stdin(Stdio::null()).kill_on_drop(true);
        match to {
            Log::Terminal => command.stdout(Stdio::inherit()).stderr(Stdio::inherit()),
            Log::File => command.stdout(file.try_clone()?).stderr(file),
        };
        let program = command.as_std().get_program().to_owned();
        let child = command.spawn().with_context(|| format!("running {}", program.display()))?;
        Ok(Self { child, log })
    }

    /// Its process id; `None` once it has ended.
    pub fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// Its exit status, if it has ended.
    ///
    /// # Errors
    /// It cannot be waited for.
    pub fn ended(&mut self) -> anyhow::Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// Waits until it ends.
    ///
    /// # Errors
    /// It cannot be waited for.
    pub async fn wait(&mut self) -> anyhow::Result<ExitStatus> {
        self.child.wait().await.context("waiting for a program")
    }

    /// Sends SIGTERM, and SIGKILL if it does not end in time.
    pub async fn stop(&mut self) {
        if let Some(pid) = self.child.id() {
            // The standard library sends only SIGKILL, after which func-e's Envoy would keep running.
            let kill = Command::new("kill").arg("-TERM").arg(pid.to_string()).status().await;
            if kill.is_ok() && timeout(GRACE, self.child.wait()).await.is_ok() {
                return;
            }
        }
        self.child.kill().await.ok();
    }

    /// Sends SIGKILL.
    ///
    /// # Errors
    /// It cannot be ended.
    pub async fn kill(&mut self) -> anyhow::Result<()> {
        self.child.kill().await.context("ending a program")
    }

    /// The path of its log.
    pub fn log_path(&self) -> &Path {
        &self.log
    }

    /// Its log so far.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn log(&self) -> anyhow::Result<String> {
        let bytes = fs::read(&self.log).with_context(|| format!("{}", self.log.display()))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The last lines of its log.
    pub fn log_tail(&self) -> String {
        let log = self.log().unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines.get(lines.len().saturating_sub(20)..).unwrap_or_default().join("\n")
    }

    /// Waits until the log contains `text`.
    ///
    /// # Errors
    /// It does not in time; with the last lines.
    pub async fn wait_log(&self, text: &str, limit: Duration) -> anyhow::Result<()> {
        let start = Instant::now();
        while !self.log()?.contains(text) {
            if start.elapsed() > limit {
                bail!("no {text:?} in the log, which ends:\n{}", self.log_tail());
            }
            sleep(LOOK).await;
        }
        Ok(())
    }
}
