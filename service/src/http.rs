//! Plain HTTP: `/auth` for nginx, `/forward-auth` for Traefik and similar proxies, `/metrics`, `/ready`, and the page
//! for people.
//!
//! In: the headers of a subrequest, in which a proxy describes the request of its client. Out: 200, or 401 or 403 with
//! status and message in headers. Like [`crate::ext_authz`], it sees only headers.
//!
//! Each dialect has its own path, and its two headers must occur once. A client can send the headers of the other
//! dialect, and its proxy would pass them on.
//!
//! `/` answers with a redirect to the page, never with 200. A proxy that is configured with the address of the service
//! and no path asks `/`, and would take 200 for a yes.

use std::net::IpAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{CONTENT_TYPE, HOST, LOCATION};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode};
use axum::middleware::Next;
use axum::routing::{any, get};
use zonegate::lifecycle::{Answer, Step};
use zonegate_page::{NotShown, may_see};

use crate::gate::{Gate, HeadersJudged};

/// The headers in which a proxy describes the request of its client.
#[derive(Debug, Clone, Copy)]
struct Dialect {
    method: &'static str,
    uri: &'static str,
    statuses: Statuses,
}

/// The statuses that a proxy passes on to its client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Statuses {
    /// nginx turns all other statuses into 500.
    Only401And403,
    All,
}

const AUTH_REQUEST: Dialect = Dialect {
    method: "x-original-method",
    uri: "x-original-uri",
    statuses: Statuses::Only401And403,
};
const FORWARD_AUTH: Dialect =
    Dialect { method: "x-forwarded-method", uri: "x-forwarded-uri", statuses: Statuses::All };

/// The gRPC status, for a proxy to pass on.
const GRPC_STATUS: &str = "x-zonegate-grpc-status";
/// The message, encoded as in `grpc-message`.
const GRPC_MESSAGE: &str = "x-zonegate-grpc-message";

/// The path of the page.
pub(crate) const PAGE: &str = "/status";

/// The address of the peer. Only requests for the page have it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer(pub(crate) IpAddr);

/// The routes of all paths.
pub(crate) fn routes(gate: Arc<Gate>) -> Router {
    Router::new()
        .route("/auth", any(auth_request))
        .route("/forward-auth", any(forward_auth))
        .route("/", get(to_the_page))
        .route(PAGE, get(page))
        .route("/metrics", get(metrics))
        .route("/ready", get(ready))
        .with_state(gate)
}

/// Lets gRPC requests pass to the gRPC services, and refuses all others. These services report errors with HTTP status
/// 200, and a proxy that asks at the wrong path would take 200 for a yes.
pub(crate) async fn only_grpc(request: Request, next: Next) -> Response<Body> {
    let content_type = request.headers().get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    match content_type.is_some_and(|value| value.starts_with(b"application/grpc")) {
        true => next.run(request).await,
        false => text(StatusCode::UNSUPPORTED_MEDIA_TYPE, "this path accepts gRPC requests only\n"),
    }
}

/// The answer for unknown paths. A gRPC client takes it for UNIMPLEMENTED.
pub(crate) async fn nowhere() -> Response<Body> {
    text(
        StatusCode::NOT_FOUND,
        "unknown path: this service has gRPC, /auth, /forward-auth, /metrics, /ready and /status\n",
    )
}

async fn auth_request(State(gate): State<Arc<Gate>>, headers: HeaderMap) -> Response<Body> {
    judge(&gate, &headers, AUTH_REQUEST)
}

async fn forward_auth(State(gate): State<Arc<Gate>>, headers: HeaderMap) -> Response<Body> {
    judge(&gate, &headers, FORWARD_AUTH)
}

async fn to_the_page() -> Response<Body> {
    let mut response = text(StatusCode::SEE_OTHER, "the page is at /status\n");
    response.headers_mut().insert(LOCATION, HeaderValue::from_static(PAGE));
    response
}

async fn page(State(gate): State<Arc<Gate>>, request: Request) -> Response<Body> {
    let peer = request.extensions().get::<Peer>().copied();
    // In HTTP/2 the host is a part of the URI.
    let host = request.headers().get(HOST).map(|host| host.to_str().unwrap_or_default());
    let host = request.uri().authority().map(Authority::as_str).or(host);
    match peer.map_or(Err(NotShown::OtherMachine), |Peer(peer)| may_see(peer, host)) {
        Ok(()) => {
            let mut response = text(StatusCode::OK, gate.page());
            for (name, value) in zonegate_page::headers() {
                response.headers_mut().insert(name, HeaderValue::from_static(value));
            }
            response
        }
        Err(why) => text(StatusCode::FORBIDDEN, why.text()),
    }
}

async fn metrics(State(gate): State<Arc<Gate>>) -> Response<Body> {
    let mut response = text(StatusCode::OK, gate.metrics_text());
    let prometheus = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, prometheus);
    response
}

async fn ready(State(gate): State<Arc<Gate>>) -> Response<Body> {
    let is_ready = *gate.readiness().borrow();
    match is_ready {
        true => text(StatusCode::OK, "ok\n"),
        false => text(StatusCode::SERVICE_UNAVAILABLE, "no policy: everything is refused\n"),
    }
}

fn judge(gate: &Arc<Gate>, headers: &HeaderMap, dialect: Dialect) -> Response<Body> {
    let (Some(method), Some(uri)) = (only(headers, dialect.method), only(headers, dialect.uri))
    else {
        let words =
            format!("{} and {} must each occur exactly once\n", dialect.method, dialect.uri);
        return text(StatusCode::FORBIDDEN, words);
    };
    let own = [(&b":method"[..], method), (b":path", uri)];
    let others = headers.iter().map(|(name, value)| (name.as_str().as_bytes(), value.as_bytes()));
    let peer = only(headers, "x-forwarded-for").unwrap_or_default();
    let HeadersJudged { step, answer, .. } =
        gate.judge_headers(&String::from_utf8_lossy(peer), own.into_iter().chain(others), None);
    match (step, answer) {
        (Step::Continue, _) => text(StatusCode::OK, ""),
        (Step::Pause, Some(answer)) => refused(&answer, dialect.statuses),
        (Step::Pause, None) => text(StatusCode::FORBIDDEN, "the request was not judged\n"),
    }
}

fn only<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h [u8]> {
    let mut all = headers.get_all(name).iter();
    all.next().filter(|_| all.next().is_none()).map(HeaderValue::as_bytes)
}

fn refused(answer: &Answer, statuses: Statuses) -> Response<Body> {
    let exact = u16::try_from(answer.status.http).ok();
    let exact = exact.and_then(|code| StatusCode::from_u16(code).ok());
    let exact = exact.unwrap_or(StatusCode::FORBIDDEN);
    let status = match (statuses, exact) {
        (Statuses::All, _) | (_, StatusCode::UNAUTHORIZED) => exact,
        (Statuses::Only401And403, _) => StatusCode::FORBIDDEN,
    };
    let mut response = text(status, format!("{}\n", answer.message));
    let headers = response.headers_mut();
    headers.insert(GRPC_STATUS, HeaderValue::from(answer.status.grpc.number()));
    if let Ok(message) = HeaderValue::from_str(&answer.grpc_message()) {
        headers.insert(GRPC_MESSAGE, message);
    }
    response
}

fn text(status: StatusCode, body: impl Into<Body>) -> Response<Body> {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, plain);
    response
}
