//! Where the revocations stand in the text of a file.
//!
//! In: the text, YAML or JSON, and what the revocations shall be. Out: candidates for the new text, of
//! which the caller takes one that reads as it should; a wrong guess here is never written.

use serde_json::Value;

/// `file` with other revocations in the plugin configuration `json`, which is in it as it is, or as the
/// text of a `StringValue`.
pub(super) fn with_revocations(file: &Value, json: &Value, revocations: &Value) -> Option<Value> {
    let mut file = file.clone();
    let mut changed = json.clone();
    changed.as_object_mut()?.insert("revocations".to_owned(), revocations.clone());
    set(&mut file, json, &changed).then_some(file)
}

/// Whether `before` was found at or below `value`, and replaced.
fn set(value: &mut Value, before: &Value, after: &Value) -> bool {
    if value == before {
        *value = after.clone();
        return true;
    }
    match value {
        Value::Object(fields) => fields.values_mut().any(|field| set(field, before, after)),
        Value::Array(items) => items.iter_mut().any(|item| set(item, before, after)),
        Value::String(text) if text.trim_start().starts_with('{') => {
            let is_it = serde_json::from_str::<Value>(text).is_ok_and(|read| read == *before);
            if is_it {
                *text = after.to_string();
            }
            is_it
        }
        _ => false,
    }
}

/// The text with the revocations in place, for each place where they may stand.
pub(super) fn edits(text: &str, revocations: &Value) -> Vec<String> {
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let mut candidates = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        if let Some(value) = value_of(line, "revocations") {
            candidates.extend(
                on_the_line(line, value, revocations).map(|new| with(&lines, index, 1, &new)),
            );
            candidates.extend(block(&lines, index, revocations));
        }
    }
    for (index, line) in lines.iter().enumerate() {
        if line.trim_start().starts_with("publicKeys:") {
            let indent = indent(line);
            let new = format!("{}revocations: {revocations}\n{line}", " ".repeat(indent));
            candidates.push(with(&lines, index, 1, &new));
        }
    }
    candidates
}

/// Everything written anew, in the language of `text`.
pub(super) fn anew(text: &str, file: &Value) -> Option<String> {
    if text.trim_start().starts_with('{') {
        return serde_json::to_string_pretty(file).ok().map(|text| text + "\n");
    }
    let options = serde_saphyr::ser_options! { prefer_block_scalars: true };
    serde_saphyr::to_string_with_options(file, options).ok()
}

/// What stands behind `name:`, quoted or not; `None` on other lines.
fn value_of<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = line.split_once(name)?;
    let before = line.strip_suffix(rest)?.strip_suffix(name)?;
    let rest = rest.strip_prefix('"').unwrap_or(rest);
    let is_key = before.trim_end().is_empty() || before.trim_end().ends_with(['"', '{', ',', '-']);
    if is_key { rest.trim_start().strip_prefix(':') } else { None }
}

/// A value that begins and ends on the line.
fn on_the_line(line: &str, value: &str, revocations: &Value) -> Option<String> {
    let content = value.trim_start();
    let end = match content.chars().next()? {
        '"' => quoted(content, '"')?,
        '\'' => quoted(content, '\'')?,
        '[' => content.find(']')?.checked_add(1)?,
        '#' => 0,
        _ => content.find(" #").unwrap_or_else(|| content.trim_end().len()),
    };
    let after = content.get(end..)?;
    let before = line.strip_suffix(content)?;
    let gap = if before.ends_with(':') { " " } else { "" };
    Some(format!("{before}{gap}{revocations}{after}"))
}

/// Where the quoted text at the start ends.
fn quoted(content: &str, quote: char) -> Option<usize> {
    let mut is_escaped = false;
    for (index, rune) in content.char_indices().skip(1) {
        match rune {
            _ if is_escaped => is_escaped = false,
            '\\' if quote == '"' => is_escaped = true,
            _ if rune == quote => return index.checked_add(1),
            _ => {}
        }
    }
    None
}

/// A list of items on lines of their own: the old items go, but for their comments' lines.
fn block(lines: &[&str], index: usize, revocations: &Value) -> Option<String> {
    let key = *lines.get(index)?;
    let ids = revocations.as_array()?;
    let items: Vec<&str> = lines
        .iter()
        .skip(index.checked_add(1)?)
        .take_while(|line| is_item(line, indent(key)))
        .copied()
        .collect();
    let first = items.first()?;
    let margin = " ".repeat(indent(first));
    let mut new = key.to_owned();
    let mut left = ids.clone();
    for line in &items {
        let id = line.trim_start().strip_prefix('-').and_then(scalar);
        match id.and_then(|id| left.iter().position(|other| *other == id)) {
            // With what stands behind it.
            Some(position) => {
                left.remove(position);
                new.push_str(line);
            }
            None if line.trim_start().starts_with('#') => new.push_str(line),
            None => {}
        }
    }
    if !new.ends_with('\n') {
        new.push('\n');
    }
    for id in left {
        new.push_str(&format!("{margin}- {id}\n"));
    }
    Some(with(lines, index, items.len().checked_add(1)?, &new))
}

/// An item of a list is at least as far in as its key.
fn is_item(line: &str, margin: usize) -> bool {
    let content = line.trim();
    indent(line) >= margin
        && (content.starts_with("- ") || content == "-" || content.starts_with('#'))
}

/// The text of an item, as YAML reads it.
fn scalar(item: &str) -> Option<Value> {
    serde_saphyr::from_str::<String>(item).ok().map(Value::from)
}

fn indent(line: &str) -> usize {
    line.len().saturating_sub(line.trim_start_matches(' ').len())
}

/// The lines with `count` of them from `index` on replaced.
fn with(lines: &[&str], index: usize, count: usize, new: &str) -> String {
    let before = lines.iter().take(index).copied();
    let after = lines.iter().skip(index.saturating_add(count)).copied();
    before.chain([new]).chain(after).collect()
}
