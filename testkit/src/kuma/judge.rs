//! A control plane's verdict on a token, over gRPC, without leaving a stream open.
//!
//! In: the values of `authorization`, as bytes. Out: the control plane's verdict, with its message if it refuses.
//!
//! The first message names one node and brings the resource of another. kuma-cp authenticates before it compares the
//! two (`pkg/xds/server/v3/components.go`). So an accepted token leads to the error about the resource at once, before
//! a proxy is registered, and any other token leads to a refusal.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, bail};
use envoy_types::pb::envoy::service::discovery::v3::DiscoveryRequest;
use envoy_types::pb::envoy::service::discovery::v3::aggregated_discovery_service_client::AggregatedDiscoveryServiceClient;
use tonic::metadata::AsciiMetadataValue;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};
use tonic::{Request, Status};

use super::Kind;
use crate::zone_proxy::{Claimed, discovery_request};

/// The error if the token was accepted (`pkg/xds/server/callbacks/dataplane_lifecycle.go`).
const LET_IN: &str = "does not match proxy resource";
/// The beginnings of refusals (`pkg/xds/auth/callbacks.go`).
const REFUSED: [&str; 2] =
    ["authentication failed: ", "could not extract credential from DiscoveryRequest: "];

/// Numbers the nodes of all judges: a control plane accepts one stream per node.
static ASKED: AtomicU64 = AtomicU64::new(0);

/// Asks one control plane about tokens, over a few connections at once.
#[derive(Debug)]
pub struct Judge {
    connections: Vec<Channel>,
}

impl Judge {
    /// Connects to the dataplane server at `address`, whose certificate the CA in `ca` (PEM) signed.
    ///
    /// # Errors
    /// There is no connection.
    pub async fn open(address: SocketAddr, ca: &str, connections: usize) -> anyhow::Result<Self> {
        let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(ca));
        let endpoint = Endpoint::from_shared(format!("https://{address}"))?
            .tls_config(tls)?
            // kuma-cp repeats a kid in its refusal, whatever its length.
            .http2_max_header_list_size(1024 * 1024);
        let mut open = Vec::with_capacity(connections);
        for _ in 0..connections {
            open.push(endpoint.connect().await.context("connecting the control plane")?);
        }
        Ok(Self { connections: open })
    }

    /// Whether a proxy of this kind is accepted with these values of `authorization`; if not, why.
    ///
    /// # Errors
    /// A value cannot be sent in HTTP, or the answer is neither acceptance nor refusal.
    pub async fn verdict(
        &self,
        kind: Kind,
        authorization: &[&[u8]],
    ) -> anyhow::Result<Result<(), String>> {
        self.verdict_of(kind, "another", authorization).await
    }

    /// As [`Self::verdict`], for the proxy with this name: on Kubernetes, `pod.namespace`.
    ///
    /// # Errors
    /// A value cannot be sent in HTTP, or the answer is neither acceptance nor refusal.
    pub async fn verdict_of(
        &self,
        kind: Kind,
        name: &str,
        authorization: &[&[u8]],
    ) -> anyhow::Result<Result<(), String>> {
        let number = ASKED.fetch_add(1, Ordering::Relaxed);
        let mut request = Request::new(tokio_stream::once(first_message(kind, name, number)));
        for value in authorization {
            let value = AsciiMetadataValue::try_from(*value).context("no header value")?;
            request.metadata_mut().append("authorization", value);
        }
        let status = match self.ask(number, request).await {
            Ok(()) => bail!("the control plane answered; an error was expected"),
            Err(status) => status,
        };
        match status.message() {
            words if REFUSED.iter().any(|prefix| words.starts_with(prefix)) => {
                Ok(Err(words.to_owned()))
            }
            words if words.contains(LET_IN) => Ok(Ok(())),
            _ => bail!("the answer is neither acceptance nor refusal: {status:?}"),
        }
    }

    async fn ask<S>(&self, number: u64, request: Request<S>) -> Result<(), Status>
    where
        S: tokio_stream::Stream<Item = DiscoveryRequest> + Send + 'static,
    {
        let which = usize::try_from(number).unwrap_or_default();
        let channel = which.checked_rem(self.connections.len());
        let channel = channel.and_then(|which| self.connections.get(which));
        let channel = channel.ok_or_else(|| Status::internal("no connection"))?;
        let mut client = AggregatedDiscoveryServiceClient::new(channel.clone());
        let mut answers = client.stream_aggregated_resources(request).await?.into_inner();
        answers.message().await.map(drop)
    }
}

/// The first message of a node that no other stream names.
fn first_message(kind: Kind, name: &str, number: u64) -> DiscoveryRequest {
    let resource = kind.resource("default", name, [10_001, 10_002]).to_string();
    let claimed = Claimed { proxy_type: Some(kind.name()), resource: Some(&resource) };
    let mut message = discovery_request(claimed);
    if let Some(node) = &mut message.node {
        node.id = format!(".asking-{number}");
    }
    message
}
