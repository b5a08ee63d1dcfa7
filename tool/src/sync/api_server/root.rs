//! What the API server says of itself at `/` (Kuma: `pkg/api-server/index_endpoints.go`).
//!
//! In: a control plane that has answered before. Out: that it takes no zone tokens from proxies, where it
//! says so. Whatever goes wrong, nothing is known: a server in front of it need not pass this path on.

use hyper_util::client::legacy::Client;
use tokio::time::timeout;

use super::connector::Connector;
use super::{ApiServer, Poll};
use crate::kuma_inputs::NoZoneTokens;

/// It has eight short fields.
const MAX_BYTES: usize = 64 * 1024;

impl ApiServer {
    /// Asks for the release, and whether it takes zone tokens.
    pub async fn no_zone_tokens(&self) -> Option<NoZoneTokens> {
        let poll = Poll {
            server: self,
            client: Client::builder(hyper_util::rt::TokioExecutor::new())
                .build(Connector::new(self).ok()?.0),
            // Everyone is told.
            token: None,
        };
        let root = timeout(self.timeout, poll.page("/", None, MAX_BYTES)).await.ok()?.ok()??;
        NoZoneTokens::of_api_root(&root.1)
    }
}
