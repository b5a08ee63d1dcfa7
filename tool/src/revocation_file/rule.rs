//! Adds a revocation rule to the policy in a file.
//!
//! In: a file that was read, and a rule. Out: the new text of the file, in which only the rules and the generation
//! differ, or the index of a rule that already revokes everything that the new one does. The new text is read back as a
//! check.

use serde_json::Value;
use zonegate::config::Config;
use zonegate::gate::RevocationRule;

use super::policy_file::PolicyFile;
use super::{Form, Layout, Reformat, RevocationFile, RevokeError};
use crate::plugin_config::Generation;
use crate::plugin_config::rules::{RULES, covers, fields, value};
use crate::yaml_edit::revocations::anew;
use crate::yaml_edit::rules::{NewRule, candidates};

/// The result of adding a rule to a file.
#[derive(Debug, PartialEq, Eq)]
pub enum RuleEdit {
    /// The rule was added.
    Added {
        /// The new text of the file.
        text: String,
        /// The index of the rule.
        place: usize,
        /// Other changes of the file.
        layout: Layout,
    },
    /// The rule with this index already revokes as much; nothing is changed.
    Already(usize),
}

impl RevocationFile {
    /// Adds a rule. The policy gets this generation.
    ///
    /// # Errors
    /// See [`RevokeError`]. In this case the file must not be written.
    pub fn add_rule(
        &self,
        rule: &RevocationRule,
        reformat: Reformat,
        generation: &Generation,
    ) -> Result<RuleEdit, RevokeError> {
        let Form::Policy(policy) = &self.form else { return Err(RevokeError::NoRules) };
        let rules = &policy.config.policy.revocation_rules;
        if let Some(place) = rules.iter().position(|other| covers(other, rule)) {
            return Ok(RuleEdit::Already(place));
        }
        let rule_value = value(rule);
        judge(policy, &rule_value)?;
        let (text, layout) = self.with_rule(policy, rule, &rule_value, reformat, generation)?;
        Ok(RuleEdit::Added { text, place: rules.len(), layout })
    }

    fn with_rule(
        &self,
        policy: &PolicyFile,
        rule: &RevocationRule,
        rule_value: &Value,
        reformat: Reformat,
        generation: &Generation,
    ) -> Result<(String, Layout), RevokeError> {
        let is_meant = |text: &String| policy.is_meant_with_rule(text, rule_value, generation);
        let new = NewRule { fields: &fields(rule), generation };
        if let Some(text) = candidates(&self.text, new).into_iter().find(is_meant) {
            return Ok((text, Layout::Kept));
        }
        let anew = policy
            .with_rule(rule_value, generation)
            .and_then(|file| anew(&self.text, &file))
            .filter(is_meant)
            .ok_or(RevokeError::NotReadBack)?;
        match reformat {
            Reformat::Never => Err(RevokeError::LayoutLost),
            Reformat::WhereNeeded => Ok((anew, Layout::Anew)),
        }
    }
}

/// Whether the filter accepts the rule. Returns the filter's own error.
fn judge(policy: &PolicyFile, rule: &Value) -> Result<(), RevokeError> {
    let mut json = policy.json.clone();
    let rules = json.as_object_mut().map(|fields| fields.entry(RULES).or_insert(Value::Null));
    match rules {
        Some(Value::Array(rules)) => rules.push(rule.clone()),
        Some(rules) => *rules = Value::Array(vec![rule.clone()]),
        None => return Err(RevokeError::NotReadBack),
    }
    Config::from_json(json.to_string().as_bytes()).map(drop).map_err(RevokeError::Rule)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, clippy::arithmetic_side_effects)] // a test may panic
mod tests {
    use serde_json::json;
    use zonegate::token::NumericDate;

    use super::*;
    use crate::plugin_config::RevocationPlace;
    use crate::plugin_config::plugin_file::PluginConfiguration;

    const ECDS: &str = include_str!("../../../envoy/ecds/zonegate.yaml");
    const KEY: &str = include_str!("../../../tests/cmd/files.in/public.pem");

    fn rule(zone: &str) -> RevocationRule {
        RevocationRule {
            zone: Some(zone.into()),
            issued_before: Some(NumericDate(1_795_000_000)),
            note: "it's \"lost\": # not a comment".into(),
            ..RevocationRule::default()
        }
    }

    fn add(text: &str, rule: &RevocationRule) -> Result<RuleEdit, RevokeError> {
        let file = RevocationFile::read(text.as_bytes(), &RevocationPlace::ZoneTokens).unwrap();
        file.add_rule(rule, Reformat::Never, &Generation::of("next"))
    }

    fn added(text: &str, rule: &RevocationRule) -> (String, usize) {
        match add(text, rule).unwrap() {
            RuleEdit::Added { text, place, layout: Layout::Kept } => (text, place),
            other => panic!("{other:?}"),
        }
    }

    fn rules(text: &str) -> Vec<RevocationRule> {
        let found = PluginConfiguration::find(text.as_bytes()).unwrap();
        found.config().unwrap().policy.revocation_rules
    }

    /// A policy with one key, after `rules` as YAML.
    fn yaml(rules: &str) -> String {
        let key: String = KEY.lines().map(|line| format!("    {line}\n")).collect();
        format!(
            "# ours\nzone: a # so\n{rules}publicKeys:\n- kid: '1'\n  key: |\n{key}mode: enforce # too"
        )
    }

    fn in_string_value(value: &str) -> String {
        format!(
            "# Ours.\n\"@type\": x/envoy.extensions.filters.http.wasm.v3.Wasm\nconfig:\n  configuration:\n    \
             \"@type\": x/google.protobuf.StringValue\n    value: {value}\n# end\n"
        )
    }

    /// For all usual layouts: only the rule is new, and the file can be read.
    #[test]
    fn a_rule_is_added_behind_those_that_are_there() {
        let json = json!({ "zone": "a", "publicKeys": [{ "kid": "1", "key": KEY }] });
        for text in [
            yaml(""),
            yaml("revocationRules:\n- zone: b # his\n  note: his # here\n# and here\n"),
            yaml("revocationRules:\n  - note: |\n      two\n      lines\n    zone: b\n\n"),
            yaml("revocationRules:\n- zone: b\n  note: |\n    two\n    lines\n\n"),
            yaml("revocationRules: [] # none\n"),
            yaml("revocationRules: [{ zone: b }, {zone: c}] # two\n"),
            json.to_string(),
            serde_json::to_string_pretty(&json).unwrap(),
            in_string_value(&format!("'{json}'")),
            in_string_value(&Value::from(json.to_string()).to_string()),
            ECDS.to_owned(),
        ] {
            for text in [text.clone(), text.replace('\n', "\r\n")] {
                let Ok(before) = PluginConfiguration::find(text.as_bytes()) else {
                    panic!("{text}")
                };
                let before = before.config().unwrap().policy.revocation_rules;
                let (once, place) = added(&text, &rule("east"));
                assert_eq!(place, before.len(), "{once}");
                let (twice, _) = added(&once, &rule("west"));
                let wanted: Vec<_> =
                    before.into_iter().chain([rule("east"), rule("west")]).collect();
                assert_eq!(rules(&twice), wanted, "{twice}");
                // Comments and line ends are kept.
                let comments = |text: &str| text.matches(" # ").count();
                assert_eq!(comments(&twice), comments(&text) + 2, "{twice}");
                let is_crlf = text.contains("\r\n");
                assert!(
                    !is_crlf || twice.matches('\n').count() == twice.matches("\r\n").count(),
                    "{twice:?}"
                );
                assert!(is_crlf || !twice.contains('\r'), "{twice:?}");
            }
        }
    }

    #[test]
    fn a_rule_that_is_there_is_not_added_again() {
        let (text, _) = added(&yaml(""), &rule("east"));
        let earlier = RevocationRule { issued_before: Some(NumericDate(9)), ..rule("east") };
        assert_eq!(add(&text, &rule("east")), Ok(RuleEdit::Already(0)));
        assert_eq!(add(&text, &earlier), Ok(RuleEdit::Already(0)));
        let wider = RevocationRule { issued_before: None, ..rule("east") };
        assert!(matches!(add(&text, &wider), Ok(RuleEdit::Added { place: 1, .. })));
    }

    #[test]
    fn a_rule_that_the_filter_refuses_is_not_written() {
        let both = RevocationRule { mesh: Some("m".into()), ..rule("east") };
        let Err(RevokeError::Rule(error)) = add(&yaml(""), &both) else { panic!() };
        assert!(
            error.to_string().starts_with("revocationRules[0]: no token has a zone and"),
            "{error}"
        );
        assert_eq!(add("id1,id2", &rule("east")), Err(RevokeError::NoRules));
        let aliased = yaml("revocationRules: &rules\n- zone: b\nopenStreams: {}\n");
        assert!(add(&aliased, &rule("east")).is_ok());
    }
}
