//! The gate in a real Envoy, in front of the demo control plane.
//!
//! `make test` sets the path of Envoy (`ENVOY_PATH`) and of the module (`ZONEGATE_WASM`).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test may panic
#![allow(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

mod access_log;
mod attacks;
mod bad_pushes;
mod big_lists;
mod bootstrap;
mod clock;
mod configuration;
mod crypto;
#[path = "../shared/demo.rs"]
mod demo;
mod demo_connections;
mod deployed;
mod ecds;
mod examples;
mod failing_vm;
mod files;
mod first_message;
mod floods;
mod form;
mod global_kds_page;
mod hardened;
mod harness;
mod held;
mod held_pushes;
mod herd;
mod hot_restart;
mod kds;
mod keys_of_open_streams;
mod lifecycle_timer;
mod listed_streams;
mod listener_pushes;
mod load;
mod many_at_once;
mod memory;
mod memory_of_pushes;
mod metrics;
mod module_swap;
mod moved_clock;
mod one_version;
mod open_stream;
mod page;
mod page_commands;
mod push_and_connect;
mod push_back;
mod pushes;
mod reconnect_race;
mod reconnects;
mod refusals;
mod rendered;
mod revocation_rules;
mod routes;
mod several_gateways;
mod shadowed;
mod soak;
mod spellings;
mod story;
mod streams;
mod talking;
mod tool;
mod versions;
mod zone_side;
