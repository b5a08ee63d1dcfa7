//! A real Envoy Gateway, standalone: resources from files, and Envoy as a process of this machine. Its input is the
//! output of `config render --format envoy-gateway…`, with two changes: other paths, and in the EnvoyProxy the provider
//! of a host in place of Kubernetes.
//!
//! `make test-envoy-gateway` names the programs (`ENVOY_GATEWAY`, `ENVOY_PATH`) and the filters (`ZONEGATE_WASM`,
//! `ZONEGATE_NATIVE`). Envoy Gateway's own ports are fixed, so only one test runs at a time.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test may panic
#![allow(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

mod ecds;
mod listener;
#[path = "../shared/other_gateways.rs"]
mod other_gateways;
mod service;
mod world;
