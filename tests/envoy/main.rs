//! The gate in a real Envoy, in front of the demo control plane.
//!
//! `make test` names the Envoy (`ENVOY_PATH`) and the module (`ZONEGATE_WASM`).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test may panic
#![allow(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

mod bootstrap;
mod clock;
mod configuration;
mod ecds;
mod examples;
mod files;
mod first_message;
mod harness;
mod kds;
mod load;
mod pushes;
mod refusals;
mod routes;
mod streams;
mod tool;
