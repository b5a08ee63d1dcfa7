//! The path of a request.
//!
//! In: method, path and content type. Out: a [`Route`] of a dataplane server, or whether the path is a method of KDS.
//! Any other path is denied. Paths are compared byte for byte. Go would decode `/%62ootstrap` and serve it. So nothing
//! is decoded or normalised here, and Envoy must not do so before.

use super::Head;

/// A path of a control plane's dataplane server (Kuma: `pkg/dp-server/server/server.go`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    /// Aggregated discovery, state of the world: the first message is a `DiscoveryRequest`.
    AdsSotw,
    /// Aggregated discovery, delta: the first message is a `DeltaDiscoveryRequest`.
    AdsDelta,
    /// Health discovery, which only sidecars use; Kuma takes no zone token there.
    Hds,
    /// The configuration with which kuma-dp starts its Envoy.
    Bootstrap,
}

/// ADS, state of the world.
pub const ADS_SOTW: &str =
    "/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources";
/// ADS, delta.
pub const ADS_DELTA: &str =
    "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources";
/// HDS.
pub const HDS: &str = "/envoy.service.health.v3.HealthDiscoveryService/StreamHealthCheck";
/// Bootstrap.
pub const BOOTSTRAP: &str = "/bootstrap";
/// The methods of a global control plane's KDS server (Kuma: `api/mesh/v1alpha1/kds.proto`,
/// `pkg/kds/mux/server.go`).
pub const KDS: [&str; 6] = [
    "/kuma.mesh.v1alpha1.KDSSyncService/GlobalToZoneSync",
    "/kuma.mesh.v1alpha1.KDSSyncService/ZoneToGlobalSync",
    "/kuma.mesh.v1alpha1.GlobalKDSService/StreamXDSConfigs",
    "/kuma.mesh.v1alpha1.GlobalKDSService/StreamStats",
    "/kuma.mesh.v1alpha1.GlobalKDSService/StreamClusters",
    "/kuma.mesh.v1alpha1.GlobalKDSService/HealthCheck",
];

impl Route {
    /// The route of `head`. `None` is denied.
    pub fn of(head: &Head<'_>) -> Option<Self> {
        if head.method != b"POST" {
            return None;
        }
        let path = head.path.split(|byte| *byte == b'?').next().unwrap_or_default();
        let route = [
            (ADS_SOTW, Self::AdsSotw),
            (ADS_DELTA, Self::AdsDelta),
            (HDS, Self::Hds),
            (BOOTSTRAP, Self::Bootstrap),
        ]
        .into_iter()
        .find_map(|(known, route)| (known.as_bytes() == path).then_some(route))?;
        let spoken_right = match route {
            Self::Bootstrap => !head.mentions_grpc(),
            Self::AdsSotw | Self::AdsDelta | Self::Hds => head.is_grpc(),
        };
        spoken_right.then_some(route)
    }
}

/// Whether `head` asks for a method of KDS. This server speaks gRPC only, and does not remove a query, so a path with a
/// query is another path.
pub fn is_kds(head: &Head<'_>) -> bool {
    head.method == b"POST"
        && head.is_grpc()
        && KDS.iter().any(|method| method.as_bytes() == head.path)
}
