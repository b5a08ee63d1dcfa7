//! Readers of the files that operators have: YAML, JSON, and files that were taken for others.
//!
//! In: bytes. Out: values, or an error that names the place and repeats nothing of the file. What the values
//! say is not checked here; [`crate::kuma_inputs`] and [`crate::plugin_config`] do.

mod document;
mod file_kind;
pub mod text;

pub use document::{Document, SyntaxError};
pub use file_kind::FileKind;
