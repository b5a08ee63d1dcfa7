//! One connection of the control plane.
//!
//! In: a TCP connection. Out: TLS, then HTTP/2 or HTTP/1.1 as ALPN agreed, and every request passed to gRPC or to the
//! HTTP side, split as Kuma splits them (`pkg/dp-server/server/server.go`): a request is gRPC if it is HTTP/2 and the
//! content type contains `application/grpc`, whatever the path.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;

use anyhow::Context as _;
use http::header::{ALLOW, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode, Version};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tonic::body::Body;
use tonic::codegen::Service as _;
use tonic::service::Routes;

use super::bootstrap;
use super::recorded_body::{AnswerBody, RequestBody, Ticket};
use super::recorder::Recorder;
use crate::certificates::H2;

/// Go's default. A token of 16 KiB in a header must get here, so that the test can see it.
const MAX_HEADER_BYTES: u32 = 1 << 20;
/// A gateway that resets thousands of streams at once does not attack this server.
const MAX_PENDING_RESETS: usize = 1 << 20;

/// The state that every connection needs.
#[derive(Clone)]
pub(super) struct Service {
    pub(super) tls: TlsAcceptor,
    pub(super) routes: Routes,
    pub(super) recorder: Recorder,
    pub(super) stopping: watch::Receiver<bool>,
}

impl Service {
    /// Serves one connection until it ends or the control plane stops.
    pub(super) async fn serve(self, tcp: TcpStream) -> anyhow::Result<()> {
        tcp.set_nodelay(true).context("setting TCP_NODELAY")?;
        let tls = self.tls.accept(tcp).await.context("TLS handshake")?;
        let number = self.recorder.connected();
        if tls.get_ref().1.alpn_protocol() == Some(H2) {
            self.serve_http2(tls, number).await
        } else {
            self.serve_http1(tls, number).await
        }
    }

    async fn serve_http2(self, tls: TlsStream<TcpStream>, number: u64) -> anyhow::Result<()> {
        let service = Arc::new(self);
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder
            .timer(TokioTimer::new())
            .max_concurrent_streams(None)
            .max_header_list_size(MAX_HEADER_BYTES)
            .max_pending_accept_reset_streams(MAX_PENDING_RESETS)
            .max_local_error_reset_streams(None);
        let answer = service_fn(|request| service.clone().answer(number, request));
        let mut connection = pin!(builder.serve_connection(TokioIo::new(tls), answer));
        tokio::select! {
            result = connection.as_mut() => return Ok(result?),
            () = service.stopped() => connection.as_mut().graceful_shutdown(),
        }
        Ok(connection.await?)
    }

    async fn serve_http1(self, tls: TlsStream<TcpStream>, number: u64) -> anyhow::Result<()> {
        let service = Arc::new(self);
        let mut builder = http1::Builder::new();
        builder.timer(TokioTimer::new());
        let answer = service_fn(|request| service.clone().answer(number, request));
        let mut connection = pin!(builder.serve_connection(TokioIo::new(tls), answer));
        tokio::select! {
            result = connection.as_mut() => return Ok(result?),
            () = service.stopped() => connection.as_mut().graceful_shutdown(),
        }
        Ok(connection.await?)
    }

    async fn stopped(&self) {
        // An error means that the control plane is gone, which means stop too.
        self.stopping.clone().wait_for(|stopping| *stopping).await.ok();
    }

    async fn answer(
        self: Arc<Self>,
        connection: u64,
        request: Request<Incoming>,
    ) -> Result<Response<AnswerBody>, Infallible> {
        let (head, body) = request.into_parts();
        let ticket = Ticket::new(&self.recorder, connection, &head);
        let body = RequestBody::new(body, head.version, ticket.clone());
        let request = Request::from_parts(head, body);
        let response = if is_grpc(&request) {
            self.grpc(request).await?
        } else {
            bootstrap::serve(request).await
        };
        Ok(response.map(|body| AnswerBody::new(body, ticket)))
    }

    /// The two refusals are those of grpc-go's `ServeHTTP`; tonic has none.
    async fn grpc(&self, request: Request<RequestBody>) -> Result<Response<Body>, Infallible> {
        if request.method() != Method::POST {
            let mut response = refusal(StatusCode::METHOD_NOT_ALLOWED);
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
            return Ok(response);
        }
        if !content_type(&request).is_some_and(is_grpc_type) {
            return Ok(refusal(StatusCode::UNSUPPORTED_MEDIA_TYPE));
        }
        self.routes.clone().call(request).await
    }
}

fn is_grpc(request: &Request<RequestBody>) -> bool {
    request.version() == Version::HTTP_2
        && content_type(request)
            .is_some_and(|kind| kind.windows(GRPC_TYPE.len()).any(|window| window == GRPC_TYPE))
}

const GRPC_TYPE: &[u8] = b"application/grpc";

/// `application/grpc`, alone or with `+subtype` or `;subtype`, in any case.
fn is_grpc_type(kind: &[u8]) -> bool {
    let kind = kind.to_ascii_lowercase();
    kind.strip_prefix(GRPC_TYPE).is_some_and(|rest| matches!(rest, [] | [b'+' | b';', ..]))
}

/// The first value, as Go's `Header.Get`.
fn content_type<B>(request: &Request<B>) -> Option<&[u8]> {
    request.headers().get(CONTENT_TYPE).map(HeaderValue::as_bytes)
}

fn refusal(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}
