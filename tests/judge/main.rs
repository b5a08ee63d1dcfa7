//! The gate's decisions, in tables: one request per line, and its verdict. [`request`] describes the words.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test may panic
#![allow(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

mod checks;
mod dataplane_request;
mod dataplanes;
mod headers_alone;
mod kds;
mod keys;
mod known;
mod limits;
mod messages;
mod pushed;
mod request;
mod revocation_rules;
mod routes;
mod service_accounts;
mod tokens;
