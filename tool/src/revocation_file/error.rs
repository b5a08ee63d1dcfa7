//! Why the revoked ids in a file cannot be changed.

use std::fmt;

use zonegate::config::ConfigError;

use crate::plugin_config::plugin_file::PluginFileError;

/// Why a file cannot be edited.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RevokeError {
    /// Not UTF-8.
    NotText,
    /// It looks like a file of Envoy or a plugin configuration, but the filter does not accept it.
    Plugin(PluginFileError),
    /// The revocations in it have a form that only the filter reads.
    OtherForm,
    /// The policy is a file in a ConfigMap.
    InConfigMap,
    /// An empty id would revoke every token without an id.
    EmptyId,
    /// An id that a text of ids cannot contain.
    NotInText(String),
    /// A line of the list begins with dashes, as a PEM block does.
    NotAList,
    /// A list of ids has no rules.
    NoRules,
    /// The filter refuses the rule.
    Rule(ConfigError),
    /// The revocations cannot be changed without rewriting the file.
    LayoutLost,
    /// The new text would be read differently.
    NotReadBack,
}

impl fmt::Display for RevokeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotText => f.write_str("not a revocation list: not UTF-8 text"),
            Self::Plugin(error) => error.fmt(f),
            Self::OtherForm => f.write_str(
                "the revocations in it are neither a text nor a list: change them by hand, or \
                 render the file anew",
            ),
            Self::InConfigMap => f.write_str(
                "it is a ConfigMap, and the policy a text in it: change the file that it is made of \
                 (zonegate revoke FILE ID), and make the ConfigMap anew (kubectl create configmap \
                 --from-file)",
            ),
            Self::EmptyId => f.write_str("an empty ID would revoke every token that has none"),
            Self::NotInText(id) => write!(
                f,
                "{}: an ID with a comma or white space cannot stand in a text of ids, which is \
                 split there; only a list in a plugin configuration can hold it",
                zonegate::text::Quoted(id)
            ),
            Self::NotAList => f.write_str(
                "not a revocation list: it has lines that are not ids (a PEM, a configuration?)",
            ),
            Self::NoRules => f.write_str(
                "a revocation list can only contain ids, because Kuma has no rules: give a plugin configuration, or \
                 the file of Envoy that holds one",
            ),
            Self::Rule(error) => error.fmt(f),
            Self::LayoutLost => f.write_str(
                "its revocations are written in a way that cannot be changed alone (an alias, a tag?): \
                 change them by hand, or give --reformat, which writes the whole file anew, without \
                 its comments",
            ),
            Self::NotReadBack => {
                f.write_str("an ID would be read differently from this file; nothing was changed")
            }
        }
    }
}

impl std::error::Error for RevokeError {}
