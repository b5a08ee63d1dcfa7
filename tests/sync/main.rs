//! `zonegate sync` from outside, with a server that answers like the API server of a control plane, or wrongly.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test may panic
#![allow(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

mod answers;
mod api;
#[allow(dead_code)] // some of it is not used here
#[path = "../page/document.rs"]
mod document;
mod file;
mod page;
mod release;
mod rules;
mod secrets;
mod service;
mod tls;
mod tool;
