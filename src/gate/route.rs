//! Where a request wants to go.
//!
//! In: method, path and content type. Out: a [`Route`] of a dataplane server, or whether it is a
//! method of KDS. What is not on the list is
//! denied. Paths are compared byte for byte. Go would decode `/%62ootstrap` and serve it, so nothing
//! is decoded or cleaned here, and Envoy in front must not do it either.

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
    /// Where kuma-dp gets the configuration to start its Envoy with.
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

/// Whether `head` asks for a method of KDS. A query is no part of a gRPC path, and this server, which
/// speaks nothing but gRPC, would not cut one off: with it, it is another path.
pub fn is_kds(head: &Head<'_>) -> bool {
    head.method == b"POST"
        && head.is_grpc()
        && KDS.iter().any(|method| method.as_bytes() == head.path)
}
