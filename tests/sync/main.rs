//! `zonegate sync` from outside, in front of a server that answers as an API server of a control plane
//! does, or as it should not.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test may panic
#![allow(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

mod answers;
mod api;
mod file;
mod release;
mod rules;
mod service;
mod tls;
mod tool;
