//! A client that behaves as a zone's control plane does to the global one (Kuma: `pkg/kds/mux/client.go`), with the
//! token that no release of Kuma sends yet.
//!
//! In: a connection, a token, and the zone to claim. Out: open KDS streams, or the status that refused them.

use envoy_types::pb::envoy::service::discovery::v3::{
    DeltaDiscoveryRequest, DeltaDiscoveryResponse,
};
use prost::Message;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::Channel;
use tonic::{Request, Status};
use tonic_prost::ProstCodec;

use super::kds::{ShowRequest, ShowResponse, ZoneHealthCheckResponse};
use super::zone_proxy::{Connection, Stream, requests, with};

/// What a zone control plane claims to be.
#[derive(Debug, Clone, Copy)]
pub struct Zone<'a> {
    /// Its token.
    pub token: Option<&'a str>,
    /// The values of `client-id`; Kuma sends one, the name of the zone.
    pub client_id: &'a [&'a str],
}

impl Connection {
    /// Opens `GlobalToZoneSync`, with a first request.
    ///
    /// # Errors
    /// The status that refuses it.
    pub async fn global_to_zone(
        &self,
        zone: Zone<'_>,
    ) -> Result<Stream<DeltaDiscoveryRequest, DeltaDiscoveryResponse>, Status> {
        let asked = DeltaDiscoveryRequest {
            type_url: "Mesh".to_owned(),
            ..DeltaDiscoveryRequest::default()
        };
        let stream = self.kds("KDSSyncService/GlobalToZoneSync", zone).await?;
        stream.send(asked).await?;
        Ok(stream)
    }

    /// Opens `ZoneToGlobalSync`. The other side sends first.
    ///
    /// # Errors
    /// The status that refuses it.
    pub async fn zone_to_global(
        &self,
        zone: Zone<'_>,
    ) -> Result<Stream<DeltaDiscoveryResponse, DeltaDiscoveryRequest>, Status> {
        self.kds("KDSSyncService/ZoneToGlobalSync", zone).await
    }

    /// Opens one of the three streams on which the other side asks the zone to show a proxy: `StreamXDSConfigs`,
    /// `StreamStats` or `StreamClusters`.
    ///
    /// # Errors
    /// The status that refuses it.
    pub async fn show(
        &self,
        method: &str,
        zone: Zone<'_>,
    ) -> Result<Stream<ShowResponse, ShowRequest>, Status> {
        self.kds(&format!("GlobalKDSService/{method}"), zone).await
    }

    /// Calls `HealthCheck`.
    ///
    /// # Errors
    /// The status that refuses it.
    pub async fn health_check(&self, zone: Zone<'_>) -> Result<ZoneHealthCheckResponse, Status> {
        let codec = ProstCodec::<(), ZoneHealthCheckResponse>::default();
        let path = path("GlobalKDSService/HealthCheck")?;
        let answer = self.client().await?.unary(claiming(zone, ())?, path, codec).await?;
        Ok(answer.into_inner())
    }

    async fn kds<Q, A>(&self, method: &str, zone: Zone<'_>) -> Result<Stream<Q, A>, Status>
    where
        Q: Message + 'static,
        A: Message + Default + 'static,
    {
        let (requests, stream) = requests();
        let request = claiming(zone, stream)?;
        let codec = ProstCodec::<Q, A>::default();
        let answers = self.client().await?.streaming(request, path(method)?, codec).await?;
        Ok(Stream { requests, answers: answers.into_inner() })
    }

    async fn client(&self) -> Result<Grpc<Channel>, Status> {
        let mut client = Grpc::new(self.0.clone());
        client.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
        Ok(client)
    }
}

fn path(method: &str) -> Result<PathAndQuery, Status> {
    let path = format!("/kuma.mesh.v1alpha1.{method}");
    path.parse().map_err(|_| Status::internal("this method is no path"))
}

fn claiming<S>(zone: Zone<'_>, body: S) -> Result<Request<S>, Status> {
    let Zone { token, client_id } = zone;
    let mut request = with(token, body)?;
    for id in client_id {
        let value = id.parse().map_err(|_| Status::internal("this zone is no header value"))?;
        request.metadata_mut().append("client-id", value);
    }
    Ok(request)
}
