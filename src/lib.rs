//! The core of Zonegate, a gateway filter for Envoy that checks Kuma's tokens before the control
//! plane sees a byte.
//!
//! ```text
//! request headers ─ route ─ credential ─┬─ token ─ key ─ signature ─ claims ─┬─ time ─ revocation ─ zone ─ scope
//!                  └────── gate ──────┘ └──────────── token ───────────────┘ └──────────── gate ────────────┘
//! ```
//!
//! - [`token`] parses a token and verifies that one of our keys signed it.
//! - [`credential`] has the kinds of tokens: what each proves, and about whom.
//! - [`gate`] decides whether a request may pass: one pure function that returns a [`gate::Verdict`].
//! - [`revocation`] is the list of revoked ids, and its reader.
//! - [`config`] makes a [`gate::Policy`] of the plugin configuration.
//! - [`lifecycle`] has the connections of a gateway on one worker: events in, effects out.
//! - [`vm`] and [`vm_gateway`] have the gateways of a VM, and what its VMs tell each other: [`push_log`], [`shared_gauge`],
//!   [`shared_data`].
//! - [`metrics`] and [`log_line`] have the names of what is counted, and the lines that are logged.
//! - [`go_json`] and [`text`] read JSON as Go does, and write text for people.
//!
//! Nothing here does input or output. `zonegate-wasm` (`filters/wasm`), `zonegate-native` (`filters/native`) and
//! `zonegate-service` (`service`) speak with Envoy and decide nothing; `zonegate-issuer` makes keys and tokens, and
//! `zonegate-tool` is the operator's tool.

#![forbid(unsafe_code)]

pub mod config;
pub mod credential;
pub mod gate;
pub mod go_json;
mod hash;
pub mod lifecycle;
pub mod log_line;
pub mod metrics;
mod protobuf;
pub mod push_log;
pub mod revocation;
pub mod shared_data;
pub mod shared_gauge;
pub mod text;
pub mod token;
pub mod vm;
pub mod vm_gateway;
