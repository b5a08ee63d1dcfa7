//! The gRPC services of a global control plane's KDS server (Kuma: `pkg/kds/mux/server.go`,
//! `api/mesh/v1alpha1/kds.proto`).
//!
//! In: the messages of a zone control plane, uncompressed. Out: small valid answers without resources. On one stream
//! the server sends first; on three it sends only when told to push.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::task::{Context, Poll};

use envoy_types::pb::envoy::service::discovery::v3 as xds;
use envoy_types::pb::google::protobuf::Duration;
use prost::Message;
use tonic::body::Body;
use tonic::codegen::{BoxFuture, Service};
use tonic::server::{Grpc, NamedService, StreamingService, UnaryService};
use tonic::{Request, Response, Status, Streaming};
use tonic_prost::ProstCodec;

use super::discovery::{Answers, Delta, Dialect, Services};
use crate::kds::{ShowRequest, ShowResponse, ZoneHealthCheckResponse};

/// `KDSSyncService`.
#[derive(Clone)]
pub(super) struct KdsSync(pub(super) Services);

/// `GlobalKDSService`.
#[derive(Clone)]
pub(super) struct GlobalKds(pub(super) Services);

impl NamedService for KdsSync {
    const NAME: &'static str = "kuma.mesh.v1alpha1.KDSSyncService";
}

impl NamedService for GlobalKds {
    const NAME: &'static str = "kuma.mesh.v1alpha1.GlobalKDSService";
}

impl Service<http::Request<Body>> for KdsSync {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let services = self.0.clone();
        Box::pin(async move {
            Ok(match method(&request) {
                "GlobalToZoneSync" => serve(services, Delta::default(), request).await,
                "ZoneToGlobalSync" => serve(services, Collect, request).await,
                _ => unimplemented(),
            })
        })
    }
}

impl Service<http::Request<Body>> for GlobalKds {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let services = self.0.clone();
        Box::pin(async move {
            Ok(match method(&request) {
                "StreamXDSConfigs" | "StreamStats" | "StreamClusters" => {
                    serve(services, Show::default(), request).await
                }
                "HealthCheck" => Grpc::new(ProstCodec::default()).unary(HealthCheck, request).await,
                _ => unimplemented(),
            })
        })
    }
}

fn method(request: &http::Request<Body>) -> &str {
    request.uri().path().rsplit('/').next().unwrap_or_default()
}

fn unimplemented() -> http::Response<Body> {
    Status::unimplemented("unknown method").into_http()
}

async fn serve<D>(
    services: Services,
    dialect: D,
    request: http::Request<Body>,
) -> http::Response<Body>
where
    D: Dialect + Clone,
    D::Asked: Message + Default,
    D::Answer: Message,
{
    let codec = ProstCodec::<D::Answer, D::Asked>::default();
    Grpc::new(codec).streaming(Conversation { services, dialect }, request).await
}

struct Conversation<D> {
    services: Services,
    dialect: D,
}

impl<D: Dialect + Clone> StreamingService<D::Asked> for Conversation<D> {
    type Response = D::Answer;
    type ResponseStream = Answers<D::Answer>;
    type Future = Ready<Result<Response<Self::ResponseStream>, Status>>;

    fn call(&mut self, request: Request<Streaming<D::Asked>>) -> Self::Future {
        ready(Ok(self.services.converse(request, self.dialect.clone())))
    }
}

struct HealthCheck;

impl UnaryService<()> for HealthCheck {
    type Response = ZoneHealthCheckResponse;
    type Future = Ready<Result<Response<Self::Response>, Status>>;

    fn call(&mut self, _: Request<()>) -> Self::Future {
        let interval = Some(Duration { seconds: 300, nanos: 0 });
        ready(Ok(Response::new(ZoneHealthCheckResponse { interval })))
    }
}

/// Discovery in the other direction: asks the zone for its resources, and acknowledges them.
#[derive(Clone)]
struct Collect;

impl Dialect for Collect {
    type Asked = xds::DeltaDiscoveryResponse;
    type Answer = xds::DeltaDiscoveryRequest;

    fn greet(&mut self) -> Option<Self::Answer> {
        Some(self.push())
    }

    fn answer(&mut self, asked: Self::Asked) -> Option<Self::Answer> {
        Some(xds::DeltaDiscoveryRequest { response_nonce: asked.nonce, ..self.push() })
    }

    fn push(&mut self) -> Self::Answer {
        xds::DeltaDiscoveryRequest { type_url: "Dataplane".to_owned(), ..Default::default() }
    }
}

/// Asks the zone to show the configuration, statistics or clusters of a proxy.
#[derive(Clone, Default)]
struct Show {
    asked: u64,
}

impl Dialect for Show {
    type Asked = ShowResponse;
    type Answer = ShowRequest;

    fn answer(&mut self, _: Self::Asked) -> Option<Self::Answer> {
        None
    }

    fn push(&mut self) -> Self::Answer {
        self.asked = self.asked.saturating_add(1);
        ShowRequest {
            request_id: self.asked.to_string(),
            resource_type: "ZoneIngress".to_owned(),
            resource_name: "zone-proxy-1".to_owned(),
        }
    }
}
