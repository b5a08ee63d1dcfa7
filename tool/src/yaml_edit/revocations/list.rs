//! Changes a list of ids in the text of a file, in brackets or with one item per line.
//!
//! In: the text, the list in it, and ids to add and to drop. Out: the edits. Comments and the order of the other ids
//! are kept.

use serde_json::Value;

use super::Change;
use crate::yaml_edit::tree::{Edits, Node, line_break, line_end, line_start};

/// A list in brackets.
pub(super) fn in_flow(text: &str, list: &Node, items: &[Node], change: Change<'_>) -> Edits {
    let mut edits = Edits::default();
    let close = list.span.end.saturating_sub(1);
    let kept: Vec<&Node> = items.iter().filter(|item| !is_dropped(item, change)).collect();
    for (index, item) in items.iter().enumerate().filter(|(_, item)| is_dropped(item, change)) {
        // With the comma after it, or, at the end, with the comma before it.
        let next = items.get(index.saturating_add(1));
        let last_kept = items.iter().take(index).rev().find(|item| !is_dropped(item, change));
        match (next, last_kept) {
            (Some(next), _) => edits.replace(item.span.start..next.span.start, ""),
            (None, Some(before)) if kept.len() < items.len() => {
                edits.replace(dropped_from(items, index, before, change)..item.span.end, "");
            }
            (None, _) => edits.replace(item.span.clone(), ""),
        }
    }
    if change.add.is_empty() {
        return edits;
    }
    let new: Vec<String> =
        change.add.iter().map(|id| Value::from(id.as_str()).to_string()).collect();
    let Some(last) = kept.last() else {
        edits.insert(close, new.join(", "));
        return edits;
    };
    let behind = text.get(last.span.end..close).unwrap_or_default();
    let has_comma = behind.trim_start().starts_with(',');
    let before = text.get(line_start(text, last.span.start)..last.span.start).unwrap_or_default();
    let is_on_lines = before.trim().is_empty() && behind.contains('\n');
    let (separator, place) = match is_on_lines {
        true => {
            (format!(",{}{before}", line_break(text, last.span.end)), line_end(text, last.span.end))
        }
        false => (tight_or_not(text, items).to_owned(), last.span.end),
    };
    if is_on_lines {
        if !has_comma {
            edits.insert(last.span.end, ",");
        }
        let comma = if has_comma { "," } else { "" };
        edits.insert(
            place,
            format!("{before}{}{comma}{}", new.join(&separator), line_break(text, last.span.end)),
        );
    } else {
        edits.insert(place, format!("{separator}{}", new.join(&separator)));
    }
    edits
}

/// A list with one item per line.
pub(super) fn in_items(text: &str, items: &[Node], change: Change<'_>) -> Option<Edits> {
    let mut edits = Edits::default();
    for item in items.iter().filter(|item| is_dropped(item, change)) {
        let start = line_start(text, dash(text, item)?);
        edits.replace(start..item_end(text, item), "");
    }
    let last = items.last()?;
    let dash = dash(text, last)?;
    let margin = text.get(line_start(text, dash)..dash)?;
    let end = item_end(text, last);
    let feed = line_break(text, last.span.start);
    let mut new = String::new();
    if !text.get(..end)?.ends_with('\n') {
        new.push_str(feed);
    }
    for id in change.add {
        new.push_str(&format!("{margin}- {}{feed}", Value::from(id.as_str())));
    }
    if !change.add.is_empty() {
        edits.insert(end, new);
    }
    Some(edits)
}

fn is_dropped(item: &Node, change: Change<'_>) -> bool {
    item.scalar().is_some_and(|id| change.drop.contains(id.trim()))
}

/// The start of the removal, so that the comma before removed items at the end is removed too.
fn dropped_from(items: &[Node], index: usize, before: &Node, change: Change<'_>) -> usize {
    match items.get(index.saturating_sub(1)) {
        Some(previous) if is_dropped(previous, change) => {
            items.get(index).map_or(before.span.end, |item| item.span.start)
        }
        _ => before.span.end,
    }
}

/// The separator, as between the first two items.
fn tight_or_not(text: &str, items: &[Node]) -> &'static str {
    let between = match items {
        [first, second, ..] => text.get(first.span.end..second.span.start),
        _ => None,
    };
    if between == Some(",") { "," } else { ", " }
}

/// The dash before an item, with only white space between them.
pub(in crate::yaml_edit) fn dash(text: &str, item: &Node) -> Option<usize> {
    let before = text.get(..item.span.start)?.trim_end();
    let dash = before.len().checked_sub(1)?;
    before.ends_with('-').then_some(dash)
}

/// The place after an item, its comment and its line break.
fn item_end(text: &str, item: &Node) -> usize {
    match text.get(..item.span.end).is_some_and(|before| before.ends_with('\n')) {
        true => item.span.end,
        false => line_end(text, item.span.end),
    }
}
