//! A real Envoy Gateway, standalone: resources from files, and Envoy as a process of this machine. What
//! `config render --format envoy-gateway…` writes is what it is given; only paths are other ones, and of the EnvoyProxy,
//! which is for Kubernetes, its provider gives way to that of a host.
//!
//! `make test-envoy-gateway` names the programs (`ENVOY_GATEWAY`, `ENVOY_PATH`) and the filters (`ZONEGATE_WASM`,
//! `ZONEGATE_NATIVE`). Envoy Gateway's own ports are fixed, so that one test runs at a time.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test may panic
#![allow(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

mod ecds;
mod listener;
mod service;
mod world;
