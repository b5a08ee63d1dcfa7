//! The gate as a server, for proxies that load no filter: Envoy asks it by external processing or external
//! authorization, nginx and others by a subrequest.
//!
//! In: [`Settings`], a listener, and the file with the policy. Out: verdicts, until it is told to stop. The core,
//! `zonegate`, decides: by the same lifecycle as in a filter, or by the headers alone if a protocol shows nothing else.
//! The tool knows the forms of files.

mod backend;
mod ext_authz;
mod ext_proc;
mod gate;
mod health;
mod http;
mod metrics;
mod server;
mod tls;
mod watched;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::{Router, middleware};
use envoy_types::pb::envoy::service::auth::v3::authorization_server::AuthorizationServer;
use envoy_types::pb::envoy::service::ext_proc::v3::external_processor_server::ExternalProcessorServer;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};
use tonic::service::Routes;
use tonic_health::pb::health_server::HealthServer;
use zonegate::log_line::Level;
use zonegate::vm_gateway::TICK;

pub use gate::Log;
pub use tls::{TlsError, TlsFiles};

use ext_authz::Authorizer;
use ext_proc::Processor;
use gate::Gate;
use health::Health;
use tls::{Tls, WatchedFiles};
use watched::{LOOK, Watched};

/// The largest message that Envoy may send: it sends a body in pieces as large as its buffer, which must hold more than
/// the largest first message, 1 MiB.
const MESSAGE_BYTES: usize = 4 * 1024 * 1024;
/// The most open calls of external processing on all connections together. Each takes some KiB.
const STREAMS: usize = 100_000;

/// Finds the plugin configuration, as JSON, in a file of any form.
pub type FindPolicy = fn(&[u8]) -> Result<Vec<u8>, String>;

/// How the service runs.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The file with the policy; it is polled for changes.
    pub policy: PathBuf,
    /// The largest size of this file, in bytes.
    pub policy_bytes: usize,
    /// Finds the plugin configuration in the file.
    pub find_policy: FindPolicy,
    /// The certificate, if the service uses TLS.
    pub tls: Option<TlsFiles>,
    /// The number of parts of the gate: one for each thread.
    pub parts: usize,
    /// Writes a log line.
    pub log: Log,
}

/// A service that is about to run.
#[derive(Debug)]
pub struct Service {
    gate: Arc<Gate>,
    settings: Settings,
    tls: Option<Arc<Tls>>,
    certificates: Option<WatchedFiles>,
}

impl Service {
    /// A service with these settings. It waits for the policy file if the file is missing or bad.
    ///
    /// # Errors
    /// The certificate cannot be used.
    pub fn new(settings: Settings) -> Result<Self, TlsError> {
        let opened = settings.tls.clone().map(Tls::open).transpose()?;
        let (tls, certificates) = opened.map(|(tls, files)| (Arc::new(tls), files)).unzip();
        let gate = Gate::new(settings.parts, STREAMS, settings.log);
        Ok(Self { gate, settings, tls, certificates })
    }

    /// Whether there is a policy. Without a policy everything is refused.
    pub fn readiness(&self) -> watch::Receiver<bool> {
        self.gate.readiness()
    }

    /// Serves until `stop` is true. Open streams are cut when the process ends.
    pub async fn serve(self, listener: TcpListener, stop: watch::Receiver<bool>) {
        let Self { gate, settings, tls, certificates } = self;
        let routes = routes(&gate);
        let watching = watch_files(Arc::clone(&gate), settings, tls.clone().zip(certificates));
        let watching = tokio::spawn(watching);
        let ticking = tokio::spawn(tick(gate));
        server::serve(listener, routes, tls, stop).await;
        watching.abort();
        ticking.abort();
    }
}

fn routes(gate: &Arc<Gate>) -> Router {
    let health = HealthServer::new(Health(Arc::clone(gate)));
    let processor = ExternalProcessorServer::new(Processor(Arc::clone(gate)))
        .max_decoding_message_size(MESSAGE_BYTES);
    let authorizer = AuthorizationServer::new(Authorizer(Arc::clone(gate)))
        .max_decoding_message_size(MESSAGE_BYTES);
    let grpc = Routes::new(health).add_service(processor).add_service(authorizer);
    let grpc = grpc.into_axum_router().layer(middleware::from_fn(http::only_grpc));
    grpc.merge(http::routes(Arc::clone(gate))).fallback(http::nowhere)
}

async fn tick(gate: Arc<Gate>) {
    let mut ticks = every(TICK);
    loop {
        ticks.tick().await;
        gate.tick();
    }
}

/// Reads the files in a blocking thread: reading a long list takes a while, and other tasks wait for this thread.
async fn watch_files(
    gate: Arc<Gate>,
    settings: Settings,
    mut certificates: Option<(Arc<Tls>, WatchedFiles)>,
) {
    let mut policy = Watched::new(&settings.policy, settings.policy_bytes);
    let mut looks = every(LOOK);
    loop {
        looks.tick().await;
        let (gate, find, log) = (Arc::clone(&gate), settings.find_policy, settings.log);
        let looked = tokio::task::spawn_blocking(move || {
            look(&gate, &mut policy, find);
            if let Some((tls, files)) = &mut certificates {
                tls.renew(files, log);
            }
            (policy, certificates)
        });
        match looked.await {
            Ok(both) => (policy, certificates) = both,
            Err(_) => return,
        }
    }
}

fn look(gate: &Gate, policy: &mut Watched, find: FindPolicy) {
    let path = policy.path().display().to_string();
    match policy.news() {
        Ok(None) => {}
        Ok(Some(bytes)) => match find(&bytes) {
            Ok(json) => gate.configure(json),
            Err(error) => {
                gate.refuse(Level::Error, &format!("zonegate: {path} refused: {error}"));
            }
        },
        Err(error) => gate.refuse(Level::Error, &not_read(&path, &error)),
    }
}

fn not_read(path: &str, error: &io::Error) -> String {
    format!("zonegate: {path} could not be read: {error}")
}

fn every(period: Duration) -> tokio::time::Interval {
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}
