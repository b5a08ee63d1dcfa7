//! Requests that no well-behaved client sends.
//!
//! In: the parts of one request, sent unchanged. Out: the answer. The crate h2 refuses to send some malformed requests
//! (a path without a slash, duplicate pseudo-headers); send those as bytes with [`http1`].

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use h2::{Ping, PingPong, Reason, SendStream};
use http::{HeaderMap, HeaderName, HeaderValue, Request};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Mutex, Notify};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::ServerName;

use super::certificates::{H2, HTTP_1_1, client_config};

/// How long an answer may take.
const LIMIT: Duration = Duration::from_secs(30);

/// One HTTP/2 request.
#[derive(Debug, Clone)]
pub struct RawRequest<'a> {
    /// `:method`.
    pub method: &'a str,
    /// `:path`.
    pub path: &'a str,
    /// Headers, in this order, names possibly repeated.
    pub headers: Vec<(&'a str, Vec<u8>)>,
    /// DATA frames.
    pub chunks: Vec<Vec<u8>>,
    /// How it ends.
    pub end: End,
}

/// How a request ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// After its last chunk, or after its headers if there is none.
    Stream,
    /// By trailers.
    Trailers,
    /// Not until the answer is there.
    Never,
}

/// The answer to a request.
#[derive(Debug, Clone, Default)]
pub struct Answer {
    /// The HTTP status; 0 if the stream was reset before there was one.
    pub status: u16,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Vec<u8>,
    /// Its trailers.
    pub trailers: HeaderMap,
    /// Why it was reset, if it was.
    pub reset: Option<Reason>,
}

impl Answer {
    /// `grpc-status`, in trailers or headers.
    pub fn grpc_status(&self) -> Option<u32> {
        self.grpc("grpc-status")?.parse().ok()
    }

    /// `grpc-message`, percent-decoded only for spaces and quotes.
    pub fn grpc_message(&self) -> Option<String> {
        Some(self.grpc("grpc-message")?.replace("%20", " ").replace("%22", "\""))
    }

    fn grpc(&self, name: &str) -> Option<&str> {
        self.trailers.get(name).or_else(|| self.headers.get(name))?.to_str().ok()
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// An HTTP/2 connection for raw requests.
#[derive(Clone)]
pub struct RawConnection {
    requests: SendRequest<Bytes>,
    pings: Arc<Mutex<PingPong>>,
}

/// A request that is sent piece by piece. It is reset when dropped.
pub struct RawStream {
    answer: ResponseFuture,
    body: SendStream<Bytes>,
}

impl RawConnection {
    /// Connects, trusting the CA in `ca` (PEM).
    ///
    /// # Errors
    /// There is no connection.
    pub async fn open(gateway: SocketAddr, ca: &str) -> anyhow::Result<Self> {
        let tls = connect(gateway, ca, H2).await?;
        let (sender, mut connection) = h2::client::handshake(tls).await?;
        let pings = connection.ping_pong().context("the pings are in use")?;
        // The task ends with the last sender.
        tokio::spawn(connection);
        Ok(Self { requests: sender.ready().await?, pings: Arc::new(Mutex::new(pings)) })
    }

    /// Begins a request: sends its headers.
    ///
    /// # Errors
    /// The connection broke, or h2 refuses to send the request.
    pub async fn begin(
        &self,
        method: &str,
        path: &str,
        headers: Vec<(&str, Vec<u8>)>,
    ) -> anyhow::Result<RawStream> {
        let request = head(method, path, headers)?;
        let mut sender = self.requests.clone().ready().await?;
        let (answer, body) = sender.send_request(request, false)?;
        Ok(RawStream { answer, body })
    }

    /// Waits until the other side has read everything that was sent so far.
    ///
    /// # Errors
    /// The connection broke, or the ping is not answered.
    pub async fn settled(&self) -> anyhow::Result<()> {
        let mut pings = self.pings.lock().await;
        // The first ping may overtake data that is still to be written; the second cannot.
        for _ in 0..2 {
            timeout(LIMIT, pings.ping(Ping::opaque())).await.context("no answer to a ping")??;
        }
        Ok(())
    }

    /// Sends one request and reads its answer.
    ///
    /// # Errors
    /// The connection broke, no answer came in time, or h2 refuses to send the request.
    pub async fn send(&self, request: RawRequest<'_>) -> anyhow::Result<Answer> {
        let go_on = Notify::new();
        go_on.notify_one();
        self.send_paused(request, &go_on).await
    }

    /// As [`Self::send`], but the last chunk waits until `go_on` is notified.
    ///
    /// # Errors
    /// As [`Self::send`].
    pub async fn send_paused(
        &self,
        request: RawRequest<'_>,
        go_on: &Notify,
    ) -> anyhow::Result<Answer> {
        let mut seen = Answer::default();
        let exchange = timeout(LIMIT, self.exchange(request, go_on, &mut seen)).await;
        exchange.with_context(|| format!("no end in time, but {seen:?}"))??;
        Ok(seen)
    }

    async fn exchange(
        &self,
        raw: RawRequest<'_>,
        go_on: &Notify,
        seen: &mut Answer,
    ) -> anyhow::Result<()> {
        let RawRequest { method, path, headers, chunks, end } = raw;
        let request = head(method, path, headers)?;
        let ends_at_once = chunks.is_empty() && end == End::Stream;
        let mut sender = self.requests.clone().ready().await?;
        let (answer, mut body) = sender.send_request(request, ends_at_once)?;
        if !ends_at_once {
            let last = chunks.len().saturating_sub(1);
            for (index, chunk) in chunks.into_iter().enumerate() {
                if index == last {
                    go_on.notified().await;
                }
                // Sending fails if the answer came before the request was complete.
                let _ = body.send_data(chunk.into(), index == last && end == End::Stream);
                tokio::task::yield_now().await;
            }
            if end == End::Trailers {
                let _ = body.send_trailers(HeaderMap::new());
            }
        }
        read(answer, seen).await
    }
}

impl RawStream {
    /// Sends a piece of the body; the last one if `end`. The piece is discarded if the request is already answered.
    pub fn send(&mut self, piece: Vec<u8>, end: bool) {
        let _ = self.body.send_data(piece.into(), end);
    }

    /// Reads the whole answer.
    ///
    /// # Errors
    /// The connection broke, or the answer did not end within `limit`; with the part that came by then.
    pub async fn answer(self, limit: Duration) -> anyhow::Result<Answer> {
        let mut seen = Answer::default();
        let Self { answer, body } = self;
        let read = timeout(limit, read(answer, &mut seen)).await;
        read.with_context(|| format!("no end in time, but {seen:?}"))??;
        drop(body);
        Ok(seen)
    }
}

fn head(method: &str, path: &str, headers: Vec<(&str, Vec<u8>)>) -> anyhow::Result<Request<()>> {
    let mut request = Request::builder().method(method);
    request = request.uri(format!("https://localhost{path}"));
    for (name, value) in headers {
        let name = HeaderName::from_bytes(name.as_bytes())?;
        request = request.header(name, HeaderValue::from_bytes(&value)?);
    }
    Ok(request.body(())?)
}

/// A reset counts as an end, not as an error.
async fn read(answer: ResponseFuture, seen: &mut Answer) -> anyhow::Result<()> {
    match read_on(answer, seen).await {
        Err(error) if error.reason().is_some() => seen.reset = error.reason(),
        other => other?,
    }
    Ok(())
}

async fn read_on(answer: ResponseFuture, seen: &mut Answer) -> Result<(), h2::Error> {
    let (head, mut body) = answer.await?.into_parts();
    seen.status = head.status.as_u16();
    seen.headers = head.headers;
    while let Some(chunk) = body.data().await {
        let chunk = chunk?;
        body.flow_control().release_capacity(chunk.len())?;
        seen.body.extend_from_slice(&chunk);
    }
    seen.trailers = body.trailers().await?.unwrap_or_default();
    Ok(())
}

/// Sends `bytes` over TLS as HTTP/1.1 and reads until the other side closes.
///
/// # Errors
/// The connection broke, or was not closed in time.
pub async fn http1(gateway: SocketAddr, ca: &str, bytes: &[u8]) -> anyhow::Result<String> {
    let mut tls = connect(gateway, ca, HTTP_1_1).await?;
    tls.write_all(bytes).await?;
    let mut answer = Vec::new();
    // A peer that closes without TLS's `close_notify` has answered too.
    let read = timeout(LIMIT, tls.read_to_end(&mut answer)).await.context("no end in time")?;
    match read {
        Err(error) if answer.is_empty() => Err(anyhow!(error)),
        _ => Ok(String::from_utf8_lossy(&answer).into_owned()),
    }
}

async fn connect(
    gateway: SocketAddr,
    ca: &str,
    alpn: &[u8],
) -> anyhow::Result<TlsStream<TcpStream>> {
    let tcp = TcpStream::connect(gateway).await.with_context(|| format!("connecting {gateway}"))?;
    tcp.set_nodelay(true)?;
    let name = ServerName::try_from("localhost")?;
    let tls = TlsConnector::from(client_config(ca, &[alpn])?);
    tls.connect(name, tcp).await.context("TLS handshake")
}

/// `message` as gRPC sends it: Compressed-Flag 0, Message-Length, message.
pub fn grpc_frame(message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
    [&[0], length.to_be_bytes().as_slice(), message].concat()
}
