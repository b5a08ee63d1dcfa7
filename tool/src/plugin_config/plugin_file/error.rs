//! Why a file has no plugin configuration, or one that cannot be used.

use std::fmt;

use zonegate::config::ConfigError;

use crate::readers::FileKind;
use crate::readers::text::TextError;

/// Why there is no plugin configuration, or one that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PluginFileError {
    /// Not YAML or JSON.
    Text(TextError),
    /// Not an object.
    NotAnObject,
    /// Another known kind of file.
    OtherKind(FileKind),
    /// A file of Envoy or Kubernetes without the filter.
    NoFilter,
    /// The filter is there, but its configuration is in this other file, which must be given instead.
    Elsewhere(String),
    /// A filter without a configuration. Its place.
    NoConfiguration(String),
    /// A configuration that is neither a Struct nor a StringValue. Its place and its type.
    OtherType {
        /// The place of the configuration.
        place: String,
        /// `@type`.
        type_url: String,
    },
    /// A number that Envoy reads as text. The place of the configuration.
    Number(String),
    /// Several filters. Their places.
    Several(Vec<String>),
    /// The filter would refuse it.
    Refused {
        /// The place of the plugin configuration.
        place: String,
        /// Why the filter refuses it.
        error: ConfigError,
    },
}

impl fmt::Display for PluginFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(error) => error.fmt(f),
            Self::NotAnObject => {
                f.write_str("it is neither a plugin configuration nor a file of Envoy")
            }
            Self::OtherKind(kind) => write!(f, "not a policy for the gate: {kind}"),
            Self::NoFilter => f.write_str(
                "no Wasm filter is in it: give a plugin configuration, or the file of Envoy that \
                 holds it",
            ),
            Self::Elsewhere(path) => {
                write!(f, "the filter's configuration is in another file, {path}: give that one")
            }
            Self::NoConfiguration(place) => write!(f, "{place}: the filter has no configuration"),
            Self::OtherType { place, type_url } => write!(
                f,
                "{place}: {type_url:?}: the configuration must be a google.protobuf.Struct, or a \
                 google.protobuf.StringValue with JSON"
            ),
            Self::Number(place) => write!(
                f,
                "{place}: Envoy reads a number in YAML as text where it has a point or is beyond 32 \
                 bits: put it in quotes, or write a smaller whole number"
            ),
            Self::Several(places) => write!(
                f,
                "{} plugin configurations are in it, at {}: give a file with one",
                places.len(),
                places.join(" and ")
            ),
            Self::Refused { place, error } if place.is_empty() => error.fmt(f),
            Self::Refused { place, error } => write!(f, "{place}: {error}"),
        }
    }
}

impl std::error::Error for PluginFileError {}
