//! The gate between Kuma's own programs: kumactl's keys and tokens, kuma-dp through the gateway to kuma-cp, and the
//! verdicts of both side by side.
//!
//! `make test-kuma` names Kuma (`KUMA_HOME`), the Envoy (`ENVOY_PATH`) and the module (`ZONEGATE_WASM`). Without it
//! every test here that needs Kuma is shown as ignored. `exceptions.rs` lists the features that some releases lack.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test may panic
#![allow(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

mod addresses;
mod dataplanes;
#[path = "../shared/demo.rs"]
mod demo;
mod demo_run;
mod exceptions;
mod global_kds;
mod harness;
mod kumactl;
mod matrix;
mod new_tokens;
mod pushes;
mod refused;
mod sidecars;
mod symptoms;
mod sync;
mod vectors;
mod verdicts;
mod whole_path;
