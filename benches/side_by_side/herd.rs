//! Scenarios f and g: thousands of proxies, each with its own connection and stream.
//!
//! f: the memory that Envoy needs for an open stream. g: the control plane goes away and comes back, and all proxies
//! open their streams again at once.

use std::time::Instant;

use anyhow::Context;
use futures_util::future::try_join_all;
use http::HeaderValue;

use crate::client::{ClaimedProxy, Client, Open};
use crate::control_plane::{Arrived, ControlPlane};
use crate::envoy::Envoy;

/// How many proxies connect at the same time before the measurement begins.
const AT_ONCE: usize = 50;

/// Proxies in front of one Envoy, and the control plane behind it.
pub(crate) struct Herd {
    plane: ControlPlane,
    proxies: Vec<Proxy>,
    arrived: Vec<Arrived>,
}

struct Proxy {
    client: Client,
    token: HeaderValue,
    stream: Option<Open>,
}

/// The cost until all proxies were back.
pub(crate) struct Storm {
    pub(crate) milliseconds: f64,
    /// Microseconds of Envoy's CPU for each proxy.
    pub(crate) cpu: f64,
}

impl Herd {
    /// Opens a stream for each token.
    pub(crate) async fn open(
        envoy: &Envoy,
        plane: ControlPlane,
        tokens: &[String],
    ) -> anyhow::Result<Self> {
        let mut proxies = Vec::with_capacity(tokens.len());
        for some in tokens.chunks(AT_ONCE) {
            proxies.extend(try_join_all(some.iter().map(|token| Proxy::open(envoy, token))).await?);
        }
        let mut herd = Self { plane, proxies, arrived: Vec::new() };
        herd.wait_for_all().await?;
        Ok(herd)
    }

    /// Stops and restarts the control plane; all proxies open their streams again.
    pub(crate) async fn storm(mut self, envoy: &Envoy) -> anyhow::Result<(Self, Storm)> {
        let address = self.plane.address;
        self.plane.stop().await;
        self.arrived.clear();
        for proxy in &mut self.proxies {
            if let Some(mut stream) = proxy.stream.take() {
                stream.ended().await;
            }
        }
        self.plane = ControlPlane::start(address).await?;
        let (start, before) = (Instant::now(), envoy.cpu()?.0);
        try_join_all(self.proxies.iter_mut().map(Proxy::reopen)).await?;
        let milliseconds = start.elapsed().as_secs_f64() * 1000.0;
        let cpu = (envoy.cpu()?.0 - before) as f64 / 1000.0 / self.proxies.len() as f64;
        self.wait_for_all().await?;
        Ok((self, Storm { milliseconds, cpu }))
    }

    async fn wait_for_all(&mut self) -> anyhow::Result<()> {
        while self.arrived.len() < self.proxies.len() {
            self.arrived.push(self.plane.next().await?);
        }
        Ok(())
    }
}

impl Proxy {
    async fn open(envoy: &Envoy, token: &str) -> anyhow::Result<Self> {
        let client = Client::connect(envoy.address, ClaimedProxy::INGRESS)
            .await
            .context("is ulimit -n high enough?")?;
        let mut proxy = Self { client, token: token.parse()?, stream: None };
        proxy.reopen().await?;
        Ok(proxy)
    }

    async fn reopen(&mut self) -> anyhow::Result<()> {
        self.stream = Some(self.client.open(self.token.clone()).await?);
        Ok(())
    }
}
