//! `zonegate serve` from outside: asked by a real Envoy, by a real nginx where there is one, and directly.
//!
//! What it decides by external processing is tested by all of `tests/envoy`, with `make test FORM=service`; here is
//! what only a service has. `make test` names the Envoy (`ENVOY_PATH`).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test may panic
#![allow(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

mod bounds;
mod by_headers;
#[allow(dead_code)] // not all of it is used here
#[path = "../page/document.rs"]
mod document;
mod ext_authz;
mod ext_proc;
mod manager;
mod nginx;
mod page;
mod policy;
mod tls;
mod world;
