//! The service of `zonegate serve`, which an Envoy can ask in place of a filter, in its own process on one thread.
//!
//! In: a policy. Out: the address of the service, which runs until it is dropped.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::sync::watch;
use zonegate_service::{Settings, TlsFiles};

/// The argument with which this program runs as the service.
pub(crate) const SERVE: &str = "serve";
/// How long the service may take until it has a policy.
const START: Duration = Duration::from_secs(20);

/// A running service. Dropping it kills the process.
pub(crate) struct Service {
    _child: Child,
    _folder: TempDir,
    pub(crate) pid: u32,
    pub(crate) address: SocketAddr,
}

impl Service {
    pub(crate) async fn start(policy: &Value) -> anyhow::Result<Self> {
        let folder = TempDir::new()?;
        let file = folder.path().join("policy.json");
        std::fs::write(&file, policy.to_string())?;
        let mut child = Command::new(std::env::current_exe()?)
            .arg(SERVE)
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let mut address = String::new();
        let stdout = child.stdout.take().context("no stdout")?;
        // The service prints its address once it has a policy.
        let mut stdout = BufReader::new(stdout);
        let read = tokio::time::timeout(START, stdout.read_line(&mut address));
        read.await.context("the service did not start")??;
        let address = address.trim().parse().context("the service did not start")?;
        let pid = child.id().context("the service has ended")?;
        Ok(Self { _child: child, _folder: folder, pid, address })
    }
}

/// The service itself, until it is killed.
pub(crate) async fn serve() -> anyhow::Result<()> {
    let policy = std::env::args_os().nth(2).map(PathBuf::from).context("no policy")?;
    let settings = Settings {
        policy,
        policy_bytes: 64 * 1024 * 1024,
        find_policy: |bytes| Ok(bytes.to_vec()),
        tls: None::<TlsFiles>,
        parts: 1,
        log: |_, _| {},
    };
    let service = zonegate_service::Service::new(settings)?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let here = listener.local_addr()?;
    let mut is_ready = service.readiness();
    let (_stop, stopped) = watch::channel(false);
    let serving = tokio::spawn(service.serve(listener, stopped));
    let start = Instant::now();
    is_ready.wait_for(|is_ready| *is_ready).await?;
    ensure!(start.elapsed() < START, "no policy");
    println!("{here}");
    serving.await?;
    Ok(())
}
