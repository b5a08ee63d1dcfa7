//! Why kuma-cp's configuration cannot be used.

use std::fmt;

use crate::readers::FileKind;
use crate::readers::text::TextError;

/// Why a configuration cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ControlPlaneError {
    /// Not YAML or JSON.
    Text(TextError),
    /// It has no fields.
    NotAnObject,
    /// A field has the wrong form. The path, and the expected form.
    Field(String, &'static str),
    /// It is another known kind of file.
    OtherKind(FileKind),
    /// A line of an environment is not `NAME=VALUE`. The number of the line, from 1.
    Line(usize),
}

impl fmt::Display for ControlPlaneError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(error) => error.fmt(f),
            Self::NotAnObject => f.write_str("not a configuration of kuma-cp: no fields in it"),
            Self::OtherKind(kind) => write!(f, "not a configuration of kuma-cp: {kind}"),
            Self::Field(path, form) => write!(f, "{path}: must be {form}"),
            Self::Line(line) => write!(f, "line {line} is not NAME=VALUE"),
        }
    }
}

impl std::error::Error for ControlPlaneError {}
