//! `zonegate serve` from outside: asked by a real Envoy, by a real nginx if there is one, and directly.
//!
//! All of `tests/envoy` tests its decisions by external processing, with `make test FORM=service`. The tests here are
//! for the service only. `make test` names the Envoy (`ENVOY_PATH`).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test may panic
#![allow(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

mod bounds;
mod by_headers;
#[allow(dead_code)] // some of it is not used here
#[path = "../page/document.rs"]
mod document;
mod ext_authz;
mod ext_proc;
mod manager;
mod nginx;
mod page;
mod policy;
mod resets;
mod tls;
mod world;
