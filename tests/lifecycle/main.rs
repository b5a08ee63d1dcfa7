//! The life of connections: a specification in tables, and properties that hold for any order of events.
//!
//! No Envoy is needed: [`host`] takes its place.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test may panic
#![allow(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

mod headers_alone;
mod host;
mod log_lines;
mod model;
mod property;
mod spec;
mod spec_bounds;
mod spec_dataplanes;
mod spec_held;
mod spec_host;
mod spec_open;
mod spec_pace;
mod spec_pushes;
mod spec_shadow;
mod vm;
mod vm_host;
mod vms;
mod vms_modules;
mod vms_modules_property;
mod vms_property;
mod vms_taken_back;
mod zones;
