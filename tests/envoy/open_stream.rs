//! Streams that are open, and whether they go on.

use std::collections::BTreeMap;

use envoy_types::pb::envoy::service::discovery::v3::{DiscoveryRequest, DiscoveryResponse};
use serde_json::Value;
use tokio::time::timeout;
use zonegate_testkit::gateway::Pushed;
use zonegate_testkit::zone_proxy::{Claimed, Connection, Stream};

use crate::harness::{LIMIT, Setup, claims_with, policy};

/// An open state-of-the-world stream.
pub(crate) type Sotw = Stream<DiscoveryRequest, DiscoveryResponse>;

/// Opens a stream and reads its first answer.
pub(crate) async fn open(connection: &Connection, token: &str) -> Sotw {
    let mut stream = connection.sotw(Some(token), Claimed::INGRESS).await.unwrap();
    stream.next().await.unwrap().unwrap();
    stream
}

/// Whether the stream is reset before another message.
pub(crate) async fn is_cut(stream: &mut Sotw) -> bool {
    matches!(timeout(LIMIT, stream.next()).await, Ok(Err(_)))
}

/// Whether a message of the control plane still gets through.
pub(crate) async fn goes_on(stream: &mut Sotw) -> bool {
    matches!(timeout(LIMIT, stream.next()).await, Ok(Ok(Some(_))))
}

impl Setup {
    /// Pushes the policy of the harness with one field set.
    pub(crate) async fn push(&self, field: &str, value: Value) {
        let mut pushed = policy(&self.key);
        pushed[field] = value;
        assert_eq!(self.gateway.push(&pushed).await.unwrap(), Pushed::Accepted);
    }

    /// A good token with this ID.
    pub(crate) fn token_of(&self, id: &str) -> String {
        self.sign(claims_with("jti", id.into()))
    }

    /// The number of connections of each worker.
    pub(crate) async fn connections_by_worker(&self) -> BTreeMap<String, u64> {
        const STAT: &str = ".downstream_cx_active";
        let stats = self.gateway.admin("/stats?filter=worker_").await.unwrap();
        let lines = stats.lines().filter(|line| line.starts_with("listener."));
        let values = lines.filter_map(|line| line.split_once(": "));
        let values = values.filter_map(|(name, value)| {
            let worker = name.strip_suffix(STAT)?.rsplit_once('.')?.1;
            Some((worker.to_owned(), value.parse().unwrap()))
        });
        values.collect()
    }

    /// Envoy's resident memory in bytes, including that of its VMs.
    pub(crate) fn resident(&self) -> u64 {
        let path = format!("/proc/{}/status", self.gateway.pid().unwrap());
        let status = std::fs::read_to_string(path).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        let kib = line.trim().strip_suffix(" kB").unwrap();
        kib.parse::<u64>().unwrap() * 1024
    }
}
