//! The shell between Envoy's dynamic-module ABI and the core: it translates Envoy's hooks into events of
//! [`Lifecycle`](zonegate::lifecycle::Lifecycle), and effects into calls of Envoy. It decides nothing.
//!
//! ```text
//! main thread   configuration ─── Gateway: its policies, one for the process ──┐ wakes
//! each worker   stream ─── WorkerGateway: a Lifecycle, the streams of a thread ◀┘◀── clock (a thread)
//! ```
//!
//! All unsafe code is in `abi.rs`. A panic is caught in its hook: see `abi.rs`.

#![cfg(target_os = "linux")] // Envoy also loads libraries on macOS, but this one was not tried there

#[cfg(panic = "abort")]
compile_error!("a panic must not end Envoy: build it with `make native`, or `--profile native`");

mod abi;
mod backend;
mod clock;
mod configuration;
mod copies;
mod effects;
#[cfg(zonegate_fault)]
mod fault_injection;
mod gateway;
mod metrics;
mod program;
mod stream;
mod worker;
