//! Readers of operators' files: YAML, JSON, and files of a wrong kind.
//!
//! In: bytes. Out: values, or an error that names the place and repeats nothing of the file. The meaning of the values
//! is checked by [`crate::kuma_inputs`] and [`crate::plugin_config`].

mod document;
mod file_kind;
pub mod text;

pub use document::{Document, SyntaxError};
pub use file_kind::FileKind;
