//! The gateway: a real Envoy with the filter, from the files in `envoy/`.
//!
//! In: [`Options`]. Out: a running [`Gateway`], ready and with its policy in force, or an error with the end of Envoy's
//! log. The system chooses all ports unless they are given. Two gateways share nothing.

mod admin;
mod configuration;
mod epoch;
mod form;
mod options;
mod process;
mod service;
mod zone_side;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail};
use serde_json::Value;
use tempfile::TempDir;
use tokio::time::sleep;

use admin::Admin;
use configuration::{Files, Written};
use epoch::Epoch;

pub use super::process::Log;
use super::process::Process;
pub use configuration::asking_a_service;
pub use form::Form;
pub use options::{Delivery, Options, ServiceOptions, ServiceProtocol};
pub use service::Service;
use service::pushes;
pub use zone_side::{ZoneSide, ZoneSideOptions};

/// How long Envoy may take to be ready.
const START: Duration = Duration::from_secs(60);
/// How long a push may take.
const PUSH: Duration = Duration::from_secs(30);
/// Time between two polls.
const LOOK: Duration = Duration::from_millis(20);

/// The result of a push.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pushed {
    /// In force.
    Accepted,
    /// Refused; the previous policy stays in force.
    Rejected,
}

/// Whether the first policy of a gateway must be accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum AtStart {
    Accepted,
    MayBeRefused,
}

/// A running gateway. It is killed when dropped.
#[derive(Debug)]
pub struct Gateway {
    process: Process,
    admin: Admin,
    address: SocketAddr,
    files: Files,
    options: Options,
    epoch: Epoch,
    service: Option<Service>,
    dir: TempDir,
}

impl Gateway {
    /// Starts Envoy and waits until it serves with this policy.
    ///
    /// # Errors
    /// Envoy cannot be started, ends, refuses the policy or is not ready in time; with the end of
    /// its log.
    pub async fn start(options: Options) -> anyhow::Result<Self> {
        Self::begin(options, Epoch::Only, AtStart::Accepted).await
    }

    /// As [`Self::start`], but if the policy is refused, the gateway runs without a policy.
    ///
    /// # Errors
    /// As [`Self::start`], except a refused policy.
    pub async fn start_without_policy(options: Options) -> anyhow::Result<Self> {
        Self::begin(options, Epoch::Only, AtStart::MayBeRefused).await
    }

    /// As [`Self::start`], and another gateway can take over from it by Envoy's hot restart.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub async fn start_first(options: Options) -> anyhow::Result<Self> {
        Self::begin(options, Epoch::First, AtStart::Accepted).await
    }

    async fn begin(mut options: Options, epoch: Epoch, at_start: AtStart) -> anyhow::Result<Self> {
        let dir = folder()?;
        if Form::of(&options.module) != Form::Service || options.service.address.is_some() {
            let files = Files::write(dir.path(), &options)?;
            return Self::launch(options, files, epoch, None, dir, at_start).await;
        }
        if options.delivery == Delivery::Lds {
            options.delivery = Delivery::EcdsText;
        }
        let listen = SocketAddr::from(([127, 0, 0, 1], 0));
        options.service.address = Some(listen);
        let policy = Files::write(dir.path(), &options)?.watched();
        let service = Service::start(&options, &policy, dir.path()).await?;
        // Written again, because the address of the service is known now.
        options.service.address = Some(service.address());
        let files = Files::write(dir.path(), &options)?;
        Self::launch(options, files, epoch, Some(service), dir, at_start).await
    }

    /// Starts a gateway that takes over from this one, with the same files. New connections go to the successor, and
    /// this gateway ends after some seconds. The files stay in the folder of the first.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub async fn successor(&self) -> anyhow::Result<Self> {
        let epoch = self.epoch.next(self.dir.path())?;
        let mut options = self.options.clone();
        options.listen = self.address;
        let files = self.files.for_successor(&options)?;
        Self::launch(options, files, epoch, None, folder()?, AtStart::Accepted).await
    }

    async fn launch(
        options: Options,
        files: Files,
        epoch: Epoch,
        service: Option<Service>,
        dir: TempDir,
        policy: AtStart,
    ) -> anyhow::Result<Self> {
        let mut process = process::start(&options, &files.gateway, dir.path(), &epoch)?;
        match Self::ready(&mut process, dir.path(), &options, service.as_ref(), policy).await {
            Ok((admin, address)) => {
                Ok(Self { process, admin, address, files, options, epoch, service, dir })
            }
            Err(error) => {
                process.stop().await;
                let of_service = service.and_then(|service| service.log().ok()).unwrap_or_default();
                let log = process.log_tail();
                Err(anyhow!("{error:#}; Envoy's log ends:\n{log}\n{of_service}"))
            }
        }
    }

    async fn ready(
        process: &mut Process,
        dir: &Path,
        options: &Options,
        service: Option<&Service>,
        policy: AtStart,
    ) -> anyhow::Result<(Admin, SocketAddr)> {
        let deadline =
            Instant::now().checked_add(START).context("the time limit is out of range")?;
        while Instant::now() < deadline {
            if let Some(status) = process.ended()? {
                bail!("Envoy did not start ({status})");
            }
            if let Some(admin) = Admin::find(dir)
                && admin.is_ready().await
            {
                // Envoy starts without the filter's policy and answers 500 to every request.
                let pushes = pushes(&admin, service, options).await?;
                if service.is_some() && pushes == (0, 0) {
                    sleep(LOOK).await;
                    continue;
                }
                let must_be = policy == AtStart::Accepted;
                if must_be && options.delivery != Delivery::Gateway && pushes.0 == 0 {
                    bail!("the policy was refused");
                }
                let address = admin.listener("zonegate").await?;
                return Ok((admin, address));
            }
            sleep(LOOK).await;
        }
        bail!("Envoy was not ready within {} s", START.as_secs())
    }

    /// The address that it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address of its listener for probes.
    ///
    /// # Errors
    /// It has no such listener.
    pub async fn probes_address(&self) -> anyhow::Result<SocketAddr> {
        self.admin.listener("probes").await
    }

    /// Its working folder.
    pub fn folder(&self) -> &Path {
        self.dir.path()
    }

    /// The address of its admin interface.
    pub fn admin_address(&self) -> SocketAddr {
        self.admin.address()
    }

    /// Envoy's process id.
    pub fn pid(&self) -> Option<u32> {
        self.process.pid()
    }

    /// GETs a path of the admin interface.
    ///
    /// # Errors
    /// Envoy does not answer.
    pub async fn admin(&self, path: &str) -> anyhow::Result<String> {
        self.admin.get(path).await
    }

    /// A counter or gauge; `None` if no such metric exists. Metrics of the filter, `zonegate.…`, are named without
    /// Envoy's prefix.
    ///
    /// # Errors
    /// Envoy does not answer.
    pub async fn stat(&self, name: &str) -> anyhow::Result<Option<u64>> {
        if !name.starts_with("zonegate.") {
            return self.admin.stat(name).await;
        }
        if let Some(service) = &self.service {
            return service.stat(name).await;
        }
        let prefix = self.form().stats_prefix();
        self.admin.stat(&format!("{prefix}.{name}")).await
    }

    /// The form of its filter.
    pub fn form(&self) -> Form {
        Form::of(&self.options.module)
    }

    /// Waits until a counter or gauge has the value `wanted`.
    ///
    /// # Errors
    /// It does not in time; with the value that it had instead.
    pub async fn wait_stat(&self, name: &str, wanted: u64, limit: Duration) -> anyhow::Result<()> {
        let start = Instant::now();
        loop {
            let seen = self.stat(name).await?;
            if seen == Some(wanted) {
                return Ok(());
            }
            if start.elapsed() > limit {
                bail!("{name} is {seen:?}, not {wanted}");
            }
            sleep(LOOK).await;
        }
    }

    /// Uses another module in the next pushes.
    ///
    /// # Errors
    /// The configuration names no module.
    pub fn use_module(&mut self, module: &Path) -> anyhow::Result<()> {
        self.files.use_module(module)
    }

    /// Pushes a policy and waits until Envoy has accepted or refused it.
    ///
    /// # Errors
    /// The file cannot be written, or Envoy does not read it.
    pub async fn push(&self, policy: &Value) -> anyhow::Result<Pushed> {
        let look = || pushes(&self.admin, self.service.as_ref(), &self.options);
        let before = look().await?;
        let written = self.files.push(policy)?;
        if written == Written::Same && self.service.is_some() {
            // A service ignores a file without a change.
            return Ok(Pushed::Accepted);
        }
        let start = Instant::now();
        while start.elapsed() < PUSH {
            let now = look().await?;
            if now.1 > before.1 {
                return Ok(Pushed::Rejected);
            }
            if now.0 > before.0 {
                return Ok(Pushed::Accepted);
            }
            sleep(LOOK).await;
        }
        bail!("Envoy did not react to the push")
    }

    /// Envoy's log so far, followed by the log of the service.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn log(&self) -> anyhow::Result<String> {
        let of_service = self.service.as_ref().map(Service::log).transpose()?;
        Ok(self.process.log()? + &of_service.unwrap_or_default())
    }

    /// The file that holds the policy.
    pub fn policy_file(&self) -> PathBuf {
        self.files.watched()
    }

    /// The path of Envoy's log.
    pub fn log_path(&self) -> PathBuf {
        self.process.log_path().to_owned()
    }

    /// The last lines of Envoy's log.
    pub fn log_tail(&self) -> String {
        self.process.log_tail()
    }

    /// Waits until the log contains `text`.
    ///
    /// # Errors
    /// It does not in time.
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

    /// Waits until Envoy ends by itself or by a signal.
    ///
    /// # Errors
    /// Envoy's process cannot be waited for.
    pub async fn wait(&mut self) -> anyhow::Result<std::process::ExitStatus> {
        self.process.wait().await
    }

    /// Ends Envoy, and waits until it has ended.
    pub async fn stop(mut self) {
        self.process.stop().await;
    }
}

fn folder() -> anyhow::Result<TempDir> {
    Ok(tempfile::Builder::new().prefix("zonegate-").tempdir()?)
}
