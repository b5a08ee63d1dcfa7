//! Findings about revocation rules.
//!
//! In: a policy, and its rules or a new one. Out: rules that revoke nothing. A rule that revokes more than was meant
//! cannot be recognised.

use std::fmt;

use zonegate::credential::Kind;
use zonegate::gate::{Policy, RevocationRule};
use zonegate::text::Quoted;

use super::Finding;
use crate::plugin_config::rules::covers;

/// All findings about the rules of `policy`.
pub(super) fn all(policy: &Policy) -> Vec<Finding> {
    let rules = &policy.revocation_rules;
    let mut findings = Vec::new();
    for (place, rule) in rules.iter().enumerate() {
        findings.extend(doubt(rule, policy).map(|doubt| Finding::Rule(place, doubt)));
        // If two rules are the same, the second one is superfluous.
        let is_wider = |(at, other): (usize, &RevocationRule)| {
            at != place && covers(other, rule) && !(covers(rule, other) && place < at)
        };
        let wider = rules.iter().enumerate().position(is_wider);
        findings.extend(wider.map(|wider| Finding::CoveredRule(place, wider)));
    }
    findings
}

/// Why a rule revokes no token that would be allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RuleDoubt {
    /// No key of this kid is configured.
    UnknownKid(String),
    /// The control plane serves another zone: this zone, and the zone that the rule names.
    OtherZone(String, String),
    /// No key of this mesh is configured.
    UnknownMesh(String),
}

/// Why `policy` allows no token that a rule is about. A misspelt name would look like success.
pub fn doubt(rule: &RevocationRule, policy: &Policy) -> Option<RuleDoubt> {
    let issuers = &policy.issuers;
    let has_kid =
        |kid| Kind::ALL.into_iter().any(|kind| issuers.key_sets(kind).any(|set| set.contains(kid)));
    if let Some(kid) = rule.kid.as_deref().filter(|kid| !has_kid(kid)) {
        return Some(RuleDoubt::UnknownKid(kid.to_owned()));
    }
    if let (Some(zone), Some(served)) = (rule.zone.as_deref(), policy.zone())
        && zone != served
    {
        return Some(RuleDoubt::OtherZone(served.to_owned(), zone.to_owned()));
    }
    let of_every_mesh = &issuers.dp_token.all_meshes;
    let has_mesh = |mesh: &str| {
        of_every_mesh.iter().next().is_some() || issuers.dp_token.by_mesh.contains_key(mesh)
    };
    let mesh = rule.mesh.as_deref().filter(|mesh| !has_mesh(mesh))?;
    Some(RuleDoubt::UnknownMesh(mesh.to_owned()))
}

impl fmt::Display for RuleDoubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownKid(kid) => {
                write!(f, "no key with kid {} is configured: the rule revokes nothing", Quoted(kid))
            }
            Self::OtherZone(served, zone) => write!(
                f,
                "the zone of this gateway is {}, and tokens of {} are refused anyway: the rule revokes nothing",
                Quoted(served),
                Quoted(zone)
            ),
            Self::UnknownMesh(mesh) => {
                write!(f, "no key of mesh {} is configured: the rule revokes nothing", Quoted(mesh))
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a test may panic
mod tests {
    use serde_json::{Value, json};
    use zonegate::config::Config;

    use super::*;

    const KEY: &str = include_str!("../../../tests/data/key-1.pub.pem");

    fn read(rules: &Value) -> Config {
        let key = json!([{ "kid": "1", "key": KEY }]);
        let config = json!({ "publicKeys": key, "revocationRules": rules });
        Config::from_json(config.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn a_slip_in_a_name_is_seen() {
        let doubts = |rules: &Value| -> Vec<_> {
            let config = read(rules);
            let rules = config.policy.revocation_rules.iter();
            rules.map(|rule| doubt(rule, &config.policy)).collect()
        };
        let slips = json!([{ "kid": "2" }, { "zone": "b" }, { "mesh": "m" }, { "name": "n" }]);
        assert_eq!(
            doubts(&slips),
            [
                Some(RuleDoubt::UnknownKid("2".into())),
                Some(RuleDoubt::OtherZone("default".into(), "b".into())),
                Some(RuleDoubt::UnknownMesh("m".into())),
                None,
            ]
        );
        assert_eq!(doubts(&json!([{ "kid": "1", "zone": "default" }])), [None]);
    }
}
