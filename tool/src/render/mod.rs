//! Makes a plugin configuration, and the files that carry it into a gateway.
//!
//! ```text
//! Secrets ─────────────────┐
//! kuma-cp's own file ──────┼─ Plugin ─ checked by the filter's own code ─ file of Envoy, manifest, plugin JSON
//! a policy to start from ──┘
//! ```
//!
//! In: the inputs that [`crate::kuma_inputs`] has read, and a policy to start from. Out: the text of a file that reads
//! back unchanged. No file is opened or written here.

mod base_error;
mod dp_token;
mod envoy;
pub mod kubernetes;
mod plugin;
pub mod service;
mod written;

pub use base_error::{BaseError, DuplicateKid};
pub use envoy::{RenderError, ecds, plugin_json};
pub(crate) use envoy::{indented, yaml};
pub use plugin::Plugin;
