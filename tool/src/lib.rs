//! The operator's tool, `zonegate`.
//!
//! - [`access_log`] finds the open streams in the access log of a gateway.
//! - [`cli`] is the command line.
//! - [`readers`] reads the files of operators: YAML, JSON.
//! - [`kuma_inputs`] reads Kuma's secrets, and kuma-cp's own configuration.
//! - [`plugin_config`] finds the plugin configuration in a file, and reads its contents.
//! - [`render`] makes a plugin configuration, and the files that carry it into a gateway.
//! - [`lint`] warns of settings that the author of a configuration may not have meant.
//! - [`revocation_file`] adds revoked ids to a file, and drops them.
//! - [`yaml_edit`] changes a policy in the text of a file, and nothing else in it.
//! - [`atomic_write`] replaces a file as a whole, and locks it.
//! - [`service_manager`] reports to systemd when `serve` is ready.
//! - [`sync`] keeps a gateway's policy current with the control plane's secrets.
//!
//! The tool asks the filter's own code, crate `zonegate`, for the gateway's decisions. Only the demo uses
//! `zonegate-testkit`.

#![forbid(unsafe_code)]

pub mod access_log;
pub mod atomic_write;
pub mod cli;
pub mod kuma_inputs;
pub mod lint;
pub mod plugin_config;
pub mod readers;
pub mod render;
pub mod revocation_file;
pub mod service_manager;
pub mod sync;
pub mod yaml_edit;
