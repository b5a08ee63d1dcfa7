//! The gate as a service beside an Envoy: `zonegate serve`.
//!
//! In: the program, and the file with the policy. Out: its address, its metrics and its log.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::process::Command;
use tokio::time::sleep;

use super::admin::Admin;
use super::{Gateway, Options};
use crate::process::{Log, Process};

/// How long the service may take until it listens.
const START: Duration = Duration::from_secs(20);
/// Time between two polls.
const LOOK: Duration = Duration::from_millis(20);

/// For each metric with a label: the prefix of the name before the value of the label, and the label.
const LABELLED: [(&str, &str); 6] = [
    ("zonegate.denied.", "reason"),
    ("zonegate.would_deny.", "reason"),
    ("zonegate.streams.cut.", "why"),
    ("zonegate.kid.", "kid"),
    ("zonegate.tokens.expiring.", "within"),
    ("zonegate.zone.", "zone"),
];

/// A running service. It is killed when dropped.
#[derive(Debug)]
pub struct Service {
    process: Process,
    address: SocketAddr,
    client: Client<HttpConnector, Empty<Bytes>>,
}

impl Service {
    /// Starts a service, and waits until it listens. Its log goes to a file in `dir`.
    ///
    /// # Errors
    /// It cannot be started, ends, or does not listen in time; with the end of its log.
    pub async fn start(options: &Options, policy: &Path, dir: &Path) -> anyhow::Result<Self> {
        let listen = options.service.address.context("no address to listen on is set")?;
        let mut command = Command::new(&options.module);
        command.arg("serve").arg("--config").arg(policy).args(["--listen", &listen.to_string()]);
        command.args(&options.service.arguments);
        command.envs(options.environment.iter().map(|(name, value)| (name, value)));
        let log = Self::log_file(dir)?;
        let mut process = Process::start(command, Log::File, log)?;
        let start = Instant::now();
        while start.elapsed() < START {
            if let Some(status) = process.ended()? {
                bail!("the service did not start ({status}): {}", process.log_tail());
            }
            let log = process.log()?;
            let listen = log.split_whitespace().find_map(|word| word.strip_prefix("listen="));
            if let Some(address) = listen {
                let address = address.parse().context("where the service listens")?;
                let client = Client::builder(TokioExecutor::new()).build_http();
                return Ok(Self { process, address, client });
            }
            sleep(LOOK).await;
        }
        bail!("the service does not listen: {}", process.log_tail())
    }

    /// A new log file for each service that is started in a folder.
    fn log_file(dir: &Path) -> anyhow::Result<PathBuf> {
        let free = |number: &u32| !dir.join(format!("service-{number}.log")).exists();
        let number = (0..1000).find(free).context("too many services")?;
        Ok(dir.join(format!("service-{number}.log")))
    }

    /// The address that it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its process id.
    pub fn pid(&self) -> Option<u32> {
        self.process.pid()
    }

    /// Its log so far.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn log(&self) -> anyhow::Result<String> {
        self.process.log()
    }

    /// GETs a path. Returns status and body.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn get(&self, path: &str) -> anyhow::Result<(u16, String)> {
        let uri = format!("http://{}{path}", self.address);
        let answer = self.client.get(uri.parse()?).await.context("asking the service")?;
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await?.to_bytes();
        Ok((status, String::from_utf8_lossy(&body).into_owned()))
    }

    /// A counter or gauge, by the filter's name for it; `None` if no such metric exists.
    ///
    /// # Errors
    /// The service does not answer.
    pub async fn stat(&self, name: &str) -> anyhow::Result<Option<u64>> {
        let (status, text) = self.get("/metrics").await?;
        ensure!(status == 200, "/metrics: {status}");
        let name = shown(name);
        let value = text.lines().find_map(|line| line.strip_prefix(&*name)?.strip_prefix(' '));
        value.map(|value| value.parse().with_context(|| format!("{name}: {value}"))).transpose()
    }

    /// Kills it at once, as the kernel does when memory is short.
    ///
    /// # Errors
    /// It cannot be ended.
    pub async fn kill(mut self) -> anyhow::Result<()> {
        self.process.kill().await
    }

    /// Ends it, and waits until it has ended.
    pub async fn stop(mut self) {
        self.process.stop().await;
    }
}

/// The name and label in Prometheus's format.
fn shown(name: &str) -> String {
    for (before, label) in LABELLED {
        let Some(rest) = name.strip_prefix(before) else { continue };
        let (value, end) = match label {
            "kid" | "zone" => rest.rsplit_once('.').unwrap_or((rest, "")),
            _ => (rest, ""),
        };
        let family = before.trim_end_matches('.').replace('.', "_");
        let dash = if end.is_empty() { "" } else { "_" };
        return format!("{family}{dash}{end}{{{label}=\"{value}\"}}");
    }
    name.replace('.', "_")
}

impl Gateway {
    /// The service that was started with the gateway.
    pub fn service(&self) -> Option<&Service> {
        self.service.as_ref()
    }

    /// Takes the service out of the gateway, so that the caller can end it.
    pub fn take_service(&mut self) -> Option<Service> {
        self.service.take()
    }

    /// Starts the service again, at the same address.
    ///
    /// # Errors
    /// As [`Service::start`].
    pub async fn restart_service(&mut self) -> anyhow::Result<()> {
        let (policy, dir) = (self.files.watched(), self.dir.path());
        self.service = Some(Service::start(&self.options, &policy, dir).await?);
        Ok(())
    }

    /// The metrics for Prometheus: Envoy's, and the service's if there is one.
    ///
    /// # Errors
    /// Envoy or the service does not answer.
    pub async fn prometheus(&self) -> anyhow::Result<String> {
        let mut text = self.admin.get("/stats/prometheus").await?;
        if let Some(service) = &self.service {
            for line in service.get("/metrics").await?.1.lines() {
                let line = match line.split_once(' ') {
                    // As Envoy writes samples without labels.
                    Some((name, value)) if !line.starts_with('#') && !name.contains('{') => {
                        format!("{name}{{}} {value}")
                    }
                    Some(_) | None => line.to_owned(),
                };
                text.push_str(&line);
                text.push('\n');
            }
        }
        Ok(text)
    }
}

/// How many policies were accepted and rejected, by Envoy or by the service.
pub(super) async fn pushes(
    admin: &Admin,
    service: Option<&Service>,
    options: &Options,
) -> anyhow::Result<(u64, u64)> {
    let Some(service) = service else { return admin.pushes(options.delivery.pushes()).await };
    let accepted = service.stat("zonegate.config.accepted").await?.unwrap_or_default();
    let rejected = service.stat("zonegate.config.rejected").await?.unwrap_or_default();
    Ok((accepted, rejected))
}
