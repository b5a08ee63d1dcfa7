//! What an operator would want to know about a configuration that the filter accepts.
//!
//! In: a plugin configuration and the file around it. Out: what it allows, in few words, and
//! [`Finding`]s: what its author may not have meant. Nothing here decides whether it is accepted; the
//! filter's own code has.

mod findings;
mod ids;
mod rules;

use serde::Serialize;
use serde_json::{Map, Value};

pub use findings::Finding;
pub use rules::{RuleDoubt, doubt};

use zonegate::config::Config;

use crate::plugin_config::filters::filters;
use crate::plugin_config::plugin_file::PluginConfiguration;
use crate::plugin_config::rules::words;
use crate::plugin_config::settings;

/// What a configuration allows, and what is odd about it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LintReport {
    /// Where the plugin configuration stands in its file; empty where it is the file.
    pub place: String,
    /// Who may sign.
    pub keys: Vec<KeySummary>,
    /// How many ids are revoked.
    pub revocations: usize,
    /// The revocation rules, in words.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<String>,
    /// Every setting by its path, defaults filled in.
    pub settings: Map<String, Value>,
    /// What its author may not have meant.
    pub warnings: Vec<Finding>,
}

/// A key that the filter accepts.
#[derive(Debug, Serialize)]
pub struct KeySummary {
    /// The name that tokens carry.
    pub kid: String,
    /// Of the modulus.
    pub bits: u32,
    /// As the filter logs it.
    pub fingerprint: String,
}

impl LintReport {
    /// Of `found` in `file`, which the filter reads as `config`.
    pub fn of(file: &Value, found: &PluginConfiguration, config: &Config) -> Self {
        let json: Value = serde_json::from_slice(&found.json).unwrap_or_default();
        let around = filters(file)
            .into_iter()
            .find(|filter| !found.place.is_empty() && found.place.contains(&filter.place))
            .and_then(|filter| filter.around);
        Self {
            place: found.place.clone(),
            keys: config
                .policy
                .issuers
                .keys()
                .map(|(kid, key)| KeySummary {
                    kid: kid.to_owned(),
                    bits: key.bits(),
                    fingerprint: key.fingerprint().to_string(),
                })
                .collect(),
            revocations: config.policy.issuers.revoked_ids(),
            rules: config.policy.revocation_rules.iter().map(words).collect(),
            settings: settings(&json).into_iter().collect(),
            warnings: findings::all(&json, config, around),
        }
    }
}

#[cfg(test)]
mod tests;
