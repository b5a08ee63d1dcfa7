//! Adds a revocation rule in the text of a file.
//!
//! In: the text, YAML or JSON, and the fields of a rule. Out: candidates for the new text. The caller chooses a
//! candidate that reads as intended, so a wrong guess here is never written. A candidate differs from the text only in
//! the rule and the generation. Whether the rule makes sense is not checked.

use serde_json::{Map, Value};

use super::revocations::list::dash;
use super::revocations::{in_string_values, insert_field, set_generation};
use super::tree::{
    ANCHORS, Content, Edits, Node, last_byte, line_break, line_end, line_start, parse,
};
use crate::plugin_config::Generation;
use crate::plugin_config::rules::RULES;

/// A rule to add.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NewRule<'a> {
    /// The fields, in the order in which they are written.
    pub(crate) fields: &'a [(&'static str, String)],
    /// The new generation of the policy.
    pub(crate) generation: &'a Generation,
}

/// Candidates with the rule after the existing ones, for each mapping in the text that may be the policy.
pub(crate) fn candidates(text: &str, rule: NewRule<'_>) -> Vec<String> {
    let mut candidates = Vec::new();
    let Some(root) = parse(text) else { return candidates };
    let mut policies = Vec::new();
    root.policies(&mut policies);
    for policy in policies {
        candidates.extend(in_policy(text, policy, rule).and_then(|mut edits| {
            set_generation(text, policy, rule.generation, &mut edits)?;
            edits.applied(text)
        }));
    }
    candidates.extend(in_string_values(text, &root, &|text| self::candidates(text, rule)));
    candidates
}

fn in_policy(text: &str, policy: &Node, rule: NewRule<'_>) -> Option<Edits> {
    let mut edits = Edits::default();
    let Some(field) = policy.field(RULES) else {
        insert_rules(text, policy, rule, &mut edits)?;
        return Some(edits);
    };
    let list = &field.value;
    match &list.content {
        Content::Sequence { is_flow: true, items } => {
            let separator = if items.is_empty() { "" } else { ", " };
            let place = items.last().map_or(list.span.start.checked_add(1)?, last_byte);
            edits.insert(place, format!("{separator}{}", rule.in_braces()));
        }
        Content::Sequence { is_flow: false, items } => {
            let last = items.last()?;
            let dash = dash(text, last)?;
            let margin = text.get(line_start(text, dash)..dash)?;
            let content = text.get(..last_byte(last))?.trim_end();
            let (end, feed) = (line_end(text, content.len()), line_break(text, dash));
            let before = if text.get(..end)?.ends_with('\n') { "" } else { feed };
            edits.insert(end, format!("{before}{}", rule.lines(margin, feed)));
        }
        Content::Scalar { .. } | Content::Mapping { .. } | Content::Alias => return None,
    }
    Some(edits)
}

/// Adds a new list, in the style of the policy.
fn insert_rules(text: &str, policy: &Node, rule: NewRule<'_>, edits: &mut Edits) -> Option<()> {
    let anchor = policy.first_of(&ANCHORS).or(policy.first_field())?;
    if matches!(policy.content, Content::Mapping { is_flow: true, .. }) {
        let rules = Value::Array(vec![rule.value()]);
        return insert_field(text, policy, RULES, &rules, edits);
    }
    let start = anchor.name.span.start;
    let before = text.get(line_start(text, start)..start)?;
    // After a dash, the next line has the same indentation.
    let (margin, feed) = (" ".repeat(before.chars().count()), line_break(text, start));
    edits.insert(start, format!("{RULES}:{feed}{}{margin}", rule.lines(&margin, feed)));
    Some(())
}

impl NewRule<'_> {
    fn value(self) -> Value {
        let fields = self.fields.iter();
        let fields: Map<String, Value> =
            fields.map(|(name, value)| ((*name).to_owned(), value.as_str().into())).collect();
        Value::Object(fields)
    }

    fn in_braces(self) -> String {
        self.value().to_string()
    }

    /// The rule as an item of a list, with one field per line.
    fn lines(self, margin: &str, feed: &str) -> String {
        let line = |(index, (name, value)): (usize, &(&str, String))| {
            let mark = if index == 0 { "-" } else { " " };
            format!("{margin}{mark} {name}: {}{feed}", Value::from(value.as_str()))
        };
        self.fields.iter().enumerate().map(line).collect()
    }
}
