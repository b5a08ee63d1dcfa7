//! Health, metrics and the page by HTTP.
//!
//! In: requests, and a [`Status`]. Out: `/`, `/healthz`, `/readyz` and `/metrics`. There is no authentication, because
//! nothing can be changed here and nothing secret is shown. The page is only for this machine.

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use http::header::{ALLOW, CONTENT_TYPE, HOST};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

use super::status::Status;

/// More than probes and scrapers open. The limit stops other clients from opening more.
const MAX_CONNECTIONS: usize = 32;
/// The time limit for a request's headers.
const HEADERS: Duration = Duration::from_secs(5);
/// The time limit for a whole connection.
const CONNECTION: Duration = Duration::from_secs(60);
/// The media type of OpenMetrics 1.0, which Prometheus reads.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Serves until it is dropped.
pub async fn serve(listener: TcpListener, status: Arc<Status>) -> Infallible {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let (Ok(place), Ok((stream, peer))) =
            (Arc::clone(&places).acquire_owned().await, listener.accept().await)
        else {
            // For example, no file descriptors are left.
            sleep(Duration::from_millis(100)).await;
            continue;
        };
        let status = Arc::clone(&status);
        tokio::spawn(async move {
            let _ = timeout(CONNECTION, connection(stream, peer.ip(), status)).await;
            drop(place);
        });
    }
}

/// Serves a connection. Errors of a connection are ignored.
async fn connection(stream: TcpStream, peer: IpAddr, status: Arc<Status>) {
    let service = service_fn(|request| {
        let answer = answer(&request, peer, &status);
        async move { Ok::<_, Infallible>(answer) }
    });
    let mut server = http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(HEADERS).max_buf_size(16 * 1024);
    let _ = server.serve_connection(TokioIo::new(stream), service).await;
}

fn answer(request: &Request<Incoming>, peer: IpAddr, status: &Status) -> Response<Full<Bytes>> {
    if request.method() != Method::GET && request.method() != Method::HEAD {
        let mut refusal = text(StatusCode::METHOD_NOT_ALLOWED, "only GET is served\n");
        refusal.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return refusal;
    }
    match request.uri().path() {
        "/" => page(request, peer, status),
        "/metrics" => {
            let mut answer = text(StatusCode::OK, status.metrics());
            answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(OPEN_METRICS));
            answer
        }
        "/healthz" if status.is_turning() => text(StatusCode::OK, "ok\n"),
        "/healthz" => text(StatusCode::SERVICE_UNAVAILABLE, "no poll has ended for too long\n"),
        "/readyz" if status.is_ready() => text(StatusCode::OK, "ok\n"),
        "/readyz" => text(StatusCode::SERVICE_UNAVAILABLE, "not current yet since the start\n"),
        _ => text(StatusCode::NOT_FOUND, "here are /, /healthz, /readyz and /metrics\n"),
    }
}

fn page(request: &Request<Incoming>, peer: IpAddr, status: &Status) -> Response<Full<Bytes>> {
    let host = request.headers().get(HOST).map(|host| host.to_str().unwrap_or_default());
    if let Err(why) = zonegate_page::may_see(peer, host) {
        return text(StatusCode::FORBIDDEN, why.text());
    }
    let mut answer = text(StatusCode::OK, status.page());
    for (name, value) in zonegate_page::headers() {
        answer.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    answer
}

fn text(status: StatusCode, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut answer = Response::new(Full::new(body.into()));
    *answer.status_mut() = status;
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    answer.headers_mut().insert(CONTENT_TYPE, plain);
    answer
}
