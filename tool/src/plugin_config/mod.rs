//! The plugin configuration: where it stands in a file, what is in it, and how two of them differ.
//!
//! In: files of Envoy, Istio, Envoy Gateway and Kubernetes. Out: the plugin configuration that is in them,
//! its settings, revocations and revocation rules. Whether a configuration is good is for the filter's own code to say.

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
