//! The API server's information about itself at `/` (Kuma: `pkg/api-server/index_endpoints.go`).
//!
//! In: a control plane that has responded before. Out: whether it says that it refuses zone tokens of proxies. Errors
//! are ignored, because a server in front of it may not forward this path.

use hyper_util::client::legacy::Client;
use tokio::time::timeout;

use super::connector::Connector;
use super::{ApiServer, Poll};
use crate::kuma_inputs::NoZoneTokens;

/// The response has eight short fields.
const MAX_BYTES: usize = 64 * 1024;

impl ApiServer {
    /// Asks for the release. Returns the sign that it refuses zone tokens, if there is one.
    pub async fn no_zone_tokens(&self) -> Option<NoZoneTokens> {
        let poll = Poll {
            server: self,
            client: Client::builder(hyper_util::rt::TokioExecutor::new())
                .build(Connector::new(self).ok()?.0),
            // This path needs no authentication.
            token: None,
        };
        let root = timeout(self.timeout, poll.page("/", None, MAX_BYTES)).await.ok()?.ok()??;
        NoZoneTokens::of_api_root(&root.1)
    }
}
