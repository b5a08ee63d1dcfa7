//! Text from outside, in a form that can neither forge a line nor flood it.
//!
//! In: any text. Out: the same, quoted, in printable ASCII, of a bounded length.

use std::fmt;

/// Text from a verified claim or a header, quoted, escaped to printable ASCII and cut at 64
/// characters, so that it can neither forge a log line nor flood it.
pub struct Quoted<'a>(
    /// The text.
    pub &'a str,
);

impl Quoted<'_> {
    /// The most characters that are shown.
    pub const LIMIT: usize = 64;
}

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const LIMIT: usize = Quoted::LIMIT;
        // Most texts are ids, which need no escapes.
        let is_plain = |byte| matches!(byte, b'-' | b'_' | b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9');
        if self.0.len() <= LIMIT && self.0.bytes().all(is_plain) {
            return write!(f, "\"{}\"", self.0);
        }
        f.write_str("\"")?;
        for rune in self.0.chars().take(LIMIT) {
            write!(f, "{}", rune.escape_default())?;
        }
        f.write_str(if self.0.chars().nth(LIMIT).is_some() { "...\"" } else { "\"" })
    }
}

/// Appends `value` to `text` as the value of a `name=value`: unchanged if it cannot be misread, otherwise quoted and
/// escaped to printable ASCII. It is not cut.
pub fn push_pair_value(text: &mut String, value: &str) {
    let is_plain = |byte| {
        matches!(byte, b'-' | b'_' | b'.' | b':' | b'/' | b'*' | b'@'
            | b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9')
    };
    if !value.is_empty() && value.bytes().all(is_plain) {
        text.push_str(value);
    } else {
        text.push('"');
        text.extend(value.escape_default());
        text.push('"');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_text_is_escaped_and_cut() {
        for rune in (0..=0x2FF).filter_map(char::from_u32) {
            let escaped = format!("\"{}\"", rune.escape_default());
            assert_eq!(Quoted(rune.encode_utf8(&mut [0; 4])).to_string(), escaped);
        }
        let (whole, cut) = ("x".repeat(64), "x".repeat(65));
        assert_eq!(Quoted(&whole).to_string(), format!("\"{whole}\""));
        assert_eq!(Quoted(&cut).to_string(), format!("\"{whole}...\""));
        assert_eq!(Quoted("").to_string(), "\"\"");
    }

    #[test]
    fn the_value_of_a_pair_is_one_word() {
        let value = |value: &str| {
            let mut text = String::from("name=");
            push_pair_value(&mut text, value);
            text.strip_prefix("name=").map(str::to_owned).unwrap_or_default()
        };
        for (text, shown) in [
            ("a-B_9.:/*@", "a-B_9.:/*@"),
            ("", "\"\""),
            ("a b", "\"a b\""),
            ("a\"=\\", "\"a\\\"=\\\\\""),
            ("a\n\u{e9}", "\"a\\n\\u{e9}\""),
        ] {
            assert_eq!(value(text), shown);
        }
        let long = "x".repeat(1000);
        assert_eq!(value(&long), long);
    }
}
