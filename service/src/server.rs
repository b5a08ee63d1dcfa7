//! Connections.
//!
//! In: a listener. Out: every protocol on its port: gRPC by HTTP/2, the rest by HTTP/1.1 or HTTP/2. This module sets
//! the limits; the modules of the protocols handle requests.

use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use hyper::Request;
use hyper::body::Incoming;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

use crate::http::{self, Peer};
use crate::tls::Tls;

/// The most connections at the same time. An Envoy opens one for each worker and each [`STREAMS`] requests.
const CONNECTIONS: usize = 10_000;
/// The most requests at the same time on one connection.
const STREAMS: u32 = 1_000;
/// How many requests a peer may reset before the service has looked at them. Where a client of the gateway disconnects, all
/// of its requests are reset at once. Beyond this the connection ends, with the requests of other clients.
const RESETS: usize = STREAMS as usize;
/// How many times, in the life of a connection, data may come for requests that are over. It comes where an answer and a
/// reset cross, and Envoy keeps a connection for days. Each takes some hundred bytes until the peer reads of it (RustSec:
/// RUSTSEC-2024-0003). Beyond this the connection ends, with the requests of other clients.
const LATE: usize = 100_000;
/// The most bytes of one request that a peer may send before they are read. It is more than the first message of a
/// proxy, which is held.
const STREAM_WINDOW: u32 = 1_310_720;
/// The same for all requests of a connection together. A request that is not read must not block the others.
const CONNECTION_WINDOW: u32 = 16 * 1024 * 1024;
/// The most bytes that are written to one request and not yet taken.
const SEND_BUFFER: usize = 256 * 1024;
/// The largest headers: more than Envoy accepts from a client.
const HEADER_BYTES: u32 = 128 * 1024;
/// The time for a handshake, for the headers of HTTP/1.1, and until a new connection has its first request.
const HEADERS: Duration = Duration::from_secs(10);
/// The time for a request that crosses the end of a connection that had none.
const LAST_REQUEST: Duration = Duration::from_secs(1);
/// How often a peer is asked whether it is still there, and how long it may take to answer.
const KEEPALIVE: Duration = Duration::from_secs(20);
const KEEPALIVE_ANSWER: Duration = Duration::from_secs(10);

/// Serves until `stop` is true.
pub(crate) async fn serve(
    listener: TcpListener,
    routes: Router,
    tls: Option<Arc<Tls>>,
    mut stop: watch::Receiver<bool>,
) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let accepted = tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return,
            accepted = accept(&listener, &places) => accepted,
        };
        let Some((stream, peer, place)) = accepted else {
            // No file descriptors, for instance.
            sleep(Duration::from_millis(100)).await;
            continue;
        };
        let (routes, tls) = (routes.clone(), tls.clone());
        tokio::spawn(async move {
            match tls {
                None => connection(stream, peer, routes).await,
                Some(tls) => {
                    let handshake = TlsAcceptor::from(tls.now()).accept(stream);
                    if let Ok(Ok(stream)) = timeout(HEADERS, handshake).await {
                        connection(stream, peer, routes).await;
                    }
                }
            }
            drop(place);
        });
    }
}

async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> Option<(TcpStream, IpAddr, tokio::sync::OwnedSemaphorePermit)> {
    let place = Arc::clone(places).acquire_owned().await.ok()?;
    let (stream, peer) = listener.accept().await.ok()?;
    // Messages are small, and a peer waits for each.
    let _ = stream.set_nodelay(true);
    Some((stream, peer.ip(), place))
}

/// A connection that breaks off is not an error of the service.
async fn connection(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    peer: IpAddr,
    routes: Router,
) {
    let mut server = auto::Builder::new(TokioExecutor::new());
    server.http1().timer(TokioTimer::new()).header_read_timeout(HEADERS);
    server
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .max_pending_accept_reset_streams(RESETS)
        .max_local_error_reset_streams(LATE)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_header_list_size(HEADER_BYTES)
        .max_send_buf_size(SEND_BUFFER)
        .keep_alive_interval(KEEPALIVE)
        .keep_alive_timeout(KEEPALIVE_ANSWER);
    let routes = TowerToHyperService::new(routes);
    let has_asked = AtomicBool::new(false);
    let service = service_fn(|mut request: Request<Incoming>| {
        has_asked.store(true, Ordering::Relaxed);
        // Only requests for the page need the address of the peer.
        if request.uri().path() == http::PAGE {
            request.extensions_mut().insert(Peer(peer));
        }
        routes.call(request)
    });
    let mut served = pin!(server.serve_connection(TokioIo::new(stream), service));
    // A connection that asks for nothing takes the place of others.
    if timeout(HEADERS, &mut served).await.is_ok() {
        return;
    }
    if has_asked.load(Ordering::Relaxed) {
        let _ = served.await;
    } else {
        served.as_mut().graceful_shutdown();
        let _ = timeout(LAST_REQUEST, served).await;
    }
}
