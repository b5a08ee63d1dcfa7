//! Messages to Envoy, and from Envoy.
//!
//! In: an answer of the core, or a message of Envoy. Out: protobuf, or the address of the peer.

use std::collections::HashMap;

use envoy_types::pb::envoy::service::ext_proc::v3::body_mutation::Mutation;
use envoy_types::pb::envoy::service::ext_proc::v3::processing_response::Response;
use envoy_types::pb::envoy::service::ext_proc::v3::{
    BodyMutation, BodyResponse, CommonResponse, GrpcStatus, HeadersResponse, ImmediateResponse,
    ProcessingRequest, ProcessingResponse, StreamedBodyResponse, TrailersResponse,
};
use envoy_types::pb::envoy::r#type::v3::HttpStatus;
use envoy_types::pb::google::protobuf::value::Kind;
use envoy_types::pb::google::protobuf::{Struct, Value};
use zonegate::gate::Status;
use zonegate::lifecycle::{Answer, Facts, Protocol};

/// The namespace of dynamic metadata in which access logs and later filters find the facts of a request.
const NAMESPACE: &str = "zonegate";

/// The headers continue unchanged.
pub(super) fn headers() -> ProcessingResponse {
    response(Response::RequestHeaders(HeadersResponse::default()))
}

/// This piece of the body continues.
pub(super) fn body(body: Vec<u8>, end_of_stream: bool) -> ProcessingResponse {
    let streamed = StreamedBodyResponse { body, end_of_stream, ..StreamedBodyResponse::default() };
    let mutation = BodyMutation { mutation: Some(Mutation::StreamedResponse(streamed)) };
    let common = CommonResponse { body_mutation: Some(mutation), ..CommonResponse::default() };
    response(Response::RequestBody(BodyResponse { response: Some(common) }))
}

/// The trailers continue unchanged.
pub(super) fn trailers() -> ProcessingResponse {
    response(Response::RequestTrailers(TrailersResponse::default()))
}

/// The client is answered in place of the upstream.
pub(super) fn immediate(answer: &Answer, facts: Option<&Facts>) -> ProcessingResponse {
    let Answer { protocol, status: Status { grpc, http }, message } = answer;
    let reason = facts.and_then(|facts| facts.reason).map(|reason| reason.as_str());
    let grpc_status = match protocol {
        Protocol::Grpc => Some(GrpcStatus { status: grpc.number() }),
        Protocol::Http => None,
    };
    let mut response = response(Response::ImmediateResponse(ImmediateResponse {
        status: Some(HttpStatus { code: i32::try_from(*http).unwrap_or(403) }),
        headers: None,
        body: message.clone().into_bytes(),
        grpc_status,
        details: format!("zonegate_{}", reason.unwrap_or("refused")),
    }));
    response.dynamic_metadata = facts.map(metadata);
    response
}

/// The facts of a request for access logs, under the names that the filter uses.
pub(super) fn metadata(facts: &Facts) -> Struct {
    let values = facts.values().map(|(name, value)| {
        let name = name.rsplit('.').next().unwrap_or(name);
        (name.to_owned(), text(value))
    });
    let known = Kind::StructValue(Struct { fields: values.collect() });
    let known = Value { kind: Some(known) };
    Struct { fields: HashMap::from([(NAMESPACE.to_owned(), known)]) }
}

/// Address and port of the client, if Envoy sends them.
pub(super) fn peer(request: &ProcessingRequest) -> String {
    let address = request.attributes.values().find_map(|all| all.fields.get("source.address"));
    match address.and_then(|value| value.kind.as_ref()) {
        Some(Kind::StringValue(address)) => address.clone(),
        _ => String::new(),
    }
}

fn text(value: &str) -> Value {
    Value { kind: Some(Kind::StringValue(value.to_owned())) }
}

fn response(response: Response) -> ProcessingResponse {
    ProcessingResponse { response: Some(response), ..ProcessingResponse::default() }
}
