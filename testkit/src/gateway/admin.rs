//! Client of Envoy's admin interface.
//!
//! In: a folder in which Envoy has written the address. Out: stats and states.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context, ensure};
use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

/// The file that `--admin-address-path` names.
pub(super) const ADDRESS_FILE: &str = "admin-address";

/// A client of one admin interface.
#[derive(Debug)]
pub(super) struct Admin {
    address: SocketAddr,
    client: Client<HttpConnector, Empty<Bytes>>,
}

impl Admin {
    /// The interface of the Envoy that runs in `dir`; `None` until it is up.
    pub(super) fn find(dir: &Path) -> Option<Self> {
        let address = fs::read_to_string(dir.join(ADDRESS_FILE)).ok()?;
        let address = address.trim().parse().ok()?;
        Some(Self { address, client: Client::builder(TokioExecutor::new()).build_http() })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) async fn get(&self, path: &str) -> anyhow::Result<String> {
        let uri = format!("http://{}{path}", self.address);
        let answer = self.client.get(uri.parse()?).await.context("asking Envoy")?;
        let status = answer.status();
        let body = answer.into_body().collect().await?.to_bytes();
        let text = String::from_utf8_lossy(&body).into_owned();
        ensure!(status.is_success(), "{path}: {status}: {text}");
        Ok(text)
    }

    pub(super) async fn is_ready(&self) -> bool {
        self.get("/ready").await.is_ok()
    }

    /// The value of the counter or gauge with exactly this name.
    pub(super) async fn stat(&self, name: &str) -> anyhow::Result<Option<u64>> {
        let text = self.get(&format!("/stats?filter={}", name.replace('.', "%5C."))).await?;
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        value.map(|value| value.parse().with_context(|| format!("{name}: {value}"))).transpose()
    }

    /// How many pushes were accepted and rejected: the counters whose names contain `name`.
    pub(super) async fn pushes(&self, name: &str) -> anyhow::Result<(u64, u64)> {
        let text = self.get(&format!("/stats?filter={}", name.replace('.', "%5C."))).await?;
        let sum = |name: &str| {
            let values = text.lines().filter_map(|line| line.split_once(": "));
            let values = values.filter(|(stat, _)| stat.ends_with(name));
            values.filter_map(|(_, value)| value.parse::<u64>().ok()).sum()
        };
        Ok((sum(".update_success"), sum(".update_rejected")))
    }

    /// The address of the listener with this name.
    pub(super) async fn listener(&self, name: &str) -> anyhow::Result<SocketAddr> {
        let listeners: Value = serde_json::from_str(&self.get("/listeners?format=json").await?)?;
        let all = listeners.get("listener_statuses").and_then(Value::as_array);
        let mut all = all.context("Envoy has no listeners")?.iter();
        let listener = all.find(|one| one.get("name").and_then(Value::as_str) == Some(name));
        let socket = listener
            .and_then(|one| one.pointer("/local_address/socket_address"))
            .with_context(|| format!("Envoy has no listener {name}"))?;
        let address = socket.pointer("/address").and_then(Value::as_str).context("no address")?;
        let port = socket.pointer("/port_value").and_then(Value::as_u64).context("no port")?;
        Ok(SocketAddr::new(address.parse()?, u16::try_from(port)?))
    }
}
