//! Sets some fields of the policy in a file of Envoy, as in a [`Plugin`].
//!
//! In: the text of the file, a plugin, and which of its fields to set. Out: the new text, in which all other bytes are
//! kept, or nothing if the policy cannot be changed in place. The new text reads as intended; whether the old text was
//! good is not checked.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::tree::{
    ANCHORS, Content, Edits, Field, Node, last_byte, line_break, line_end, line_start, parse,
};
use crate::plugin_config::Revocations;
use crate::plugin_config::generation::GENERATION;
use crate::plugin_config::plugin_file::PluginConfiguration;
use crate::plugin_config::schema::whole;
use crate::render::{Plugin, indented, yaml};

/// The fields of the policy to set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owned {
    /// Keys and revocations, of zone tokens and of dataplane tokens.
    Secrets,
    /// Keys, revocations and the zone.
    SecretsAndZone,
    /// All fields.
    All,
}

impl Owned {
    fn covers(self, field: &str) -> bool {
        match self {
            Self::Secrets => matches!(field, "publicKeys" | "revocations" | "dpToken"),
            Self::SecretsAndZone => field == "zone" || Self::Secrets.covers(field),
            Self::All => field != GENERATION,
        }
    }
}

/// `text` with these fields, and with this module if one is given. If anything changes, the text also gets the plugin's
/// generation.
pub fn with_policy(
    text: &str,
    plugin: &Plugin,
    owned: Owned,
    module: Option<&str>,
) -> Option<String> {
    let before = policy(text)?;
    let after = plugin.to_json();
    let after = after.as_object()?;
    let tree = parse(text)?;
    let mut policies = Vec::new();
    tree.policies(&mut policies);
    let [node] = policies.as_slice() else { return None };
    let mut edits = Edits::default();
    let names: BTreeSet<&String> =
        before.keys().chain(after.keys()).filter(|name| owned.covers(name)).collect();
    for name in names {
        if !is_same(name, before.get(name), after.get(name)) {
            set(text, node, plugin, name, after.get(name), &mut edits)?;
        }
    }
    if let Some(module) = module {
        set_module(&tree, module, &mut edits);
    }
    if edits.is_empty() {
        return Some(text.to_owned());
    }
    if let Some(generation) = after.get(GENERATION) {
        set(text, node, plugin, GENERATION, Some(generation), &mut edits)?;
    }
    let new = edits.applied(text)?;
    let read = policy(&new)?;
    let is_meant = read.keys().chain(after.keys()).chain(before.keys()).all(|name| {
        if name == GENERATION {
            return read.get(name) == after.get(name).or(before.get(name));
        }
        let wanted = if owned.covers(name) { after.get(name) } else { before.get(name) };
        is_same(name, read.get(name), wanted)
    });
    let is_accepted =
        || PluginConfiguration::find(new.as_bytes()).is_ok_and(|it| it.config().is_ok());
    (is_meant && is_accepted()).then_some(new)
}

fn policy(text: &str) -> Option<Map<String, Value>> {
    let found = PluginConfiguration::find(text.as_bytes()).ok()?;
    match serde_json::from_slice(&found.json).ok()? {
        Value::Object(fields) => Some(fields),
        _ => None,
    }
}

/// Whether two values of a field have the same meaning. Line breaks in keys do not count, nor does the form of
/// revocations.
fn is_same(name: &str, one: Option<&Value>, other: Option<&Value>) -> bool {
    let revoked = |value: Option<&Value>| {
        value.cloned().map_or(Revocations::Text(String::new()), Revocations::of)
    };
    match (name, one, other) {
        ("revocations", one, other) => match (revoked(one).revoked(), revoked(other).revoked()) {
            (Some(one), Some(other)) => one == other,
            _ => one == other,
        },
        (_, Some(one), Some(other)) => numbers(one.clone()) == numbers(other.clone()),
        (_, one, other) => one == other,
    }
}

fn numbers(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            fields.into_iter().map(|(name, field)| (name, numbers(field))).collect()
        }
        other => whole(other),
    }
}

/// Sets or removes a field; `None` if it is impossible in place.
fn set(
    text: &str,
    policy: &Node,
    plugin: &Plugin,
    name: &str,
    value: Option<&Value>,
    edits: &mut Edits,
) -> Option<()> {
    let is_flow = matches!(policy.content, Content::Mapping { is_flow: true, .. });
    let old = policy.field(name);
    match (old, value, is_flow) {
        (None, None, _) => {}
        (Some(old), Some(value), true) => edits.replace(old.value.span.clone(), value.to_string()),
        (Some(old), None, true) if name == "revocations" => {
            edits.replace(old.value.span.clone(), "\"\"");
        }
        (None, Some(value), true) => {
            let keys = policy.first_of(&ANCHORS)?.name.span.start;
            edits.insert(keys, format!("{}: {value}, ", Value::from(name)));
        }
        (Some(_), None, true) => return None,
        (Some(old), value, false) => {
            let (start, end) = (old.name.span.start, field_end(text, old));
            let margin = " ".repeat(start.checked_sub(line_start(text, start))?);
            let feed = line_break(text, start);
            let lines = match value {
                Some(_) => lines_of(plugin, name, &margin, feed)?,
                None if is_on_its_own(text, start) => String::new(),
                None => return None,
            };
            let from = if lines.is_empty() { line_start(text, start) } else { start };
            edits.replace(from..end, lines);
        }
        (None, Some(_), false) => {
            let start = policy.first_of(&ANCHORS)?.name.span.start;
            let margin = " ".repeat(start.checked_sub(line_start(text, start))?);
            let lines = lines_of(plugin, name, &margin, line_break(text, start))?;
            edits.insert(start, format!("{lines}{margin}"));
        }
    }
    Some(())
}

fn is_on_its_own(text: &str, start: usize) -> bool {
    text.get(line_start(text, start)..start).is_some_and(|before| before.trim().is_empty())
}

/// The field as YAML: the first line without a margin, the last line with a line break.
fn lines_of(plugin: &Plugin, name: &str, margin: &str, feed: &str) -> Option<String> {
    let all = yaml(plugin).ok()?;
    let begins = |line: &str| line.starts_with(|rune: char| rune.is_ascii_alphabetic());
    let is_it = |line: &&str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(':'));
    let mut lines = all.split_inclusive('\n').skip_while(|line| !is_it(line));
    let first = lines.next()?;
    let rest: String = lines.take_while(|line| !begins(line)).collect();
    Some(format!("{first}{}", indented(&rest, margin)).replace('\n', feed))
}

/// The place after the last line of a field.
fn field_end(text: &str, field: &Field) -> usize {
    let end = last_byte(&field.value).max(field.name.span.end);
    let content = text.get(..end).unwrap_or_default().trim_end();
    line_end(text, content.len())
}

fn set_module(tree: &Node, module: &str, edits: &mut Edits) {
    let mut places = Vec::new();
    tree.all(&|node| node.field("filename").is_some(), &mut places);
    if let [place] = places.as_slice()
        && let Some(field) = place.field("filename")
        && field.value.scalar() != Some(module)
    {
        edits.replace(field.value.span.clone(), Value::from(module).to_string());
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)] // a test may panic
mod tests {
    use serde_json::json;

    use super::*;

    const ECDS: &str = include_str!("../../../envoy/ecds/zonegate.yaml");
    const KEY: &str = include_str!("../../../tests/cmd/files.in/public.pem");

    fn plugin(fields: Value) -> Plugin {
        let mut base = json!({ "publicKeys": [{ "kid": "9", "key": KEY }] });
        base.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        Plugin::from_base(&base, "base").unwrap()
    }

    #[test]
    fn only_owned_fields_change() {
        let text = ECDS.replace("/etc/zonegate/zonegate.wasm", "/opt/z.wasm # ours");
        for text in [text.clone(), text.replace('\n', "\r\n")] {
            let plugin = plugin(json!({ "revocations": "a,b", "mode": "shadow", "zone": "x" }));
            let new = with_policy(&text, &plugin, Owned::Secrets, None).unwrap();
            let read = policy(&new).unwrap();
            assert_eq!(read.get("publicKeys"), plugin.to_json().get("publicKeys"));
            assert_eq!(
                (read["revocations"].as_str(), read["mode"].as_str()),
                (Some("a,b"), Some("enforce"))
            );
            assert_eq!(read["zone"], "default");
            // All comments outside of the keys are kept.
            let comments = |text: &str| text.lines().filter(|line| line.contains('#')).count();
            assert_eq!(comments(&new), comments(&text), "{new}");
            assert_eq!(new.contains('\r'), text.contains('\r'));
            assert_eq!(
                new.matches('\n').count(),
                new.matches(if text.contains('\r') { "\r\n" } else { "\n" }).count()
            );
            // A second time, nothing changes.
            assert_eq!(with_policy(&new, &plugin, Owned::Secrets, None), Some(new.clone()));
            let zone = with_policy(&new, &plugin, Owned::SecretsAndZone, Some("/m.wasm")).unwrap();
            assert_eq!(policy(&zone).unwrap()["zone"], "x");
            assert!(zone.contains("filename: \"/m.wasm\" # ours"), "{zone}");
            let all = with_policy(&new, &plugin, Owned::All, None).unwrap();
            assert_eq!(policy(&all).unwrap(), *plugin.to_json().as_object().unwrap());
        }
    }

    #[test]
    fn fields_come_and_go_and_json_is_changed_too() {
        let plugin = plugin(json!({ "zone": "x" }));
        let without = ECDS.replace("          revocations: \"\"\n", "");
        for text in [ECDS.to_owned(), without] {
            let new = with_policy(&text, &plugin, Owned::SecretsAndZone, None).unwrap();
            assert!(policy(&new).unwrap().get("revocations").is_none_or(|it| it == ""), "{new}");
        }
        let json: Value = serde_saphyr::from_str(ECDS).unwrap();
        let new = with_policy(&json.to_string(), &plugin, Owned::SecretsAndZone, None).unwrap();
        assert_eq!(policy(&new).unwrap()["zone"], "x");
        for text in ["", "zone: [", "{}", "a: 1"] {
            assert_eq!(with_policy(text, &plugin, Owned::All, None), None);
        }
    }
}
