//! How to run a gateway: with which programs, in front of which control plane, and with which policy.
//!
//! In: the values of a demo or a test. Out: [`Options`]. Whether the files exist is not checked.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde_json::Value;

use crate::process::Log;

/// How to run a gateway.
#[derive(Debug, Clone)]
pub struct Options {
    /// The Envoy to run.
    pub envoy: PathBuf,
    /// The func-e to run it with, if any.
    pub func_e: Option<PathBuf>,
    /// The filter, in either [`Form`](super::Form).
    pub module: PathBuf,
    /// The plugin configuration.
    pub policy: Value,
    /// The control plane, `host:port`.
    pub control_plane: String,
    /// The CA of its certificate, PEM.
    pub control_plane_ca: PathBuf,
    /// The name in its certificate.
    pub control_plane_name: String,
    /// The gateway's certificate, PEM.
    pub certificate: PathBuf,
    /// Its private key, PEM.
    pub key: PathBuf,
    /// The address to listen on; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Worker threads.
    pub concurrency: u32,
    /// Where Envoy's log goes.
    pub log: Log,
    /// The service that Envoy asks, in that form.
    pub service: ServiceOptions,
    /// How the policy reaches Envoy.
    pub delivery: Delivery,
    /// Whether to have the listener for probes, on a free port of loopback.
    pub probes: bool,
    /// More edits of `gateway.yaml`, by JSON pointer. A pointer that ends in `/+` inserts a value at the start of a
    /// list.
    pub edits: Vec<(String, Value)>,
    /// More environment for Envoy.
    pub environment: Vec<(String, String)>,
}

/// How the policy reaches Envoy.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Delivery {
    /// By ECDS from a watched file, as shipped: a `google.protobuf.Struct`. Envoy serializes it in another order each
    /// time, so that two pushes of one policy are two configurations.
    #[default]
    Ecds,
    /// The same, as JSON in a `StringValue`: a policy that is pushed again has equal bytes.
    EcdsText,
    /// In `gateway.yaml` itself; there are no pushes.
    Gateway,
    /// As a part of the listener, by LDS from a watched file, as JSON in a `StringValue`.
    Lds,
}

/// How Envoy asks a service.
#[derive(Debug, Clone, Default)]
pub struct ServiceOptions {
    /// The address of the service; if `None`, a service is started.
    pub address: Option<SocketAddr>,
    /// More arguments for it.
    pub arguments: Vec<String>,
    /// The protocol.
    pub protocol: ServiceProtocol,
}

/// The protocol by which Envoy asks a service.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ServiceProtocol {
    /// External processing.
    #[default]
    ExtProc,
    /// External authorization.
    ExtAuthz,
}
