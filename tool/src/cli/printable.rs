//! Text from outside, made safe for a terminal.
//!
//! In: text of a token, a file or an argument. Out: the same text, with every character that would
//! not show as itself written as an escape (`\u001b`): control characters, those that change the
//! direction or hide the rest, marks that pile up on others. What the text says is not judged.

use std::fmt::Write as _;

/// Whether a terminal shows it as one character and does nothing else.
pub(super) fn is_plain(rune: char) -> bool {
    match rune.is_ascii() {
        true => rune == ' ' || rune.is_ascii_graphic(),
        false => rune.escape_debug().count() == 1,
    }
}

/// `text` on one line, with escapes as JSON has them: inside a string of JSON it means the same.
pub(super) fn one_line(text: &str) -> String {
    escape(text, is_plain)
}

/// `text` with its line feeds.
pub(super) fn lines(text: &str) -> String {
    escape(text, |rune| rune == '\n' || is_plain(rune))
}

fn escape(text: &str, is_kept: impl Fn(char) -> bool) -> String {
    let mut safe = String::with_capacity(text.len());
    for rune in text.chars() {
        if is_kept(rune) {
            safe.push(rune);
            continue;
        }
        for unit in rune.encode_utf16(&mut [0; 2]) {
            // Writing to a String does not fail.
            let _ = write!(safe, "\\u{unit:04x}");
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_show_as_itself_is_escaped() {
        for (text, wanted) in [
            ("a b\u{e9}\u{1f600}\\\"", "a b\u{e9}\u{1f600}\\\""),
            ("\u{1b}[2J\u{7f}\u{9b}", "\\u001b[2J\\u007f\\u009b"),
            ("\r\n\t", "\\u000d\\u000a\\u0009"),
            ("\u{202e}\u{200b}\u{2028}\u{feff}", "\\u202e\\u200b\\u2028\\ufeff"),
            ("e\u{301}", "e\\u0301"),
            ("\u{e0041}", "\\udb40\\udc41"),
        ] {
            assert_eq!(one_line(text), wanted);
        }
        assert_eq!(lines("a\n\u{1b}b\r\n"), "a\n\\u001bb\\u000d\n");
    }
}
