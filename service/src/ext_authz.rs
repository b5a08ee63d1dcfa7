//! Envoy's external authorization: headers only.
//!
//! In: the headers of a request, and the body of a bootstrap request if Envoy is told to send it. Out: that the request
//! passes, or status and message. The protocol does not show which proxy connects, so a token passes if some proxy
//! could use it here. No open stream is ever cut.

use std::sync::Arc;

use envoy_types::pb::envoy::config::core::v3::address::Address;
use envoy_types::pb::envoy::service::auth::v3::attribute_context::HttpRequest;
use envoy_types::pb::envoy::service::auth::v3::attribute_context::Peer;
use envoy_types::pb::envoy::service::auth::v3::authorization_server::Authorization;
use envoy_types::pb::envoy::service::auth::v3::check_response::HttpResponse;
use envoy_types::pb::envoy::service::auth::v3::{
    AttributeContext, CheckRequest, CheckResponse, DeniedHttpResponse, OkHttpResponse,
};
use envoy_types::pb::envoy::r#type::v3::HttpStatus;
use envoy_types::pb::google::protobuf::value::Kind;
use envoy_types::pb::google::protobuf::{Struct, Value};
use envoy_types::pb::google::rpc;
use tonic::{Code, Request, Response, Status};
use zonegate::lifecycle::{Answer, Facts, Step};

use crate::ext_proc::pairs;
use crate::gate::{Gate, HeadersJudged};

/// The service.
#[derive(Debug, Clone)]
pub(crate) struct Authorizer(pub(crate) Arc<Gate>);

#[tonic::async_trait]
impl Authorization for Authorizer {
    async fn check(
        &self,
        request: Request<CheckRequest>,
    ) -> Result<Response<CheckResponse>, Status> {
        let attributes = request.into_inner().attributes;
        let no_request = || Status::invalid_argument("no request to judge");
        let AttributeContext { source, request, .. } = attributes.ok_or_else(no_request)?;
        let http = request.and_then(|request| request.http).ok_or_else(no_request)?;
        let peer = source.as_ref().map(peer).unwrap_or_default();
        let body = match (http.raw_body.as_slice(), http.body.as_bytes()) {
            ([], []) => None,
            ([], text) => Some(text),
            (raw, _) => Some(raw),
        };
        let HeadersJudged { step, answer, facts } =
            self.0.judge_headers(&peer, headers(&http).into_iter(), body);
        let mut response = match (step, answer) {
            (Step::Continue, _) => passed(),
            (Step::Pause, Some(answer)) => refused(&answer),
            (Step::Pause, None) => return Err(Status::unavailable("the request was not judged")),
        };
        response.dynamic_metadata = facts.as_ref().map(metadata);
        Ok(Response::new(response))
    }
}

/// The headers as Envoy has them. With `encode_raw_headers` each header is separate, and need not be UTF-8. Otherwise
/// the values of one name are joined by commas, which no token contains.
fn headers(http: &HttpRequest) -> Vec<(&[u8], &[u8])> {
    let own = [(&b":method"[..], http.method.as_bytes()), (b":path", http.path.as_bytes())];
    let joined = http.headers.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()));
    let all = pairs(http.header_map.as_ref()).chain(joined);
    own.into_iter().chain(all.filter(|(name, _)| !name.starts_with(b":"))).collect()
}

fn peer(peer: &Peer) -> String {
    match peer.address.as_ref().and_then(|address| address.address.as_ref()) {
        Some(Address::SocketAddress(socket)) => socket.address.clone(),
        _ => String::new(),
    }
}

/// Envoy puts it under the namespace of its filter, `envoy.filters.http.ext_authz`.
fn metadata(facts: &Facts) -> Struct {
    let fields = facts.values().map(|(name, value)| {
        let name = name.rsplit('.').next().unwrap_or(name);
        (name.to_owned(), Value { kind: Some(Kind::StringValue(value.to_owned())) })
    });
    Struct { fields: fields.collect() }
}

fn passed() -> CheckResponse {
    response(Code::Ok, HttpResponse::OkResponse(OkHttpResponse::default()))
}

/// If the client speaks gRPC, Envoy itself turns the HTTP status into a gRPC status.
fn refused(Answer { status, message, .. }: &Answer) -> CheckResponse {
    let denied = DeniedHttpResponse {
        status: Some(HttpStatus { code: i32::try_from(status.http).unwrap_or(403) }),
        headers: Vec::new(),
        body: message.clone(),
    };
    let code = i32::try_from(status.grpc.number()).map_or(Code::Unauthenticated, Code::from_i32);
    response(code, HttpResponse::DeniedResponse(denied))
}

fn response(code: Code, response: HttpResponse) -> CheckResponse {
    let status = rpc::Status { code: code.into(), ..rpc::Status::default() };
    CheckResponse { status: Some(status), http_response: Some(response), dynamic_metadata: None }
}
