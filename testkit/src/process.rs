//! A program as a child process.
//!
//! In: what to run, and where its output goes. Out: its log and its end. Only the process that was
//! started here is ended.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};

/// How long a program may take to end after SIGTERM.
const GRACE: Duration = Duration::from_secs(5);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(20);

/// Where a program's output goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Log {
    /// To the terminal.
    Terminal,
    /// To a file that [`Process::log`] reads.
    File,
}

/// A running program. Dropped, it is killed.
#[derive(Debug)]
pub struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `command`; with [`Log::File`] its output goes to the file `log`.
    ///
    /// # Errors
    /// There is no such program, or the file cannot be written.
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

    /// Its id; `None` once it has ended.
    pub fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// How it ended, if it has.
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

    /// Asks it to end, and ends it if it does not.
    pub async fn stop(&mut self) {
        if let Some(pid) = self.child.id() {
            // The standard library sends only SIGKILL; func-e would leave its Envoy behind.
            let kill = Command::new("kill").arg("-TERM").arg(pid.to_string()).status().await;
            if kill.is_ok() && timeout(GRACE, self.child.wait()).await.is_ok() {
                return;
            }
        }
        self.child.kill().await.ok();
    }

    /// Ends it without asking.
    ///
    /// # Errors
    /// It cannot be ended.
    pub async fn kill(&mut self) -> anyhow::Result<()> {
        self.child.kill().await.context("ending a program")
    }

    /// Where its log is.
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

    /// The last lines.
    pub fn log_tail(&self) -> String {
        let log = self.log().unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines.get(lines.len().saturating_sub(20)..).unwrap_or_default().join("\n")
    }

    /// Waits until the log has `text`.
    ///
    /// # Errors
    /// It has not in time; with the last lines.
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
