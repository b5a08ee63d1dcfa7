//! Changes a policy in the text of a YAML or JSON file, and leaves every other byte as it is.
//!
//! In: the text, and what of the policy shall be different. Out: the new text, or candidates for it, of which
//! the caller takes one that reads as it should. No file is opened or written here.

pub(crate) mod id_text;
mod policy;
pub(crate) mod revocations;
pub(crate) mod rules;
mod tree;

pub use policy::{Owned, with_policy};
