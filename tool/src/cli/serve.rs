//! `zonegate serve`.
//!
//! In: flags, the file with the policy, signals. Out: a server for proxies, until a signal ends it. Exit codes: 0 ended
//! by a signal; 2 a flag or a file that it names is wrong; 1 anything else. A missing or bad policy is no error: the
//! server refuses everything until there is a good one.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use zonegate::log_line::Level;
use zonegate_service::{Service, Settings, TlsFiles};

use super::failure::BadInput;
use super::printable;
use crate::plugin_config::plugin_file::{MAX_BYTES, PluginConfiguration};
use crate::service_manager;

const EXAMPLES: &str = "\
On one port: gRPC for Envoy (external processing, external authorization, health), and by HTTP
/auth (nginx auth_request), /forward-auth (Traefik and similar proxies), /metrics, /ready, and at
/status a page with the state of the gate, for people on this machine. External processing sees the
first message of a stream and cuts open streams, as the filter does. The other protocols see headers
only: docs/service.md says which protocol fits which proxy.

The file is read again within a fifth of a second of a change, and may have any form that config check
reads. If a file is refused, the previous policy stays in force. Without a policy everything is refused,
and /ready answers 503. SIGTERM and SIGINT end the service.

Examples:
  $ zonegate serve --config /etc/zonegate/ecds/zonegate.yaml

  For an Envoy on another machine, which must show a certificate:
  $ zonegate serve --config zonegate.yaml --listen 0.0.0.0:9912 \\
      --cert-file serve.pem --key-file serve.key --client-ca-file clients.pem";

/// Judge requests of proxies that do not load the filter: Envoy's ext_proc and ext_authz, nginx's auth_request
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct ServeArgs {
    /// The policy: a plugin configuration, or a file with one
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Where to listen
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9912")]
    listen: SocketAddr,
    /// Certificate of this server, PEM; this file and the next two are read again when they change
    #[arg(long, value_name = "FILE", requires = "key_file")]
    cert_file: Option<PathBuf>,
    /// Private key of that certificate
    #[arg(long, value_name = "FILE", requires = "cert_file")]
    key_file: Option<PathBuf>,
    /// CA of the clients: each client must show a certificate that this CA issued
    #[arg(long, value_name = "FILE", requires = "cert_file")]
    client_ca_file: Option<PathBuf>,
    /// Allow a non-loopback address without TLS: anyone on the network can read tokens
    #[arg(long)]
    insecure_http: bool,
    /// Threads that judge requests [default: one for each processor]
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u16).range(1..=256))]
    threads: Option<u16>,
}

impl ServeArgs {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let threads = match self.threads {
            Some(threads) => usize::from(threads),
            None => std::thread::available_parallelism().map_or(1, usize::from),
        };
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = runtime.worker_threads(threads).enable_all().build();
        runtime.context("could not start")?.block_on(self.serve(threads))
    }

    async fn serve(self, threads: usize) -> anyhow::Result<()> {
        if !self.listen.ip().is_loopback() && self.cert_file.is_none() && !self.insecure_http {
            return Err(BadInput(format!(
                "--listen {}: tokens would come in the clear: give --cert-file and --key-file, or \
                 --insecure-http",
                self.listen
            ))
            .into());
        }
        let tls = self.cert_file.clone().zip(self.key_file.clone()).map(|(certificate, key)| {
            TlsFiles { certificate, key, client_ca: self.client_ca_file.clone() }
        });
        let settings = Settings {
            policy: self.config.clone(),
            policy_bytes: MAX_BYTES,
            find_policy,
            tls,
            parts: threads,
            log,
        };
        let service = Service::new(settings).map_err(|error| BadInput(error.to_string()))?;
        let (mut interrupt, mut terminate) =
            (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        let listener = TcpListener::bind(self.listen).await.with_context(|| {
            format!("could not listen on {}; give another --listen", self.listen)
        })?;
        let here = listener.local_addr()?;
        let (config, version) = (self.config.display(), env!("ZONEGATE_VERSION"));
        say(&format!("started version={version} listen={here} config={config} threads={threads}"));
        let readiness = tokio::spawn(tell_readiness(service.readiness()));
        let (stop, stopped) = watch::channel(false);
        let serving = tokio::spawn(service.serve(listener, stopped));
        let name = tokio::select! {
            _ = interrupt.recv() => "SIGINT",
            _ = terminate.recv() => "SIGTERM",
        };
        service_manager::notify("STOPPING=1");
        readiness.abort();
        stop.send_replace(true);
        serving.await.context("serving")?;
        say(&format!("stopped by {name}"));
        Ok(())
    }
}

fn find_policy(bytes: &[u8]) -> Result<Vec<u8>, String> {
    PluginConfiguration::find(bytes).map(|found| found.json).map_err(|error| error.to_string())
}

/// Tells the service manager when there is a policy.
async fn tell_readiness(mut is_ready: watch::Receiver<bool>) {
    service_manager::notify("STATUS=no policy yet: everything is refused");
    if is_ready.wait_for(|is_ready| *is_ready).await.is_ok() {
        service_manager::notify("READY=1\nSTATUS=a policy is in force");
    }
}

/// Writes a line with its level.
fn log(level: Level, line: &str) {
    let level = match level {
        Level::Info => "info",
        Level::Warn => "warning",
        Level::Error => "error",
    };
    say(&format!("[{level}] {line}"));
}

/// Writes `line` to standard error, in one write. If standard error is closed, nobody can be told.
fn say(line: &str) {
    let line = format!("zonegate serve: {}\n", printable::one_line(line));
    let _ = io::stderr().write_all(line.as_bytes());
}
