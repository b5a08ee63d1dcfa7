//! The differences between two sets of revocation rules.
//!
//! In: two configurations that the filter has read. Out: added and removed rules, and whether a change makes tokens
//! good again. The filter decides which tokens a rule revokes.

use serde::Serialize;
use zonegate::config::Config;
use zonegate::gate::RevocationRule;

use super::rules::{covers, words};

/// An added or removed rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RuleChange {
    /// Added or removed.
    pub change: Change,
    /// The rule, in words.
    pub rule: String,
    /// The effect on the tokens that the rule is about.
    pub effect: RuleEffect,
    /// The index of a rule of the other configuration that revokes all these tokens, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub covered_by: Option<usize>,
}

/// The direction of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Change {
    /// Only the new configuration has it.
    Added,
    /// Only the old configuration has it.
    Removed,
}

/// The effect of a change of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum RuleEffect {
    /// Revokes tokens that were not revoked before.
    Stricter,
    /// Tokens that only this rule revoked are good again.
    Looser,
    /// Another rule revokes the tokens, in the other configuration.
    None,
}

/// The differences between the rules of two configurations. Rules that differ only in their index or their note are the
/// same.
pub(super) fn changes(old: &Config, new: &Config) -> Vec<RuleChange> {
    let (old, new) = (&old.policy.revocation_rules[..], &new.policy.revocation_rules[..]);
    let gone = missing(old, new).map(|rule| RuleChange::of(Change::Removed, rule, new));
    let come = missing(new, old).map(|rule| RuleChange::of(Change::Added, rule, old));
    come.chain(gone).collect()
}

/// The rules that are not in `others`.
fn missing<'a>(
    rules: &'a [RevocationRule],
    others: &'a [RevocationRule],
) -> impl Iterator<Item = &'a RevocationRule> {
    let is_same = |one: &RevocationRule, other: &RevocationRule| {
        RevocationRule { note: Box::default(), ..one.clone() }
            == RevocationRule { note: Box::default(), ..other.clone() }
    };
    rules.iter().filter(move |rule| !others.iter().any(|other| is_same(rule, other)))
}

impl RuleChange {
    fn of(change: Change, rule: &RevocationRule, others: &[RevocationRule]) -> Self {
        let covered_by = others.iter().position(|other| covers(other, rule));
        let effect = match (change, covered_by) {
            (_, Some(_)) => RuleEffect::None,
            (Change::Added, None) => RuleEffect::Stricter,
            (Change::Removed, None) => RuleEffect::Looser,
        };
        Self { change, rule: words(rule), effect, covered_by }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a test may panic
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::plugin_config::rules::tests::read;

    #[test]
    fn added_and_removed_rules_are_told_with_their_effect() {
        let narrow = json!({ "zone": "a", "issuedBefore": "2026-11-20T00:00:00Z" });
        let wide = json!({ "zone": "a", "issuedBefore": "2026-11-21T01:00:00+01:00", "note": "n" });
        let other = json!({ "kid": "old", "until": "2026-12-01T00:00:00Z" });
        let told = |old: &Value, new: &Value| -> Vec<_> {
            changes(&read(old), &read(new))
                .into_iter()
                .map(|it| (it.change, it.rule, it.effect, it.covered_by))
                .collect()
        };
        let narrow_words = "zone \"a\", issued before 2026-11-20T00:00:00Z".to_owned();
        let wide_words = "zone \"a\", issued before 2026-11-21T00:00:00Z (\"n\")".to_owned();
        let other_words = "kid \"old\", until 2026-12-01T00:00:00Z".to_owned();
        assert_eq!(
            told(&json!([other, narrow]), &json!([wide])),
            [
                (Change::Added, wide_words.clone(), RuleEffect::Stricter, None),
                (Change::Removed, other_words, RuleEffect::Looser, None),
                (Change::Removed, narrow_words.clone(), RuleEffect::None, Some(0)),
            ]
        );
        assert_eq!(
            told(&json!([wide]), &json!([narrow])),
            [
                (Change::Added, narrow_words, RuleEffect::None, Some(0)),
                (Change::Removed, wide_words, RuleEffect::Looser, None),
            ]
        );
        // A different order, spelling of a time, or note is no difference.
        let again = json!({ "issuedBefore": "2026-11-21T00:00:00Z", "zone": "a", "note": "m" });
        assert_eq!(told(&json!([wide, other]), &json!([other, again])), []);
    }
}
