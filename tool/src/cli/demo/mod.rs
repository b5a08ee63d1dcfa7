//! `zonegate demo …`: the gateway in a real Envoy, to try it.

mod connections;
mod run;
mod trust_on_first_use;
mod verdicts;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::signal::unix::{SignalKind, signal};
use uuid::Uuid;
use zonegate_issuer::{Scope, SigningKey, ZoneTokenRequest};
use zonegate_testkit::certificates::Certificates;
use zonegate_testkit::gateway::{Delivery, Log, Options, ServiceOptions};

use crate::cli::failure::BadInput;

/// Try the gateway in a real Envoy
#[derive(Subcommand)]
pub(super) enum Demo {
    Run(run::Run),
    Verdicts(verdicts::Verdicts),
}

impl Demo {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let runtime = tokio::runtime::Runtime::new().context("could not start")?;
        runtime.block_on(async {
            // Signals are handled from the beginning, so that a stop at any time leaves nothing running.
            let stop = told_to_stop()?;
            match self {
                Self::Run(run) => run.run(stop).await,
                Self::Verdicts(verdicts) => tokio::select! {
                    result = verdicts.run() => result,
                    () = stop => bail!("stopped before the end"),
                },
            }
        })
    }
}

/// Waits for a signal to stop: Ctrl-C, a closed terminal, or SIGTERM.
fn told_to_stop() -> anyhow::Result<impl Future<Output = ()>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = hangup.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

/// What to run.
#[derive(Args)]
struct Programs {
    /// The Envoy to run
    #[arg(long, value_name = "FILE")]
    envoy: PathBuf,
    /// The filter, as `make wasm` or `make native` builds it
    #[arg(long, value_name = "FILE")]
    module: PathBuf,
    /// The func-e to run Envoy with
    #[arg(long, value_name = "FILE")]
    func_e: Option<PathBuf>,
}

/// A folder for this run, with certificates and a signing key.
struct Sandbox {
    dir: TempDir,
    certificates: Certificates,
    key: SigningKey,
}

/// The kid of the sandbox's key.
const KID: &str = "demo";
/// The zone of the demo.
const ZONE: &str = "default";

impl Sandbox {
    fn new() -> anyhow::Result<Self> {
        let dir = tempfile::Builder::new().prefix("zonegate-demo-").tempdir()?;
        let certificates = Certificates::generate(dir.path())?;
        Ok(Self { dir, certificates, key: SigningKey::generate(2048)? })
    }

    /// A policy with only the sandbox's key.
    fn policy(&self) -> Value {
        json!({ "zone": ZONE, "publicKeys": [{ "kid": KID, "key": self.key.public_key_pem() }] })
    }

    /// A token as `zonegate generate zone-token` makes it, issued some time ago.
    fn token(&self, zone: &str, scope: &[Scope], age: Duration) -> anyhow::Result<(String, Uuid)> {
        let id = Uuid::new_v4();
        let request = ZoneTokenRequest {
            zone: zone.to_owned(),
            scope: scope.to_vec(),
            valid_for: Duration::from_secs(3600),
            kid: KID.to_owned(),
            now: SystemTime::now()
                .checked_sub(age)
                .context("the age of the token is out of range")?,
            not_before: None,
            id: id.to_string(),
        };
        Ok((request.issue(&self.key)?, id))
    }

    /// The options of a gateway in front of `control_plane`.
    fn options(
        &self,
        programs: &Programs,
        control_plane: String,
        policy: Value,
    ) -> anyhow::Result<Options> {
        let Programs { envoy, module, func_e } = programs;
        Ok(Options {
            envoy: absolute(envoy)?,
            func_e: func_e.as_deref().map(absolute).transpose()?,
            module: absolute(module)?,
            policy,
            control_plane,
            control_plane_ca: self.certificates.ca_path.clone(),
            control_plane_name: "localhost".to_owned(),
            certificate: self.certificates.gateway.certificate_path.clone(),
            key: self.certificates.gateway.key_path.clone(),
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            concurrency: 2,
            log: Log::File,
            service: ServiceOptions::default(),
            delivery: Delivery::Ecds,
            probes: false,
            edits: Vec::new(),
            environment: Vec::new(),
        })
    }
}

/// Envoy runs in another folder, so it needs absolute paths.
fn absolute(path: &Path) -> anyhow::Result<PathBuf> {
    path.canonicalize().with_context(|| BadInput(path.display().to_string()))
}
