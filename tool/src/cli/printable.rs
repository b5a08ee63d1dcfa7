//! Text from outside, made safe for a terminal.
//!
//! In: text of a token, a file or an argument. Out: the same text, with an escape (`\u001b`) for every character that a
//! terminal does not show as itself: control characters, characters that change the direction or hide text, and
//! combining marks. The meaning of the text is not judged.

use std::fmt::Write as _;

/// Whether a terminal shows it as one character, without other effects.
pub(super) fn is_plain(rune: char) -> bool {
    match rune.is_ascii() {
        true => rune == ' ' || rune.is_ascii_graphic(),
        false => rune.escape_debug().count() == 1,
    }
}

/// `text` on one line, with the escapes of JSON, so that it keeps its meaning in a JSON string.
pub(super) fn one_line(text: &str) -> String {
    escape(text, is_plain)
}

/// `text`, with its line feeds kept.
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
    fn odd_characters_are_escaped() {
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
