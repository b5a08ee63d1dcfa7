//! One Envoy for one subject: the listener of `envoy/gateway.yaml` without TLS and access log, so that subjects differ
//! only in their filters.
//!
//! In: a subject. Out: a running Envoy that itself answers requests that pass the filters.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use anyhow::Context;
use serde_json::{Value, json};
use zonegate_issuer::SigningKey;
use zonegate_testkit::gateway::{Delivery, Gateway, Log, Options, ServiceOptions};

use crate::chain::{self, Check, Subject, policy};
use crate::cpu;
use crate::service::Service;

const GATEWAY: &str = include_str!("../../envoy/gateway.yaml");
const CHAIN: &str = "/static_resources/listeners/0/filter_chains/0";

/// The status of requests that pass: an HTTP status that becomes gRPC 13, which no filter gives.
pub(crate) const PASSED: &str = "13";
const PASSED_HTTP: u16 = 400;

/// The cluster that the shipped route goes to.
const CONTROL_PLANE: &str = "control-plane";

/// The server behind the filters.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Behind {
    /// Envoy itself answers.
    Nothing,
    /// A control plane, by the shipped route.
    ControlPlane(SocketAddr),
}

/// A running Envoy.
pub(crate) struct Envoy {
    pub(crate) name: String,
    pub(crate) address: SocketAddr,
    gateway: Gateway,
    pid: u32,
    service: Option<Service>,
}

impl Envoy {
    /// Starts an Envoy that itself answers, with one worker.
    pub(crate) async fn start(
        envoy: PathBuf,
        subject: &Subject,
        key: &SigningKey,
    ) -> anyhow::Result<Self> {
        Self::start_with(envoy, subject, key, Behind::Nothing, 1).await
    }

    /// Starts an Envoy with `concurrency` workers.
    pub(crate) async fn start_with(
        envoy: PathBuf,
        subject: &Subject,
        key: &SigningKey,
        behind: Behind,
        concurrency: u32,
    ) -> anyhow::Result<Self> {
        let name = subject.name.clone();
        let service = match subject.check {
            Check::Service { revoked, .. } => Some(Service::start(&policy(key, revoked)).await?),
            _ => None,
        };
        let mut clusters: Vec<Value> =
            service.iter().map(|service| chain::service_cluster(service.address)).collect();
        let chain = filter_chain(subject.filters(key)?, behind)?;
        if let Behind::ControlPlane(address) = behind {
            clusters.push(chain::cluster(CONTROL_PLANE, address));
        }
        let options = options(envoy, chain, clusters, concurrency);
        let gateway = Gateway::start(options).await.with_context(|| format!("starting {name}"))?;
        let pid = gateway.pid().context("Envoy has ended")?;
        Ok(Self { name, address: gateway.address(), gateway, pid, service })
    }

    /// Nanoseconds of CPU of this Envoy, and of the service that it asks.
    pub(crate) fn cpu(&self) -> anyhow::Result<(u64, u64)> {
        let own = cpu::nanoseconds(self.pid).with_context(|| self.gateway.log_tail())?;
        let service = self.service.as_ref().map(|service| cpu::nanoseconds(service.pid));
        Ok((own, service.transpose()?.unwrap_or_default()))
    }

    /// Whether this Envoy asks a service.
    pub(crate) fn has_service(&self) -> bool {
        self.service.is_some()
    }

    pub(crate) fn resident(&self) -> anyhow::Result<u64> {
        cpu::resident(self.pid)
    }

    pub(crate) async fn stop(self) {
        self.gateway.stop().await;
    }
}

fn options(envoy: PathBuf, chain: Value, clusters: Vec<Value>, concurrency: u32) -> Options {
    let edits = vec![
        (CHAIN.to_owned(), chain),
        ("/static_resources/listeners/0/listener_filters".to_owned(), json!([])),
        ("/static_resources/clusters".to_owned(), json!(clusters)),
    ];
    Options {
        envoy,
        func_e: None,
        module: PathBuf::from("none.wasm"),
        policy: Value::Null,
        control_plane: "127.0.0.1:0".to_owned(),
        control_plane_ca: PathBuf::new(),
        control_plane_name: String::new(),
        certificate: PathBuf::new(),
        key: PathBuf::new(),
        listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        concurrency,
        log: Log::File,
        service: ServiceOptions::default(),
        delivery: Delivery::Gateway,
        probes: false,
        edits,
        environment: Vec::new(),
    }
}

/// The connection manager as in `envoy/gateway.yaml`, but for the access log, the filters and the route.
fn filter_chain(mut filters: Vec<Value>, behind: Behind) -> anyhow::Result<Value> {
    let gateway: Value = serde_saphyr::from_str(GATEWAY)?;
    let manager = gateway.pointer(&format!("{CHAIN}/filters/0"));
    let mut manager = manager.context("envoy/gateway.yaml")?.clone();
    let config = &mut manager["typed_config"];
    let shipped = config["http_filters"].as_array().and_then(|filters| filters.last());
    filters.push(shipped.context("no router in envoy/gateway.yaml")?.clone());
    config["http_filters"] = json!(filters);
    config["access_log"] = json!([]);
    if let Behind::Nothing = behind {
        config["route_config"]["virtual_hosts"][0]["routes"] =
            json!([{ "match": { "prefix": "/" }, "direct_response": { "status": PASSED_HTTP } }]);
    }
    Ok(json!({ "filters": [manager] }))
}
