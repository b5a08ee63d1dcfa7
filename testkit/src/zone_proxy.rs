//! A client that behaves as kuma-dp and its Envoy do.
//!
//! In: the gateway's address, a token, and what to claim to be. Out: open discovery streams, or the status that refused
//! them, and answers to bootstrap requests.

use std::net::SocketAddr;

use anyhow::Context;
use envoy_types::pb::envoy::config::core::v3::Node;
use envoy_types::pb::envoy::service::discovery::v3::aggregated_discovery_service_client::AggregatedDiscoveryServiceClient;
use envoy_types::pb::envoy::service::discovery::v3::{
    DeltaDiscoveryRequest, DeltaDiscoveryResponse, DiscoveryRequest, DiscoveryResponse,
};
use envoy_types::pb::envoy::service::health::v3::health_discovery_service_client::HealthDiscoveryServiceClient;
use envoy_types::pb::envoy::service::health::v3::{
    HealthCheckRequest, HealthCheckRequestOrEndpointHealthResponse, HealthCheckSpecifier,
    health_check_request_or_endpoint_health_response::RequestType,
};
use envoy_types::pb::google::protobuf::{ListValue, Struct, Value, value::Kind as ValueKind};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};
use tonic::{Request, Status, Streaming};

const CLUSTERS: &str = "type.googleapis.com/envoy.config.cluster.v3.Cluster";
/// The node id of a zone proxy, which has no mesh.
const NODE_ID: &str = ".zone-proxy-1";
/// The gateway passes large answers; the client must accept them.
const MAX_MESSAGE: usize = 64 * 1024 * 1024;

/// What a client claims to be, in `node.metadata`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claimed<'a> {
    /// `dataplane.proxyType`.
    pub proxy_type: Option<&'a str>,
    /// `dataplane.resource`.
    pub resource: Option<&'a str>,
}

impl Claimed<'static> {
    /// A zone ingress.
    pub const INGRESS: Self = Self { proxy_type: Some("ingress"), resource: None };
    /// A zone egress.
    pub const EGRESS: Self = Self { proxy_type: Some("egress"), resource: None };
    /// A sidecar.
    pub const DATAPLANE: Self = Self { proxy_type: Some("dataplane"), resource: None };
    /// No type, which means a sidecar.
    pub const NOTHING: Self = Self { proxy_type: None, resource: None };
}

/// An HTTP/2 connection to a gateway.
#[derive(Debug, Clone)]
pub struct Connection(pub(super) Channel);

/// An open stream. It is reset when dropped.
#[derive(Debug)]
pub struct Stream<Q, A> {
    pub(super) requests: mpsc::Sender<Q>,
    pub(super) answers: Streaming<A>,
}

impl Connection {
    /// Connects to `gateway`, trusting the CA in `ca` (PEM).
    ///
    /// # Errors
    /// The connection fails, or the gateway's certificate is not trusted.
    pub async fn open(gateway: SocketAddr, ca: &str) -> anyhow::Result<Self> {
        let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(ca));
        let endpoint = Endpoint::from_shared(format!("https://{gateway}"))?.tls_config(tls)?;
        let channel = endpoint.connect().await.with_context(|| format!("connecting {gateway}"))?;
        Ok(Self(channel))
    }

    /// Connects to `address` without TLS, on the same machine.
    ///
    /// # Errors
    /// There is no connection.
    pub async fn open_plain(address: SocketAddr) -> anyhow::Result<Self> {
        let endpoint = Endpoint::from_shared(format!("http://{address}"))?;
        let channel = endpoint.connect().await.with_context(|| format!("connecting {address}"))?;
        Ok(Self(channel))
    }

    /// Opens a state-of-the-world stream with its first message.
    ///
    /// # Errors
    /// The status that refuses it.
    pub async fn sotw(
        &self,
        token: Option<&str>,
        claimed: Claimed<'_>,
    ) -> Result<Stream<DiscoveryRequest, DiscoveryResponse>, Status> {
        self.sotw_of(token, discovery_request(claimed)).await
    }

    /// Opens a state-of-the-world stream with this first message.
    ///
    /// # Errors
    /// The status that refuses it.
    pub async fn sotw_of(
        &self,
        token: Option<&str>,
        message: DiscoveryRequest,
    ) -> Result<Stream<DiscoveryRequest, DiscoveryResponse>, Status> {
        let (requests, stream) = first(message);
        let answers = self.ads().stream_aggregated_resources(with(token, stream)?).await?;
        Ok(Stream { requests, answers: answers.into_inner() })
    }

    /// Opens a delta stream with its first message.
    ///
    /// # Errors
    /// The status that refuses it.
    pub async fn delta(
        &self,
        token: Option<&str>,
        claimed: Claimed<'_>,
    ) -> Result<Stream<DeltaDiscoveryRequest, DeltaDiscoveryResponse>, Status> {
        self.delta_of(token, delta_discovery_request(claimed)).await
    }

    /// Opens a delta stream with this first message.
    ///
    /// # Errors
    /// The status that refuses it.
    pub async fn delta_of(
        &self,
        token: Option<&str>,
        message: DeltaDiscoveryRequest,
    ) -> Result<Stream<DeltaDiscoveryRequest, DeltaDiscoveryResponse>, Status> {
        let (requests, stream) = first(message);
        let answers = self.ads().delta_aggregated_resources(with(token, stream)?).await?;
        Ok(Stream { requests, answers: answers.into_inner() })
    }

    /// Opens a health discovery stream, as a sidecar does.
    ///
    /// # Errors
    /// The status that refuses it.
    pub async fn hds(
        &self,
        token: Option<&str>,
    ) -> Result<Stream<HealthCheckRequestOrEndpointHealthResponse, HealthCheckSpecifier>, Status>
    {
        self.hds_of(token, health_check_request(NODE_ID)).await
    }

    /// Opens a health discovery stream with this first message.
    ///
    /// # Errors
    /// The status that refuses it.
    pub async fn hds_of(
        &self,
        token: Option<&str>,
        message: HealthCheckRequestOrEndpointHealthResponse,
    ) -> Result<Stream<HealthCheckRequestOrEndpointHealthResponse, HealthCheckSpecifier>, Status>
    {
        let (requests, stream) = first(message);
        let mut client = HealthDiscoveryServiceClient::new(self.0.clone());
        let answers = client.stream_health_check(with(token, stream)?).await?;
        Ok(Stream { requests, answers: answers.into_inner() })
    }

    fn ads(&self) -> AggregatedDiscoveryServiceClient<Channel> {
        AggregatedDiscoveryServiceClient::new(self.0.clone())
            .max_decoding_message_size(MAX_MESSAGE)
            .max_encoding_message_size(MAX_MESSAGE)
    }
}

impl<Q, A> Stream<Q, A> {
    /// Sends a message.
    ///
    /// # Errors
    /// The stream has ended.
    pub async fn send(&self, message: Q) -> Result<(), Status> {
        let sent = self.requests.send(message).await;
        sent.map_err(|_| Status::unavailable("the stream has ended"))
    }

    /// Waits for the next message; `None` at the end.
    ///
    /// # Errors
    /// The status that ends the stream.
    pub async fn next(&mut self) -> Result<Option<A>, Status> {
        self.answers.message().await
    }

    /// Half-closes the stream, and reads the remaining messages.
    ///
    /// # Errors
    /// The status that ends the stream.
    pub async fn close(mut self) -> Result<(), Status> {
        drop(self.requests);
        while self.answers.message().await?.is_some() {}
        Ok(())
    }
}

/// A channel for the requests of a stream, with the first request in it.
fn first<M: Send + 'static>(message: M) -> (mpsc::Sender<M>, ReceiverStream<M>) {
    let (sender, receiver) = requests();
    // A new channel has capacity.
    let _ = sender.try_send(message);
    (sender, receiver)
}

/// An empty channel for the requests of a stream.
pub(super) fn requests<M: Send + 'static>() -> (mpsc::Sender<M>, ReceiverStream<M>) {
    let (sender, receiver) = mpsc::channel(16);
    (sender, ReceiverStream::new(receiver))
}

/// kuma-dp's Envoy sends the token bare, without `Bearer`.
pub(super) fn with<S>(token: Option<&str>, stream: S) -> Result<Request<S>, Status> {
    let mut request = Request::new(stream);
    if let Some(token) = token {
        let value = token.parse().map_err(|_| Status::internal("this token is no header value"))?;
        request.metadata_mut().insert("authorization", value);
    }
    Ok(request)
}

/// A first message of a state-of-the-world stream.
pub fn discovery_request(claimed: Claimed<'_>) -> DiscoveryRequest {
    DiscoveryRequest {
        node: Some(node(claimed)),
        type_url: CLUSTERS.to_owned(),
        ..DiscoveryRequest::default()
    }
}

/// A first message of a delta stream.
pub fn delta_discovery_request(claimed: Claimed<'_>) -> DeltaDiscoveryRequest {
    DeltaDiscoveryRequest {
        node: Some(node(claimed)),
        type_url: CLUSTERS.to_owned(),
        ..DeltaDiscoveryRequest::default()
    }
}

/// A first message of health discovery, for the dataplane with this node id.
pub fn health_check_request(id: &str) -> HealthCheckRequestOrEndpointHealthResponse {
    let node = Node { id: id.to_owned(), ..node(Claimed::DATAPLANE) };
    let request = HealthCheckRequest { node: Some(node), capability: None };
    let request_type = Some(RequestType::HealthCheckRequest(request));
    HealthCheckRequestOrEndpointHealthResponse { request_type }
}

/// A node as Kuma's bootstrap writes it (Kuma: `pkg/xds/bootstrap/template_v3.go`).
fn node(claimed: Claimed<'_>) -> Node {
    let Claimed { proxy_type, resource } = claimed;
    let text = |text: &str| ValueKind::StringValue(text.to_owned());
    let version = [("kumaDp", "2.14.3"), ("envoy", "1.36.0")].map(|(of, version)| {
        let fields = [("version".to_owned(), Value { kind: Some(text(version)) })];
        let kind = ValueKind::StructValue(Struct { fields: fields.into_iter().collect() });
        (of.to_owned(), Value { kind: Some(kind) })
    });
    let features = ["feature-tcp-accesslog-via-named-pipe", "feature-unified-resource-naming"]
        .map(|feature| Value { kind: Some(text(feature)) });
    let fields = [
        ("dataplane.proxyType", proxy_type.map(text)),
        ("dataplane.resource", resource.map(text)),
        // Without these fields kuma-cp generates no configuration. It needs the address only before 2.12.
        ("dataplane.admin.address", Some(text("127.0.0.1"))),
        ("dataplane.admin.port", Some(text("9901"))),
        ("dataplane.readinessReporter.port", Some(text("9902"))),
        ("workdir", Some(text("/tmp/kuma-dp"))),
        ("ipv6Enabled", Some(ValueKind::BoolValue(true))),
        ("features", Some(ValueKind::ListValue(ListValue { values: features.to_vec() }))),
        ("version", Some(ValueKind::StructValue(Struct { fields: version.into_iter().collect() }))),
    ];
    let fields = fields
        .into_iter()
        .filter_map(|(name, kind)| Some((name.to_owned(), Value { kind: Some(kind?) })));
    Node {
        id: NODE_ID.to_owned(),
        cluster: "zone-proxy".to_owned(),
        metadata: Some(Struct { fields: fields.collect() }),
        ..Node::default()
    }
}
