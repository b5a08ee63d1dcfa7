//! `zonegate sync`.
//!
//! In: flags, the admin token in a file or in the environment, signals. Out: an ECDS file that is kept current until a
//! signal ends the verb. Exit codes: 0 ended by a signal, or current (`--once`); 2 a flag or a file that it names is
//! wrong; 1 anything else.

use std::convert::Infallible;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use super::failure::BadInput;
use super::output::hint_at_output_file;
use super::printable;
use crate::atomic_write::Keeps;
use crate::sync::{
    Address, ApiServer, ClientCertificate, ErrorKind, Gateway, GatewayAdmin, PlainHttp, Settings,
    Status, SyncError, Syncer, Target, TargetError, TokenSource, VARIABLE, serve,
};

const EXAMPLES: &str = "\
Reads the secrets zone-token-signing-key-*, zone-token-signing-public-key-* and
zone-token-revocations, and replaces the file when they change. If
proxies.dataplane of the policy is dpToken, it also reads dataplane-token-signing-key-* and
dataplane-token-revocations-* of every mesh. Signing keys are reduced to public keys at once. If a
poll fails, the file stays as it is.

The token is read for each poll, from --token-file or the variable ZONEGATE_ADMIN_TOKEN. Without
either, no token is sent: a control plane treats every request from its own machine as an admin's.
SIGHUP polls at once; SIGTERM and SIGINT end the sync.

Examples:
  $ zonegate sync --address https://control-plane:5682 --ca-cert-file ca.pem \\
      --token-file admin-token --zone us-east \\
      --output-file /etc/zonegate/ecds/zonegate.yaml

  Once, in a pipeline: exit code 0 means that the file is current
  $ zonegate sync --once --address http://localhost:5681 --base gate.yaml \\
      --output-file zonegate.yaml";

/// Keep a gateway current with the secrets of a running control plane
#[derive(Args)]
#[command(
    after_help = EXAMPLES,
    override_usage = "zonegate sync [OPTIONS] --address <URL> --output-file <FILE>"
)]
pub(super) struct SyncArgs {
    /// API server: https://HOST:5682, or http://localhost:5681 on this machine
    #[arg(long, value_name = "URL")]
    address: String,
    /// File with the token of an admin
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// CA of the control plane's certificate
    #[arg(long, value_name = "FILE")]
    ca_cert_file: Option<PathBuf>,
    /// Certificate to show to the control plane
    #[arg(long, value_name = "FILE", requires = "client_key_file")]
    client_cert_file: Option<PathBuf>,
    /// Private key of that certificate
    #[arg(long, value_name = "FILE", requires = "client_cert_file")]
    client_key_file: Option<PathBuf>,
    /// Allow http:// to another machine: anyone on the network can read the token and the keys
    #[arg(long)]
    insecure_http: bool,
    /// Policy to start from, as for config render; its keys and revoked ids are added to those of the control plane
    #[arg(long, value_name = "FILE")]
    base: Option<PathBuf>,
    /// Zone that the control plane serves; overrides the base
    #[arg(long)]
    zone: Option<String>,
    /// Where Envoy finds the filter [default: /etc/zonegate/zonegate.wasm]
    #[arg(long, value_name = "PATH")]
    module: Option<String>,
    /// The file to keep current, in the folder that Envoy watches
    #[arg(long, value_name = "FILE", required_unless_present = "output")]
    output_file: Option<PathBuf>,
    /// Former name of --output-file
    #[arg(short, long, value_name = "FILE", hide = true, conflicts_with = "output_file")]
    output: Option<PathBuf>,
    /// Longest time from one poll to the next
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = duration)]
    interval: Duration,
    /// How long a poll may take
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = duration)]
    timeout: Duration,
    /// Where to serve a page for people, /healthz, /readyz and /metrics
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9911")]
    listen: SocketAddr,
    /// Envoy's admin interface, for the gateway's metrics on the page
    #[arg(long, value_name = "URL", conflicts_with = "once")]
    gateway_admin: Option<String>,
    /// Poll once and end
    #[arg(long, conflicts_with = "listen")]
    once: bool,
}

/// The limits of a duration: a shorter one would flood the control plane, and a longer one is probably a mistake.
const LEAST: Duration = Duration::from_millis(100);
const MOST: Duration = Duration::from_secs(24 * 3600);

fn duration(text: &str) -> Result<Duration, String> {
    let duration = super::generate::duration(text).map_err(|error| error.to_string())?;
    match (LEAST..=MOST).contains(&duration) {
        true => Ok(duration),
        false => Err("must be from 100ms to 24h".to_owned()),
    }
}

impl SyncArgs {
    pub(super) fn run(self) -> anyhow::Result<()> {
        // One thread is enough, because nothing has to run in parallel.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.context("could not start")?.block_on(self.keep())
    }

    async fn keep(self) -> anyhow::Result<()> {
        let settings = self.settings()?;
        let admin = self.gateway_admin.as_deref().map(GatewayAdmin::parse).transpose();
        let admin = admin.map_err(|error| BadInput(format!("--gateway-admin: {error}")))?;
        if self.output.is_some() {
            hint_at_output_file("--output");
        }
        let file = self.output_file.as_ref().or(self.output.as_ref());
        // clap requires one of the two flags.
        let file = file.ok_or_else(|| BadInput("give --output-file".to_owned()))?;
        let target = Target::open(file).map_err(of_target)?;
        let keeps = if self.base.is_some() { Keeps::Whole } else { Keeps::Secrets };
        target.say(keeps).map_err(of_target)?;
        let status = Arc::new(Status::default());
        let (address, interval) = (settings.server.address.clone(), self.interval);
        let mut syncer = Syncer::new(settings, target, Arc::clone(&status), say);
        if self.once {
            return syncer.once().await.map_err(of_poll);
        }
        let stop = told_to_stop()?;
        let mut hangup = signal(SignalKind::hangup())?;
        let listener = listen(self.listen).await?;
        let here = listener.local_addr()?;
        say(&format!("started address={address} interval={interval:?} listen={here}"));
        let name = tokio::select! {
            name = stop => name,
            never = serve(listener, Arc::clone(&status)) => match never {},
            never = watch(admin, &status) => match never {},
            never = syncer.run(async || _ = hangup.recv().await) => match never {},
        };
        say(&format!("stopped by {name}"));
        Ok(())
    }

    /// Checks the flags and the files that they name, before anything runs.
    fn settings(&self) -> anyhow::Result<Settings> {
        let plain = match self.insecure_http {
            true => PlainHttp::Anywhere,
            false => PlainHttp::OnLoopback,
        };
        let address = Address::parse(&self.address, plain)
            .map_err(|error| BadInput(format!("--address: {error}")))?;
        let (certificate, key) = (self.client_cert_file.clone(), self.client_key_file.clone());
        let server = ApiServer {
            address,
            token: self.token(),
            ca: self.ca_cert_file.clone(),
            client: certificate
                .zip(key)
                .map(|(certificate, key)| ClientCertificate { certificate, key }),
            timeout: self.timeout,
        };
        server.check().map_err(|error| BadInput(error.to_string()))?;
        let gateway = Gateway {
            base: self.base.clone(),
            zone: self.zone.clone(),
            module: self.module.clone(),
        };
        if let Some(zone) = &self.zone {
            let doubt = zonegate::config::zone(zone)
                .map_err(|error| BadInput(format!("--zone: {error}")))?;
            if let Some(doubt) = doubt {
                say(&format!("warning: --zone: {zone:?}: {doubt}"));
            }
        }
        gateway.plugin().map_err(|error| BadInput(error.to_string()))?;
        Ok(Settings { server, gateway, interval: self.interval })
    }

    fn token(&self) -> TokenSource {
        match &self.token_file {
            Some(path) => TokenSource::File(path.clone()),
            None if std::env::var_os(VARIABLE).is_some() => TokenSource::Environment,
            None => TokenSource::Nowhere,
        }
    }
}

async fn watch(admin: Option<GatewayAdmin>, status: &Status) -> Infallible {
    match admin {
        Some(admin) => admin.watch(status, say).await,
        None => std::future::pending().await,
    }
}

fn of_target(error: TargetError) -> anyhow::Error {
    match error {
        TargetError::NotAFile(_) | TargetError::SymbolicLink(_) | TargetError::OtherFile(_) => {
            BadInput(error.to_string()).into()
        }
        TargetError::Kept(_) | TargetError::NotReplaced(..) | TargetError::Io { .. } => {
            error.into()
        }
    }
}

/// The cause of a failure decides the exit code of `--once`.
fn of_poll(error: SyncError) -> anyhow::Error {
    match error.kind() {
        ErrorKind::Settings | ErrorKind::Token | ErrorKind::Policy => {
            BadInput(error.to_string()).into()
        }
        _ => error.into(),
    }
}

async fn listen(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| {
        format!("could not listen on {address}; give another --listen (port 0 takes a free one)")
    })
}

/// Waits for a signal to stop. Returns its name.
fn told_to_stop() -> anyhow::Result<impl Future<Output = &'static str>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => "SIGINT",
            _ = terminate.recv() => "SIGTERM",
        }
    })
}

/// Writes `line` to standard error, without the time: journald or a container runtime adds it. If standard error is
/// closed, nobody can be told.
fn say(line: &str) {
    let line = format!("zonegate sync: {}\n", printable::one_line(line));
    let _ = io::stderr().write_all(line.as_bytes());
}
