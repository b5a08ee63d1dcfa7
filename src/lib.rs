//! Zonegate: a gateway filter for Envoy that checks Kuma zone tokens before the control plane sees a
//! byte.
//!
//! ```text
//! request headers ─ route ─ credential ─┬─ token ─ key ─ signature ─ claims ─┬─ time ─ revocation ─ zone ─ scope
//!                  └────── gate ──────┘ └──────────── token ───────────────┘ └──────────── gate ────────────┘
//! ```
//!
//! - [`token`] says what a token is, and that one of our keys signed it.
//! - [`gate`] decides whether a request may pass: one pure function, a [`gate::Verdict`] out.
//! - [`config`] makes a [`gate::Policy`] of the plugin configuration.
//! - `plugin` (wasm only) speaks proxy-wasm with Envoy and decides nothing.
//! - `issuer`, `operator`, `cli` and `demo` (native only) are the operator's tool.

#[cfg(not(target_family = "wasm"))]
pub mod cli;
pub mod config;
#[cfg(not(target_family = "wasm"))]
pub mod demo;
pub mod gate;
#[cfg(not(target_family = "wasm"))]
pub mod issuer;
pub mod lifecycle;
pub mod log_line;
pub mod metrics;
#[cfg(not(target_family = "wasm"))]
pub mod operator;
#[cfg(target_family = "wasm")]
mod plugin;
mod protobuf;
pub mod push_log;
pub mod shared_data;
pub mod shared_gauge;
#[cfg(not(target_family = "wasm"))]
pub mod sync;
pub mod token;
pub mod vm_gateway;
