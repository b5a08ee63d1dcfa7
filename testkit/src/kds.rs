//! The messages of KDS that are Kuma's own (Kuma: `api/mesh/v1alpha1/kds.proto`), as far as they matter
//! here. The others are Envoy's.

use envoy_types::pb::google::protobuf::Duration;

/// What a global control plane asks a zone to show of a proxy: `XDSConfigRequest`, `StatsRequest` and
/// `ClustersRequest` begin alike.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ShowRequest {
    /// By which the answer is known.
    #[prost(string, tag = "1")]
    pub request_id: String,
    /// Dataplane, ZoneIngress or ZoneEgress.
    #[prost(string, tag = "2")]
    pub resource_type: String,
    /// Which one.
    #[prost(string, tag = "3")]
    pub resource_name: String,
}

/// What a zone shows.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ShowResponse {
    /// That of the request.
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
