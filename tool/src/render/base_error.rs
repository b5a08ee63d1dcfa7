//! Why a policy cannot be built upon, or a key not be added to it.

use std::fmt;

/// One kid in two places.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DuplicateKid {
    /// The kid.
    pub kid: String,
    /// Where it was, and where it is again.
    pub places: [String; 2],
    /// Whether it is the same key.
    pub is_same_key: bool,
}

/// Why a policy cannot be built upon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BaseError {
    /// It is no object.
    NotAnObject,
    /// A field has not the form that it must have; which, and why.
    Field {
        /// As in `publicKeys[2].kid`.
        path: String,
        /// What is wrong.
        problem: String,
    },
    /// A kid is in it twice, or in it and elsewhere.
    Duplicate(DuplicateKid),
}

impl fmt::Display for DuplicateKid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kid, places: [first, second], is_same_key } = self;
        let keys = if *is_same_key { "the same key" } else { "different keys" };
        write!(f, "kid {kid:?} is there twice, with {keys}: in {first} and in {second}; remove one")
    }
}

impl std::error::Error for DuplicateKid {}

impl fmt::Display for BaseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAnObject => f.write_str("not a plugin configuration: no fields in it"),
            Self::Field { path, problem } => write!(f, "{path}: {problem}"),
            Self::Duplicate(duplicate) => duplicate.fmt(f),
        }
    }
}

impl std::error::Error for BaseError {}
