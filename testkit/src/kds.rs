//! The messages of KDS that are Kuma's own (Kuma: `api/mesh/v1alpha1/kds.proto`), with the fields that are used here.
//! The other messages are Envoy's.

use envoy_types::pb::google::protobuf::Duration;

/// A global control plane's request to a zone to show a proxy. `XDSConfigRequest`, `StatsRequest` and `ClustersRequest`
/// begin with the same fields.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ShowRequest {
    /// The id that the answer repeats.
    #[prost(string, tag = "1")]
    pub request_id: String,
    /// Dataplane, ZoneIngress or ZoneEgress.
    #[prost(string, tag = "2")]
    pub resource_type: String,
    /// The name of the proxy.
    #[prost(string, tag = "3")]
    pub resource_name: String,
}

/// The zone's answer.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ShowResponse {
    /// The id of the request.
    #[prost(string, tag = "1")]
    pub request_id: String,
    /// Why there is nothing to show.
    #[prost(string, tag = "2")]
    pub error: String,
}

/// `ZoneHealthCheckResponse`; its request is empty.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ZoneHealthCheckResponse {
    /// How often to ask.
    #[prost(message, optional, tag = "1")]
    pub interval: Option<Duration>,
}
