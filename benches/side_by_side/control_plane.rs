//! A control plane for scenarios that need one behind the gate. It accepts every stream, answers with headers at once,
//! and hands over both directions of the stream.
//!
//! The control plane of the demo does more work, which would distort the measurement.

use std::net::SocketAddr;

use anyhow::Context;
use bytes::Bytes;
use h2::server::SendResponse;
use h2::{RecvStream, SendStream};
use http::{Request, Response};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::{JoinHandle, JoinSet};

use crate::client::WINDOW;

/// A stream at the control plane.
pub(crate) struct Arrived {
    pub(crate) requests: RecvStream,
    pub(crate) responses: SendStream<Bytes>,
}

/// A running control plane. Dropping it ends all connections.
pub(crate) struct ControlPlane {
    pub(crate) address: SocketAddr,
    arrivals: UnboundedReceiver<Arrived>,
    accepting: JoinHandle<()>,
}

impl ControlPlane {
    pub(crate) async fn start(address: SocketAddr) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let (sender, arrivals) = unbounded_channel();
        let accepting = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((tcp, _)) = listener.accept().await {
                connections.spawn(serve(tcp, sender.clone()));
            }
        });
        Ok(Self { address, arrivals, accepting })
    }

    /// The next stream.
    pub(crate) async fn next(&mut self) -> anyhow::Result<Arrived> {
        self.arrivals.recv().await.context("the control plane has ended")
    }

    /// Ends all connections, and waits until the listener is closed.
    pub(crate) async fn stop(mut self) {
        self.accepting.abort();
        let _ = (&mut self.accepting).await;
    }
}

impl Drop for ControlPlane {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn serve(tcp: TcpStream, sender: UnboundedSender<Arrived>) -> anyhow::Result<()> {
    tcp.set_nodelay(true)?;
    let mut builder = h2::server::Builder::new();
    builder.initial_window_size(WINDOW).initial_connection_window_size(WINDOW);
    let mut connection = builder.handshake(tcp).await?;
    while let Some(stream) = connection.accept().await {
        let (request, answer) = stream?;
        sender.send(take(request, answer)?)?;
    }
    Ok(())
}

fn take(request: Request<RecvStream>, mut answer: SendResponse<Bytes>) -> anyhow::Result<Arrived> {
    let head = Response::builder().header("content-type", "application/grpc").body(())?;
    Ok(Arrived { requests: request.into_body(), responses: answer.send_response(head, false)? })
}
