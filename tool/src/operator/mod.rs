//! What operators have, made into what the gateway takes, and read back from it.
//!
//! ```text
//! GlobalSecrets ─ Secrets ─┐
//! kuma-cp's own file ──────┼─ Plugin ─ checked by the filter's own code ─ file of Envoy, plugin JSON
//! a policy to start from ──┘                                                        │
//!                                                    plugin_file ───────────────────┘
//! ```
//!
//! In: what operators have: secrets, and files of Envoy, Kuma and Kubernetes. Out: plugin
//! configurations, and the files that carry them, or an error that names the place. Private keys are
//! reduced to public ones where they are read; nothing behind [`Secrets`] has seen one.

pub mod control_plane;
mod difference;
mod document;
mod envoy;
mod file_kind;
mod filters;
mod generation;
pub mod kubernetes;
mod plugin;
pub mod plugin_file;
mod policy_edit;
mod replace;
pub mod review;
mod revocations;
pub mod revoking;
mod schema;
mod secrets;
pub mod text;
mod yaml_tree;

pub use difference::{Difference, KeyChange, SettingChange};
pub use document::{Document, SyntaxError};
pub use envoy::{RenderError, ecds, plugin_json};
pub use file_kind::FileKind;
pub use generation::Generation;
pub use plugin::{BaseError, DuplicateKid, Plugin};
pub use policy_edit::{Owned, with_policy};
pub use replace::{FileLock, KeptBySync, ReplaceError, kept_by_sync, replace};
pub(crate) use replace::{SYNC_LOCK, beside};
pub use revocations::Revocations;
pub use schema::{SCHEMA, settings};
pub use secrets::{Secrets, SecretsError, Skipped, Unusable};
