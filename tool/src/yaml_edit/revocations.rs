//! Finds the revocations in the text of a file, and changes them.
//!
//! In: the text, YAML or JSON, and ids to add and to drop. Out: candidates for the new text. The caller chooses a
//! candidate that reads as intended, so a wrong guess here is never written. A candidate differs from the text only in
//! the revocations: comments, order, line breaks and quotes are kept.

pub(super) mod list;

use std::collections::BTreeSet;
use std::ops::Range;

use granit_parser::ScalarStyle;
use serde_json::{Value, json};

use super::id_text;
use super::tree::{ANCHORS, Content, Edits, Field, Node, line_break, line_end, line_start, parse};
use crate::plugin_config::RevocationPlace;
use crate::plugin_config::generation::{GENERATION, Generation};

/// Ids to add and to drop.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Change<'a> {
    pub(crate) add: &'a [String],
    pub(crate) drop: &'a BTreeSet<String>,
    /// The new generation of the policy.
    pub(crate) generation: &'a Generation,
}

/// Candidates with the changed list at `place`, for each mapping in the text that may be the policy.
pub(crate) fn candidates(text: &str, place: &RevocationPlace, change: Change<'_>) -> Vec<String> {
    let mut candidates = Vec::new();
    let Some(root) = parse(text) else { return candidates };
    let mut policies = Vec::new();
    root.policies(&mut policies);
    for policy in policies {
        let edits = in_policy(text, policy, place, change);
        candidates.extend(edits.into_iter().filter_map(|mut edits| {
            set_generation(text, policy, change.generation, &mut edits)?;
            edits.applied(text)
        }));
    }
    candidates.extend(in_string_values(text, &root, &|text| self::candidates(text, place, change)));
    candidates
}

/// The whole file rewritten, as JSON or YAML like `text`.
pub(crate) fn anew(text: &str, file: &Value) -> Option<String> {
    if text.trim_start_matches('\u{feff}').trim_start().starts_with('{') {
        return serde_json::to_string_pretty(file).ok().map(|text| text + "\n");
    }
    let options = serde_saphyr::ser_options! { prefer_block_scalars: true };
    serde_saphyr::to_string_with_options(file, options).ok()
}

/// Changes the list, or adds a new one to the innermost of its parents that exists.
fn in_policy(text: &str, policy: &Node, place: &RevocationPlace, change: Change<'_>) -> Vec<Edits> {
    let names = place.fields();
    let (mut parent, mut names) = (policy, names.as_slice());
    while let Some((name, rest)) = names.split_first() {
        match (parent.field(name), rest) {
            (Some(field), []) => return in_field(text, field, change),
            (Some(field), _) => (parent, names) = (&field.value, rest),
            (None, _) => {
                let ids = Value::from(change.add.join(","));
                let value = rest.iter().rev().fold(ids, |value, name| json!({ *name: value }));
                let mut edits = Edits::default();
                let is_done = insert_field(text, parent, name, &value, &mut edits);
                return is_done.map(|()| edits).into_iter().collect();
            }
        }
    }
    Vec::new()
}

fn in_field(text: &str, field: &Field, change: Change<'_>) -> Vec<Edits> {
    let value = &field.value;
    match &value.content {
        Content::Scalar { value: ids, style } => {
            let kept = match style {
                ScalarStyle::Literal | ScalarStyle::Folded => in_block(text, value, change),
                style => in_line(value, ids, *style, change),
            };
            let quoted = Value::from(id_text::edited(ids, change.add, change.drop)).to_string();
            kept.into_iter().chain(requoted(text, field, *style, quoted)).collect()
        }
        Content::Sequence { is_flow: true, items } => {
            vec![list::in_flow(text, value, items, change)]
        }
        Content::Sequence { is_flow: false, items } => {
            list::in_items(text, items, change).into_iter().collect()
        }
        Content::Mapping { .. } | Content::Alias => Vec::new(),
    }
}

/// Changes a text on one line, and keeps its quotes.
fn in_line(node: &Node, ids: &str, style: ScalarStyle, change: Change<'_>) -> Option<Edits> {
    let new = id_text::edited(ids, change.add, change.drop);
    let (quote, escaped): (_, fn(&str) -> String) = match style {
        ScalarStyle::DoubleQuoted => (1, |text| {
            let quoted = Value::from(text).to_string();
            quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default().to_owned()
        }),
        ScalarStyle::SingleQuoted => (1, |text| text.replace('\'', "''")),
        _ => (0, str::to_owned),
    };
    let inner = node.span.start.checked_add(quote)?..node.span.end.checked_sub(quote)?;
    let mut edits = Edits::default();
    match new.strip_prefix(ids).filter(|_| !ids.is_empty()) {
        // The old text keeps its escapes and its lines.
        Some(more) => edits.insert(inner.end, escaped(more)),
        None => edits.replace(inner, escaped(&new)),
    }
    Some(edits)
}

/// Replaces a text of any style by a quoted one.
fn requoted(text: &str, field: &Field, style: ScalarStyle, quoted: String) -> Option<Edits> {
    let mut edits = Edits::default();
    let span = field.value.span.clone();
    if !matches!(style, ScalarStyle::Literal | ScalarStyle::Folded) {
        edits.replace(span, quoted);
        return Some(edits);
    }
    let header = text.get(field.name.span.end..span.start)?;
    let mark = field.name.span.end.checked_add(header.find(['|', '>'])?)?;
    let length = text.get(mark..)?.find(char::is_whitespace)?;
    edits.replace(mark..mark.checked_add(length)?, quoted);
    let body = line_end(text, mark);
    edits.replace(body..span.end.max(body), "");
    Some(edits)
}

/// Changes a block scalar, whose lines are the text with a margin.
fn in_block(text: &str, node: &Node, change: Change<'_>) -> Option<Edits> {
    let start = line_start(text, node.span.start);
    let lines = text.get(start..node.span.end)?;
    let new = id_text::edited(lines, change.add, change.drop);
    let mut edits = Edits::default();
    edits.replace(start..node.span.end, new);
    Some(edits)
}

/// Replaces the generation, or adds it before the keys.
pub(super) fn set_generation(
    text: &str,
    policy: &Node,
    generation: &Generation,
    edits: &mut Edits,
) -> Option<()> {
    let value = Value::from(generation.as_str());
    match policy.field(GENERATION) {
        Some(Field { value: Node { span, content: Content::Scalar { style, .. } }, .. })
            if !matches!(style, ScalarStyle::Literal | ScalarStyle::Folded) =>
        {
            edits.replace(span.clone(), value.to_string());
        }
        Some(_) => return None,
        None => insert_field(text, policy, GENERATION, &value, edits)?,
    }
    Some(())
}

/// Adds a field before the keys, or before the first field if there are no keys.
pub(super) fn insert_field(
    text: &str,
    parent: &Node,
    name: &str,
    value: &Value,
    edits: &mut Edits,
) -> Option<()> {
    let Some(anchor) = parent.first_of(&ANCHORS).or(parent.first_field()) else {
        edits.replace(empty_mapping(text, parent)?, json!({ name: value }).to_string());
        return Some(());
    };
    let start = anchor.name.span.start;
    let before = text.get(line_start(text, start)..start).unwrap_or_default();
    let feed = line_break(text, start);
    let is_flow = matches!(parent.content, Content::Mapping { is_flow: true, .. });
    let is_quoted = text.get(start..).is_some_and(|name| name.starts_with('"'));
    // YAML might read the name of a mesh as another type.
    let is_plain = name.bytes().all(|byte| byte.is_ascii_alphabetic()) && name.len() > 5;
    let name = if is_quoted || !is_plain { Value::from(name).to_string() } else { name.to_owned() };
    edits.insert(
        start,
        match (is_flow, before.trim().is_empty()) {
            (true, false) => format!("{name}: {value}, "),
            (true, true) => format!("{name}: {value},{feed}{before}"),
            // After a dash, the next line has the same indentation.
            (false, _) => format!("{name}: {value}{feed}{}", " ".repeat(before.chars().count())),
        },
    );
    Some(())
}

/// The place of `{}`.
fn empty_mapping(text: &str, node: &Node) -> Option<Range<usize>> {
    let is_empty = text.get(node.span.clone()).is_some_and(|text| text.starts_with('{'));
    is_empty.then(|| node.span.clone())
}

/// Changes a policy that is the text of a `StringValue`, with the candidates for that text.
pub(super) fn in_string_values(
    text: &str,
    root: &Node,
    candidates: &dyn Fn(&str) -> Vec<String>,
) -> Vec<String> {
    let mut values = Vec::new();
    let is_policy = |node: &Node| {
        node.scalar().is_some_and(|text| {
            text.trim_start().starts_with('{') && ANCHORS.iter().any(|name| text.contains(name))
        })
    };
    root.all(&is_policy, &mut values);
    let mut edited = Vec::new();
    for node in values {
        let Content::Scalar { value, style } = &node.content else { continue };
        for new in candidates(value) {
            let mut edits = Edits::default();
            match style {
                ScalarStyle::Literal => {
                    let start = line_start(text, node.span.start);
                    let margin = text.get(start..node.span.start).unwrap_or_default();
                    let feed = line_break(text, start);
                    let line = |line: &str| match line {
                        "" => feed.to_owned(),
                        line => format!("{margin}{line}{feed}"),
                    };
                    edits.replace(start..node.span.end, new.lines().map(line).collect::<String>());
                }
                ScalarStyle::SingleQuoted => {
                    edits.replace(node.span.clone(), format!("'{}'", new.replace('\'', "''")));
                }
                ScalarStyle::DoubleQuoted => {
                    edits.replace(node.span.clone(), Value::from(new).to_string());
                }
                _ => continue,
            }
            edited.extend(edits.applied(text));
        }
    }
    edited
}
