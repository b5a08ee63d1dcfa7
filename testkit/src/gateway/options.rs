//! How to run a gateway: what is run, in front of what, and with which policy.
//!
//! In: what a demo or a test wants. Out: [`Options`]. Whether the files are there is not checked.

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
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Worker threads.
    pub concurrency: u32,
    /// Where Envoy's log goes.
    pub log: Log,
    /// The service that it asks, in that form.
    pub service: ServiceOptions,
    /// How the policy reaches Envoy.
    pub delivery: Delivery,
    /// Whether the listener for probes is there, at a free port of loopback.
    pub probes: bool,
    /// More edits of `gateway.yaml`, by JSON pointer; one that ends in `/+` puts a value before those of a list.
    pub edits: Vec<(String, Value)>,
    /// More environment for Envoy.
    pub environment: Vec<(String, String)>,
}

/// How the policy reaches Envoy.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Delivery {
    /// By ECDS from a watched file, as it is shipped: a `google.protobuf.Struct`, which Envoy writes
    /// down in another order each time, so that two pushes of one policy are two configurations.
    #[default]
    Ecds,
    /// The same, as JSON in a `StringValue`: a policy that is pushed again is the same to the byte.
    EcdsText,
    /// In `gateway.yaml` itself; there are no pushes.
    Gateway,
    /// As a part of the listener, by LDS from a watched file, as JSON in a `StringValue`.
    Lds,
}

/// How a service is asked.
#[derive(Debug, Clone, Default)]
pub struct ServiceOptions {
    /// Where it listens; where nobody says so, one is started.
    pub address: Option<SocketAddr>,
    /// More arguments for it.
    pub arguments: Vec<String>,
    /// By which protocol it is asked.
    pub protocol: ServiceProtocol,
}

/// By which protocol a service is asked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ServiceProtocol {
    /// External processing.
    #[default]
    ExtProc,
    /// External authorization.
    ExtAuthz,
}
