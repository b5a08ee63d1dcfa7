//! A control plane that behaves as Kuma's does on its ports 5678 and 5685, and records what reaches it.
//!
//! In: connections of proxies and of zone control planes. Out: the answers of the two discovery services, of
//! `/bootstrap` and of KDS, all on one port, and a [`Recorder`]. It checks no token: it stands behind the gate, and
//! shows what the gate let through.

mod bootstrap;
mod discovery;
mod kds;
mod recorded_body;
mod recorder;
mod serve;

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::Context;
use tokio::net::TcpListener;
use tokio::sync::{broadcast, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

use self::discovery::Order;
pub use self::recorder::{Ended, Recorder, Request};
use self::serve::Service;
use crate::certificates::{Certificates, Identity, server_config};

/// How long [`ControlPlane::stop`] waits for clients to disconnect.
const GRACE: Duration = Duration::from_secs(2);
/// How many orders a slow stream may lag before it misses one.
const MAX_ORDERS: usize = 64;

/// How to run a control plane.
#[derive(Debug, Clone)]
pub struct Options {
    /// The address to listen on; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The server certificate.
    pub identity: Identity,
    /// Whether to print a line per event.
    pub announce: bool,
    /// Whether to keep the bytes of request bodies. Off for load tests, to save memory.
    pub record_bodies: bool,
}

impl Options {
    /// On a free port of 127.0.0.1, silent, with bodies recorded.
    #[must_use]
    pub fn new(certificates: &Certificates) -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            identity: certificates.control_plane.clone(),
            announce: false,
            record_bodies: true,
        }
    }
}

/// A running control plane. All connections break when it is dropped.
#[derive(Debug)]
pub struct ControlPlane {
    address: SocketAddr,
    recorder: Recorder,
    orders: broadcast::Sender<Order>,
    stopping: watch::Sender<bool>,
    accepting: JoinHandle<()>,
}

impl ControlPlane {
    /// Starts a control plane. It is ready for connections when this returns.
    ///
    /// # Errors
    /// If the port is taken or the certificate is not usable.
    pub async fn start(options: Options) -> anyhow::Result<Self> {
        let Options { listen, identity, announce, record_bodies } = options;
        let tls = TlsAcceptor::from(server_config(&identity)?);
        let listener =
            TcpListener::bind(listen).await.with_context(|| format!("listening on {listen}"))?;
        let address = listener.local_addr().context("reading the address listened on")?;
        let recorder = Recorder::new(record_bodies, announce);
        let orders = broadcast::Sender::new(MAX_ORDERS);
        let stopping = watch::Sender::new(false);
        let service = Service {
            tls,
            routes: discovery::routes(&orders),
            recorder: recorder.clone(),
            stopping: stopping.subscribe(),
        };
        let accepting = tokio::spawn(accept(listener, service));
        Ok(Self { address, recorder, orders, stopping, accepting })
    }

    /// The address that it listens on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The record of what reached it.
    #[must_use]
    pub fn recorder(&self) -> &Recorder {
        &self.recorder
    }

    /// Sends a message on every open gRPC stream, and returns the number of streams. A stream counts once its service
    /// has taken it, which is after its headers were seen: wait for its first answer.
    pub fn push(&self) -> usize {
        self.order(Order::Push)
    }

    /// A handle that pushes from another task.
    #[must_use]
    pub fn pusher(&self) -> Pusher {
        Pusher(self.orders.clone())
    }

    /// Ends every open gRPC stream with status 0, and returns their number.
    pub fn close_streams(&self) -> usize {
        self.order(Order::Close)
    }

    /// Ends all streams, waits until pending answers are complete, and closes the port.
    pub async fn stop(mut self) {
        self.stopping.send_replace(true);
        self.close_streams();
        timeout(GRACE, &mut self.accepting).await.ok();
    }

    /// That no stream is open is not an error.
    fn order(&self, order: Order) -> usize {
        self.orders.send(order).unwrap_or_default()
    }
}

/// Sends messages on the open streams of a [`ControlPlane`].
#[derive(Debug, Clone)]
pub struct Pusher(broadcast::Sender<Order>);

impl Pusher {
    /// As [`ControlPlane::push`].
    pub fn push(&self) -> usize {
        self.0.send(Order::Push).unwrap_or_default()
    }
}

impl Drop for ControlPlane {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Accepts connections until told to stop, then waits for the open ones. They are closed when this future is dropped.
async fn accept(listener: TcpListener, service: Service) {
    let mut stopping = service.stopping.clone();
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                // The failure of one connection does not concern the others.
                Ok((tcp, _)) => drop(connections.spawn(service.clone().serve(tcp))),
                // Usually out of file descriptors: wait until some are closed.
                Err(_) => sleep(Duration::from_millis(10)).await,
            },
            Some(_) = connections.join_next() => {}
            () = told_to_stop(&mut stopping) => break,
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

/// If the sender is gone, that counts as a stop too.
async fn told_to_stop(stopping: &mut watch::Receiver<bool>) {
    stopping.wait_for(|stopping| *stopping).await.ok();
}
