//! JSON as Go's `encoding/json` reads it, where that differs from serde_json.
//!
//! In: bytes. Out: the members of one object, in order, values still text. serde_json does the parsing. This module
//! does the rest: invalid UTF-8 and lone surrogates become U+FFFD, duplicates are kept for the caller, nesting is
//! bounded.

mod numbers;

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

pub(crate) use numbers::numbers_fit;

/// How deep JSON may nest. Kuma's tokens and bootstrap requests stay under 5 levels; Go would read 10,000 from anyone.
pub const MAX_DEPTH: usize = 64;

const REPLACEMENT: &str = "\u{FFFD}";
const REPLACEMENT_ESCAPE: &[u8] = b"\\ufffd";

/// Why a text is not the JSON object that was expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JsonError {
    /// Not JSON (RFC 8259).
    Syntax,
    /// JSON, but not an object.
    NotAnObject,
    /// Nested deeper than [`MAX_DEPTH`].
    TooDeep,
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Syntax => f.write_str("is not JSON"),
            Self::NotAnObject => f.write_str("is not a JSON object"),
            Self::TooDeep => write!(f, "is nested deeper than {MAX_DEPTH} levels"),
        }
    }
}

impl std::error::Error for JsonError {}

/// The members of an object in the order of the text, duplicates included.
#[derive(Debug, Default)]
pub struct Members<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'a> Members<'a> {
    /// Name and value of each member; the value is JSON text without surrounding white space.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &'a str)> {
        self.0.iter().map(|(name, value)| (name.as_ref(), value.get()))
    }
}

/// Reads the members of the object in `text`, which comes from [`normalise`]. `null` is an object
/// without members, as it is to Go.
///
/// # Errors
/// The text is not JSON, or is not an object.
pub fn members(text: &str) -> Result<Members<'_>, JsonError> {
    match serde_json::from_str(text) {
        Ok(members) => Ok(members),
        // A syntax error anywhere comes first in Go, so look at the whole text before the type.
        Err(_) => match serde_json::from_str::<&RawValue>(text) {
            Ok(value) if value.get() == "null" => Ok(Members::default()),
            Ok(_) => Err(JsonError::NotAnObject),
            Err(_) => Err(JsonError::Syntax),
        },
    }
}

impl<'a> IntoIterator for Members<'a> {
    type Item = (Cow<'a, str>, &'a RawValue);
    type IntoIter = std::vec::IntoIter<Self::Item>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some((Name(name), value)) = map.next_entry()? {
                    members.push((name, value));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}

/// The name of a member, borrowed from the text if nothing in it is escaped. (`Cow` alone always copies.)
struct Name<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AsIs;
        impl<'de> Visitor<'de> for AsIs {
            type Value = Name<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name")
            }

            fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Self::Value, E> {
                Ok(Name(Cow::Borrowed(name)))
            }

            fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
                Ok(Name(Cow::Owned(name.to_owned())))
            }
        }
        deserializer.deserialize_str(AsIs)
    }
}

/// The text of a JSON string in which nothing is escaped; `None` for any other value. `value` is a value that
/// [`members`] found, so it is well-formed.
pub(crate) fn plain_string(value: &str) -> Option<&str> {
    let text = value.strip_prefix('"')?.strip_suffix('"')?;
    (!text.contains('\\')).then_some(text)
}

/// Makes `bytes` a text that serde_json reads as Go would read the bytes.
///
/// # Errors
/// [`JsonError::TooDeep`]. Other errors are left to the parser.
pub fn normalise(bytes: &[u8]) -> Result<Cow<'_, str>, JsonError> {
    check_depth(bytes)?;
    let text = replace_invalid_utf8(bytes);
    Ok(replace_lone_surrogates(text))
}

fn check_depth(bytes: &[u8]) -> Result<(), JsonError> {
    // Most texts have fewer brackets.
    if bytes.iter().filter(|byte| matches!(byte, b'{' | b'[')).count() <= MAX_DEPTH {
        return Ok(());
    }
    let mut depth = 0_usize;
    for (_, byte) in outside_strings(bytes) {
        match byte {
            b'{' | b'[' => depth = depth.saturating_add(1),
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > MAX_DEPTH {
            return Err(JsonError::TooDeep);
        }
    }
    Ok(())
}

/// The bytes of JSON that are in no string, and where they are.
fn outside_strings(json: &[u8]) -> impl Iterator<Item = (usize, u8)> {
    let mut in_string = false;
    let mut escaped = false;
    json.iter().copied().enumerate().filter(move |(_, byte)| match byte {
        _ if escaped => {
            escaped = false;
            false
        }
        b'\\' if in_string => {
            escaped = true;
            false
        }
        b'"' => {
            in_string = !in_string;
            false
        }
        _ => !in_string,
    })
}

/// Go replaces each byte that is not part of a rune; `String::from_utf8_lossy` replaces runs.
fn replace_invalid_utf8(bytes: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return Cow::Borrowed(text);
    }
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        for _ in chunk.invalid() {
            text.push_str(REPLACEMENT);
        }
    }
    Cow::Owned(text)
}

/// Replaces each `\uD800`…`\uDFFF` that has no partner, as Go's `unquote` does.
fn replace_lone_surrogates(text: Cow<'_, str>) -> Cow<'_, str> {
    if !text.contains('\\') {
        return text;
    }
    let mut rest = text.as_bytes();
    let mut replaced = Vec::with_capacity(rest.len());
    while let Some((byte, after)) = rest.split_first() {
        let (piece, after): (&[u8], &[u8]) = match (byte, utf16_escape(rest)) {
            (b'\\', Some((unit, after))) => match (unit, utf16_escape(after)) {
                (0xD800..=0xDBFF, Some((0xDC00..=0xDFFF, after))) => (first(rest, 12), after),
                (0xD800..=0xDFFF, _) => (REPLACEMENT_ESCAPE, after),
                _ => (first(rest, 6), after),
            },
            (b'\\', None) => (first(rest, 2), rest.get(2..).unwrap_or_default()),
            _ => (first(rest, 1), after),
        };
        replaced.extend_from_slice(piece);
        rest = after;
    }
    // ASCII was replaced by ASCII, so the bytes are still UTF-8.
    String::from_utf8(replaced).map_or(text, Cow::Owned)
}

/// The code unit of a leading `\uXXXX` and what follows it.
fn utf16_escape(text: &[u8]) -> Option<(u16, &[u8])> {
    let (escape, after) = text.split_at_checked(6)?;
    let digits = escape.strip_prefix(b"\\u")?;
    if !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    let digits = std::str::from_utf8(digits).ok()?;
    Some((u16::from_str_radix(digits, 16).ok()?, after))
}

fn first(text: &[u8], length: usize) -> &[u8] {
    text.get(..length).unwrap_or(text)
}

/// Folds a member name as Go matches it to a struct field: ASCII letters to lower case, and the two runes outside ASCII
/// that fold to an ASCII letter (`foldName` in `encoding/json/fold.go`).
pub fn fold_name(name: &str) -> Cow<'_, str> {
    // Most names need no folding.
    if name.bytes().all(|byte| byte.is_ascii() && !byte.is_ascii_uppercase()) {
        return Cow::Borrowed(name);
    }
    let fold = |rune: char| match rune {
        '\u{017F}' => 's',
        '\u{212A}' => 'k',
        _ => rune.to_ascii_lowercase(),
    };
    Cow::Owned(name.chars().map(fold).collect())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a test may panic
mod tests {
    use super::*;

    #[test]
    fn each_invalid_byte_is_replaced() {
        let text = normalise(b"\"a\xE2\x82b\"").unwrap();
        assert_eq!(text, "\"a\u{FFFD}\u{FFFD}b\"");
    }

    #[test]
    fn surrogates_without_a_partner_are_replaced() {
        for (given, wanted) in [
            (r#""\ud83d\ude00""#, r#""\ud83d\ude00""#),
            (r#""\ud83d\u0041""#, r#""\ufffd\u0041""#),
            (r#""\ud83d\ud83d\ude00""#, r#""\ufffd\ud83d\ude00""#),
            (r#""\ude00""#, r#""\ufffd""#),
            (r#""\\ud83d""#, r#""\\ud83d""#),
            (r#""\ud83""#, r#""\ud83""#),
            (r#""é\ud83d""#, r#""é\ufffd""#),
        ] {
            assert_eq!(normalise(given.as_bytes()).unwrap(), wanted, "{given}");
        }
    }

    #[test]
    fn depth_counts_brackets_outside_strings_only() {
        let nested = |depth| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(normalise(nested(MAX_DEPTH).as_bytes()).is_ok());
        assert_eq!(normalise(nested(MAX_DEPTH + 1).as_bytes()), Err(JsonError::TooDeep));
        let in_a_string = format!(r#""\"{}""#, nested(MAX_DEPTH + 1));
        assert!(normalise(in_a_string.as_bytes()).is_ok());
    }

    #[test]
    fn duplicates_stay_in_order() {
        let members = members(r#"{"a":1,"b":2,"a":3}"#).unwrap();
        assert_eq!(members.iter().collect::<Vec<_>>(), [("a", "1"), ("b", "2"), ("a", "3")]);
    }

    #[test]
    fn syntax_is_judged_before_type() {
        assert_eq!(members("[1]").map(|_| ()), Err(JsonError::NotAnObject));
        assert_eq!(members("[1").map(|_| ()), Err(JsonError::Syntax));
        assert_eq!(members("").map(|_| ()), Err(JsonError::Syntax));
        assert_eq!(members(" null ").unwrap().iter().count(), 0);
    }
}
