//! Log lines about configurations, the same in every form of the gate.
//!
//! In: a configuration, or what is wrong with it. Out: lines, each with its level. Which VM or worker writes
//! them is decided elsewhere.

use std::fmt::Write as _;

use super::Level;
use crate::config::{Config, ConfigError};
use crate::gate::{Mode, Profile};
use crate::text::Quoted;

/// Logged when a VM takes a configuration that Envoy gave to another VM only.
pub const GIVEN_TO_ANOTHER_VM: (Level, &str) = (
    Level::Info,
    "zonegate: a newer configuration was given to another VM; it is in force for the streams of this one, too",
);

/// Logged when a copy of the dynamic module takes a configuration that Envoy gave to another copy.
pub const GIVEN_TO_ANOTHER_MODULE: (Level, &str) = (
    Level::Info,
    "zonegate: a newer configuration was given to another module; it is in force for the streams of this one, too",
);

/// Logged when another module was given a configuration that this one cannot read.
pub const UNREADABLE: (Level, &str) = (
    Level::Warn,
    "zonegate: another module serves this gateway now, with a configuration that this one does not know: \
     its streams are cut",
);

/// The lines for a configuration that is now in force; `crypto` names the backend that verifies signatures.
pub fn of_accepted(config: &Config, crypto: &str) -> impl Iterator<Item = (Level, String)> {
    let warning = |warning| (Level::Warn, format!("zonegate: configuration: {warning}"));
    let warnings = config.warnings.iter().map(warning);
    std::iter::once((Level::Info, accepted(config, crypto))).chain(warnings)
}

/// The line for a configuration that is refused.
pub fn of_refused(error: &ConfigError) -> (Level, String) {
    (Level::Error, format!("zonegate: configuration refused: {error}"))
}

fn accepted(config: &Config, crypto: &str) -> String {
    let policy = &config.policy;
    let mut keys = String::new();
    for (label, key) in policy.issuers.keys() {
        let comma = if keys.is_empty() { "" } else { "," };
        // Writing to a String does not fail.
        let _ = write!(keys, "{comma}{}={}", Quoted(label), key.fingerprint());
    }
    format!(
        "zonegate: configured version={} profile={} mode={} crypto={} revocations={} keys={keys}",
        env!("CARGO_PKG_VERSION"),
        profile(&policy.profile),
        match policy.mode {
            Mode::Enforce => "enforce",
            Mode::Shadow => "shadow",
        },
        crypto,
        policy.issuers.revoked_ids(),
    )
}

fn profile(profile: &Profile) -> String {
    match profile {
        Profile::DpServer(server) => format!("dpServer zone={}", Quoted(&server.zone)),
        Profile::GlobalKds(_) => "globalKds".to_owned(),
    }
}
