//! Notes for an operator about a configuration that the filter accepts.
//!
//! In: a plugin configuration and the file around it. Out: a summary of what it allows, and [`Finding`]s: settings that
//! its author may not have meant. The filter's own code has accepted it; nothing here decides that.

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

/// A summary of a configuration, with findings.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LintReport {
    /// The path of the plugin configuration in its file; empty if it is the whole file.
    pub place: String,
    /// The keys that may sign tokens.
    pub keys: Vec<KeySummary>,
    /// The number of revoked ids.
    pub revocations: usize,
    /// The revocation rules, in words.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<String>,
    /// Every setting by its path, including defaults.
    pub settings: Map<String, Value>,
    /// Settings that its author may not have meant.
    pub warnings: Vec<Finding>,
}

/// A key that the filter accepts.
#[derive(Debug, Serialize)]
pub struct KeySummary {
    /// The kid in tokens.
    pub kid: String,
    /// The size of the modulus, in bits.
    pub bits: u32,
    /// The fingerprint, as the filter logs it.
    pub fingerprint: String,
}

impl LintReport {
    /// The report about `found` in `file`, which the filter reads as `config`.
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
