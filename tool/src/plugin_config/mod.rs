//! The plugin configuration: its place in a file, its contents, and the differences between two.
//!
//! In: files of Envoy, Istio, Envoy Gateway and Kubernetes. Out: the plugin configuration in them, its settings,
//! revocations and revocation rules. The filter's own code decides whether a configuration is good.

mod difference;
pub(crate) mod filters;
pub(crate) mod generation;
pub mod plugin_file;
mod revocation_place;
mod revocations;
mod rule_changes;
pub mod rules;
pub(crate) mod schema;

pub use difference::{Difference, KeyChange, ListChange, SettingChange};
pub use generation::Generation;
pub use revocation_place::RevocationPlace;
pub use revocations::Revocations;
pub use rule_changes::{Change as RuleDirection, RuleChange, RuleEffect};
pub use schema::{SCHEMA, settings};
