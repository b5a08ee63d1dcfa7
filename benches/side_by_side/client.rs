//! The client side of a zone proxy's connection, with little work of its own.
//!
//! In: tokens. Out: the verdict and the time of each request. Each connection has one request at a time, as that of a
//! proxy.
//!
//! It uses HTTP/2, as gRPC does. The stream stays open after its first message, as a discovery stream does, so the
//! answer ends it in the same way for every subject. In HTTP/1.1 an answer before the end of the request ends the
//! connection.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use bytes::Bytes;
use envoy_types::pb::envoy::service::discovery::v3::DiscoveryRequest;
use h2::client::SendRequest;
use h2::{RecvStream, SendStream};
use http::{HeaderMap, HeaderValue, Request, Uri};
use prost::Message;
use tokio::net::TcpStream;
use zonegate::gate::ADS_SOTW;
use zonegate_testkit::raw_client::grpc_frame;
use zonegate_testkit::zone_proxy::{Claimed, discovery_request};

use crate::envoy::PASSED;

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It reached the route.
    Passed,
    /// A filter refused it.
    Refused,
}

/// The identity that a proxy claims.
#[derive(Clone, Copy)]
pub(crate) struct ClaimedProxy {
    pub(crate) node_id: &'static str,
    pub(crate) claimed: Claimed<'static>,
}

impl ClaimedProxy {
    pub(crate) const INGRESS: Self = Self { node_id: ".ingress-1", claimed: Claimed::INGRESS };
}

/// An open stream.
pub(crate) struct Open {
    pub(crate) requests: SendStream<Bytes>,
    pub(crate) responses: RecvStream,
}

impl Open {
    /// Waits until the stream is cut.
    pub(crate) async fn ended(&mut self) {
        while let Some(Ok(_)) = self.responses.data().await {}
    }
}

/// The window of every stream and connection. It is larger than the largest message, so no side waits for it.
pub(crate) const WINDOW: u32 = 8 * 1024 * 1024;

/// One connection.
pub(crate) struct Client {
    sender: SendRequest<Bytes>,
    uri: Uri,
    first_message: Bytes,
}

impl Client {
    /// A connection of `proxy`.
    pub(crate) async fn connect(address: SocketAddr, proxy: ClaimedProxy) -> anyhow::Result<Self> {
        let tcp = TcpStream::connect(address).await?;
        tcp.set_nodelay(true)?;
        let mut builder = h2::client::Builder::new();
        builder.initial_window_size(WINDOW).initial_connection_window_size(WINDOW);
        let (sender, connection) = builder.handshake(tcp).await?;
        // This task ends when the sender is dropped.
        tokio::spawn(connection);
        Ok(Self {
            sender: sender.ready().await?,
            uri: format!("http://control-plane{ADS_SOTW}").parse()?,
            first_message: first_message(proxy),
        })
    }

    /// Opens a stream with `token`, and waits for the answer.
    pub(crate) async fn ask(&mut self, token: HeaderValue) -> anyhow::Result<(Verdict, Duration)> {
        let request = self.request(token)?;
        let start = Instant::now();
        let (answer, mut body) = self.sender.send_request(request, false)?;
        body.send_data(self.first_message.clone(), false)?;
        let answer = answer.await?;
        let took = start.elapsed();
        let verdict = verdict(answer.headers())?;
        // The answer ended one half of the stream, the reset ends the other.
        poll_fn(|context| body.poll_reset(context)).await?;
        Ok((verdict, took))
    }

    /// Opens a stream with `token` to a control plane, and waits for the headers of the answer.
    pub(crate) async fn open(&mut self, token: HeaderValue) -> anyhow::Result<Open> {
        let request = self.request(token)?;
        let (answer, mut requests) = self.sender.send_request(request, false)?;
        requests.send_data(self.first_message.clone(), false)?;
        let answer = answer.await?;
        if let Some(status) = answer.headers().get("grpc-status") {
            bail!("grpc-status {status:?}: {:?}", answer.headers().get("grpc-message"));
        }
        Ok(Open { requests, responses: answer.into_body() })
    }

    /// The length of the first message of every stream, in bytes.
    pub(crate) fn first_message_length(&self) -> usize {
        self.first_message.len()
    }

    fn request(&self, token: HeaderValue) -> anyhow::Result<Request<()>> {
        Ok(Request::post(self.uri.clone())
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .header("authorization", token)
            .body(())?)
    }
}

fn verdict(headers: &HeaderMap) -> anyhow::Result<Verdict> {
    let status = headers.get("grpc-status").context("not a gRPC answer")?;
    match status.to_str()? {
        PASSED => Ok(Verdict::Passed),
        "7" | "16" => Ok(Verdict::Refused),
        other => bail!("grpc-status {other}: {:?}", headers.get("grpc-message")),
    }
}

fn first_message(proxy: ClaimedProxy) -> Bytes {
    let mut request: DiscoveryRequest = discovery_request(proxy.claimed);
    if let Some(node) = &mut request.node {
        node.id = proxy.node_id.to_owned();
    }
    grpc_frame(&request.encode_to_vec()).into()
}
