//! Adds ids to a text of ids, and removes some.
//!
//! In: the text, as in a secret or a configuration. Out: the new text; the other ids keep their order and the white
//! space around them. [`zonegate::revocation`] defines how a text is read.

use std::collections::BTreeSet;

/// `text` without the ids in `drop`, and with those in `add` at its end, with the separator of the last two ids.
pub(crate) fn edited(text: &str, add: &[String], drop: &BTreeSet<String>) -> String {
    let (body, end) = match text.trim_end() {
        // A text of only white space is an entry.
        "" => text.strip_suffix('\n').map_or((text, ""), |body| (body, "\n")),
        body => (body, text.get(body.len()..).unwrap_or_default()),
    };
    let had_entries = !text.is_empty();
    let kept = without(body, drop);
    let has_entries = had_entries && kept.is_some();
    let mut new = kept.unwrap_or_default();
    let separator = separator(body);
    for (index, id) in add.iter().enumerate() {
        if has_entries || index > 0 {
            new.push_str(separator);
        }
        new.push_str(id);
    }
    // A single line feed would be an empty entry.
    if has_entries || !add.is_empty() {
        new.push_str(end);
    }
    new
}

/// `None` if nothing is left.
fn without(body: &str, drop: &BTreeSet<String>) -> Option<String> {
    if drop.is_empty() {
        return Some(body.to_owned());
    }
    let mut kept = String::with_capacity(body.len());
    let mut is_first = true;
    for entry in body.split(',') {
        let Some(entry) = entry_without(entry, drop) else { continue };
        if !is_first {
            kept.push(',');
        }
        kept.push_str(&entry);
        is_first = false;
    }
    (!is_first).then_some(kept)
}

/// `None` if there were words, and no word is left.
fn entry_without(entry: &str, drop: &BTreeSet<String>) -> Option<String> {
    if !entry.split_whitespace().any(|word| drop.contains(word)) {
        return Some(entry.to_owned());
    }
    let mut kept = String::new();
    let mut rest = entry;
    let mut lead = None;
    loop {
        let words = rest.trim_start();
        let space = rest.get(..rest.len().saturating_sub(words.len())).unwrap_or_default();
        if words.is_empty() {
            break;
        }
        let end = words.find(char::is_whitespace).unwrap_or(words.len());
        let (word, after) = words.split_at_checked(end).unwrap_or((words, ""));
        let lead = *lead.get_or_insert(space);
        if !drop.contains(word) {
            kept.push_str(if kept.is_empty() { lead } else { space });
            kept.push_str(word);
        }
        rest = after;
    }
    (!kept.is_empty()).then_some(kept)
}

/// The text between the last two words, if it is one separator.
fn separator(body: &str) -> &str {
    let is_between = |rune: char| rune == ',' || rune.is_whitespace();
    let Some(last) = body.rfind(is_between) else { return "," };
    let before = body.get(..last).unwrap_or_default().trim_end_matches(is_between);
    let first = before.len();
    // The last separator is between the last two words.
    let end = body
        .get(last..)
        .and_then(|rest| Some(last.saturating_add(rest.chars().next()?.len_utf8())));
    match end.and_then(|end| body.get(first..end)) {
        Some(separator)
            if !before.is_empty()
                && !body.ends_with(is_between)
                && separator.matches(',').count() <= 1 =>
        {
            separator
        }
        _ => ",",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_grows_and_shrinks_as_it_is_written() {
        for (text, add, drop, wanted) in [
            ("", &["a"][..], &[][..], "a"),
            ("\n", &["a"], &[], ",a\n"),
            (" ", &["a"], &[], " ,a"),
            ("a", &["b", "c"], &[], "a,b,c"),
            ("a,b\n", &["c"], &["a"], "b,c\n"),
            ("a,b", &[], &["a", "b"], ""),
            ("a,b\n", &["c"], &["a", "b"], "c\n"),
            ("a,", &["b"], &[], "a,,b"),
            ("a,,b", &["c"], &["b"], "a,,c"),
            ("a, b", &["c"], &[], "a, b, c"),
            ("a b", &["c"], &["a"], "b c"),
            ("  a\r\n  b\r\n", &["c"], &[], "  a\r\n  b\r\n  c\r\n"),
            ("  a\n  b\n  c\n", &[], &["a", "c"], "  b\n"),
            ("  a,\n  b\n", &["c"], &[], "  a,\n  b,\n  c\n"),
        ] {
            let owned = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>();
            let drop = owned(drop).into_iter().collect();
            assert_eq!(edited(text, &owned(add), &drop), wanted, "{text:?}");
        }
    }
}
