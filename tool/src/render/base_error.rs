//! Why a policy cannot be used as a base, or a key cannot be added to it.

use std::fmt;

/// One kid in two places.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DuplicateKid {
    /// The kid.
    pub kid: String,
    /// The place of the first, and the place of the second.
    pub places: [String; 2],
    /// Whether both are the same key.
    pub is_same_key: bool,
}

/// Why a policy cannot be used as a base.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BaseError {
    /// It is not an object.
    NotAnObject,
    /// A field has the wrong form.
    Field {
        /// The path of the field, for example `publicKeys[2].kid`.
        path: String,
        /// The fault.
        problem: String,
    },
    /// The policy has a kid twice, or has a kid that is given elsewhere too.
    Duplicate(DuplicateKid),
}

impl fmt::Display for DuplicateKid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kid, places: [first, second], is_same_key } = self;
        let keys = if *is_same_key { "the same key" } else { "different keys" };
        write!(f, "kid {kid:?} occurs twice, with {keys}: in {first} and in {second}; remove one")
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
