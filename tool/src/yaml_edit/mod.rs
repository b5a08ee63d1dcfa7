//! Changes a policy in the text of a YAML or JSON file, and keeps every other byte.
//!
//! In: the text, and the changes of the policy. Out: the new text, or candidates for it. The caller chooses a candidate
//! that reads as intended. No file is opened or written here.

pub(crate) mod id_text;
mod policy;
pub(crate) mod revocations;
pub(crate) mod rules;
mod tree;

pub use policy::{Owned, with_policy};
