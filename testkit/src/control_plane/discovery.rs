//! The gRPC services of a dataplane server: aggregated discovery, state of the world and delta, and health discovery.
//! The services of a KDS server are in `kds.rs`.
//!
//! In: the messages of a proxy, and orders to all streams. Out: small valid answers, always without resources. ACKs and
//! NACKs are not answered. No token is checked: every request that gets here has passed the gate, and is recorded.

use std::pin::Pin;

use envoy_types::pb::envoy::service::discovery::v3 as xds;
use envoy_types::pb::envoy::service::health::v3 as health;
use envoy_types::pb::google::protobuf::Duration;
use futures_util::{Stream, stream};
use health::health_check_request_or_endpoint_health_response::RequestType;
use tokio::sync::broadcast::{self, error::RecvError};
use tonic::{Request, Response, Status, Streaming};
use xds::aggregated_discovery_service_server::{
    AggregatedDiscoveryService, AggregatedDiscoveryServiceServer,
};

use health::health_discovery_service_server::{
    HealthDiscoveryService, HealthDiscoveryServiceServer,
};

use super::kds::{GlobalKds, KdsSync};

/// An order to all open streams.
#[derive(Debug, Clone, Copy)]
pub(super) enum Order {
    /// Send a message.
    Push,
    /// End.
    Close,
}

/// All services, as one service for any gRPC request. Unknown methods are answered with status 12.
pub(super) fn routes(orders: &broadcast::Sender<Order>) -> tonic::service::Routes {
    let services = Services { orders: orders.clone() };
    tonic::service::Routes::new(AggregatedDiscoveryServiceServer::new(services.clone()))
        .add_service(HealthDiscoveryServiceServer::new(services.clone()))
        .add_service(KdsSync(services.clone()))
        .add_service(GlobalKds(services))
        .prepare()
}

#[derive(Clone)]
pub(super) struct Services {
    orders: broadcast::Sender<Order>,
}

pub(super) type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl AggregatedDiscoveryService for Services {
    type StreamAggregatedResourcesStream = Answers<xds::DiscoveryResponse>;
    type DeltaAggregatedResourcesStream = Answers<xds::DeltaDiscoveryResponse>;

    async fn stream_aggregated_resources(
        &self,
        request: Request<Streaming<xds::DiscoveryRequest>>,
    ) -> Result<Response<Self::StreamAggregatedResourcesStream>, Status> {
        Ok(self.converse(request, Sotw::default()))
    }

    async fn delta_aggregated_resources(
        &self,
        request: Request<Streaming<xds::DeltaDiscoveryRequest>>,
    ) -> Result<Response<Self::DeltaAggregatedResourcesStream>, Status> {
        Ok(self.converse(request, Delta::default()))
    }
}

#[tonic::async_trait]
impl HealthDiscoveryService for Services {
    type StreamHealthCheckStream = Answers<health::HealthCheckSpecifier>;

    async fn stream_health_check(
        &self,
        request: Request<Streaming<health::HealthCheckRequestOrEndpointHealthResponse>>,
    ) -> Result<Response<Self::StreamHealthCheckStream>, Status> {
        Ok(self.converse(request, Health))
    }

    async fn fetch_health_check(
        &self,
        _: Request<health::HealthCheckRequestOrEndpointHealthResponse>,
    ) -> Result<Response<health::HealthCheckSpecifier>, Status> {
        Err(Status::unimplemented("not implemented"))
    }
}

impl Services {
    pub(super) fn converse<D: Dialect>(
        &self,
        request: Request<Streaming<D::Asked>>,
        dialect: D,
    ) -> Response<Answers<D::Answer>> {
        let (asked, orders) = (request.into_inner(), self.orders.subscribe());
        let talk = Talk { asked, orders, dialect, greeted: false };
        Response::new(Box::pin(stream::unfold(talk, |mut talk| async move {
            let answer = talk.next().await?;
            Some((answer, talk))
        })))
    }
}

/// One stream.
struct Talk<D: Dialect> {
    asked: Streaming<D::Asked>,
    orders: broadcast::Receiver<Order>,
    dialect: D,
    greeted: bool,
}

impl<D: Dialect> Talk<D> {
    async fn next(&mut self) -> Option<Result<D::Answer, Status>> {
        if !std::mem::replace(&mut self.greeted, true)
            && let Some(greeting) = self.dialect.greet()
        {
            return Some(Ok(greeting));
        }
        loop {
            let answer = tokio::select! {
                order = self.orders.recv() => match order {
                    Ok(Order::Push) => Some(self.dialect.push()),
                    Ok(Order::Close) | Err(RecvError::Closed) => return None,
                    Err(RecvError::Lagged(_)) => None,
                },
                asked = self.asked.message() => match asked {
                    Ok(Some(asked)) => self.dialect.answer(asked),
                    Ok(None) => return None,
                    Err(status) => return Some(Err(status)),
                },
            };
            if let Some(answer) = answer {
                return Some(Ok(answer));
            }
        }
    }
}

/// How one kind of stream is answered.
pub(super) trait Dialect: Send + 'static {
    type Asked: Send + 'static;
    type Answer: Send + 'static;

    /// The message to send before the first request.
    fn greet(&mut self) -> Option<Self::Answer> {
        None
    }

    fn answer(&mut self, asked: Self::Asked) -> Option<Self::Answer>;
    fn push(&mut self) -> Self::Answer;
}

#[derive(Default)]
struct Sotw {
    type_url: String,
    version: u64,
}

impl Dialect for Sotw {
    type Asked = xds::DiscoveryRequest;
    type Answer = xds::DiscoveryResponse;

    fn answer(&mut self, asked: Self::Asked) -> Option<Self::Answer> {
        if !asked.response_nonce.is_empty() {
            return None;
        }
        self.type_url = asked.type_url;
        Some(self.push())
    }

    fn push(&mut self) -> Self::Answer {
        self.version = self.version.saturating_add(1);
        xds::DiscoveryResponse {
            version_info: self.version.to_string(),
            type_url: self.type_url.clone(),
            nonce: format!("nonce-{}", self.version),
            ..Default::default()
        }
    }
}

#[derive(Clone, Default)]
pub(super) struct Delta {
    type_url: String,
    version: u64,
}

impl Dialect for Delta {
    type Asked = xds::DeltaDiscoveryRequest;
    type Answer = xds::DeltaDiscoveryResponse;

    fn answer(&mut self, asked: Self::Asked) -> Option<Self::Answer> {
        if !asked.response_nonce.is_empty() {
            return None;
        }
        self.type_url = asked.type_url;
        Some(self.push())
    }

    fn push(&mut self) -> Self::Answer {
        self.version = self.version.saturating_add(1);
        xds::DeltaDiscoveryResponse {
            system_version_info: self.version.to_string(),
            type_url: self.type_url.clone(),
            nonce: format!("nonce-{}", self.version),
            ..Default::default()
        }
    }
}

/// Tells the proxy every ten seconds to check nothing.
struct Health;

impl Dialect for Health {
    type Asked = health::HealthCheckRequestOrEndpointHealthResponse;
    type Answer = health::HealthCheckSpecifier;

    fn answer(&mut self, asked: Self::Asked) -> Option<Self::Answer> {
        match asked.request_type {
            Some(RequestType::HealthCheckRequest(_)) => Some(self.push()),
            Some(RequestType::EndpointHealthResponse(_)) | None => None,
        }
    }

    fn push(&mut self) -> Self::Answer {
        let interval = Some(Duration { seconds: 10, nanos: 0 });
        health::HealthCheckSpecifier { interval, ..Default::default() }
    }
}
