//! The result of a verb for other programs, as JSON or as YAML.
//!
//! In: a tree of names and values, perhaps of an unverified token: names may be repeated, numbers may have any size.
//! Out: text that a terminal shows as it is. Crates that write YAML or JSON do not escape characters that change the
//! direction of text on a terminal, so they are not used.

use std::fmt::Write as _;

use clap::ValueEnum;
use serde_json::value::RawValue;
use zonegate::credential::ClaimValue;
use zonegate::go_json::members;

use super::printable;

/// The format of the result.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For people
    Table,
    /// For programs
    Json,
    /// For programs and people
    Yaml,
}

/// Names and values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum OutputValue {
    Object(Vec<(String, OutputValue)>),
    List(Vec<OutputValue>),
    Text(String),
    /// `null`, `true`, `false` or a number, as JSON has it.
    Literal(String),
}

/// A claim of a token, as a member of an object.
pub(super) fn claim_member(
    (name, value): (&'static str, ClaimValue<'_>),
) -> (&'static str, Option<OutputValue>) {
    let value = match value {
        ClaimValue::Text(text) => OutputValue::text(text),
        ClaimValue::List(list) => OutputValue::texts(list),
    };
    (name, Some(value))
}

impl OutputValue {
    /// An object of the values that are present.
    pub(super) fn object<'a>(fields: impl IntoIterator<Item = (&'a str, Option<Self>)>) -> Self {
        let present =
            fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
        Self::Object(present.collect())
    }

    pub(super) fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// A number or a boolean.
    pub(super) fn literal(value: impl ToString) -> Self {
        Self::Literal(value.to_string())
    }

    pub(super) fn texts(texts: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self::List(texts.into_iter().map(Self::text).collect())
    }

    /// Reads JSON from [`zonegate::go_json::normalise`], which limits the depth.
    pub(super) fn from_json(text: &str) -> Option<Self> {
        let text = text.trim();
        match text.as_bytes().first()? {
            b'{' => {
                let members = members(text).ok()?;
                let read =
                    |(name, value): (&str, &str)| Some((name.to_owned(), Self::from_json(value)?));
                members.iter().map(read).collect::<Option<_>>().map(Self::Object)
            }
            b'[' => {
                let items: Vec<&RawValue> = serde_json::from_str(text).ok()?;
                items
                    .iter()
                    .map(|item| Self::from_json(item.get()))
                    .collect::<Option<_>>()
                    .map(Self::List)
            }
            b'"' => serde_json::from_str(text).ok().map(Self::Text),
            _ => serde_json::from_str::<&RawValue>(text).ok().map(Self::literal),
        }
    }

    /// The value as JSON, indented by two spaces.
    pub(super) fn to_json(&self) -> String {
        let mut out = String::new();
        self.write_json(&mut out, 0);
        out.push('\n');
        out
    }

    /// The value as YAML.
    pub(super) fn to_yaml(&self) -> String {
        let mut out = String::new();
        self.write_yaml(&mut out, 0);
        out.trim_start_matches('\n').to_owned() + "\n"
    }

    fn write_json(&self, out: &mut String, depth: usize) {
        match self {
            Self::Object(fields) if fields.is_empty() => out.push_str("{}"),
            Self::List(items) if items.is_empty() => out.push_str("[]"),
            Self::Object(fields) => {
                out.push('{');
                for (index, (name, value)) in fields.iter().enumerate() {
                    next_line(out, index, depth);
                    let _ = write!(out, "{}: ", json_string(name));
                    value.write_json(out, depth.saturating_add(1));
                }
                last_line(out, depth, '}');
            }
            Self::List(items) => {
                out.push('[');
                for (index, item) in items.iter().enumerate() {
                    next_line(out, index, depth);
                    item.write_json(out, depth.saturating_add(1));
                }
                last_line(out, depth, ']');
            }
            Self::Text(text) => out.push_str(&json_string(text)),
            Self::Literal(text) => out.push_str(text),
        }
    }

    fn write_yaml(&self, out: &mut String, depth: usize) {
        let indent = "  ".repeat(depth);
        match self {
            Self::Object(fields) if !fields.is_empty() => {
                for (name, value) in fields {
                    let _ = write!(out, "\n{indent}{}:", yaml_name(name));
                    value.write_yaml_value(out, depth);
                }
            }
            Self::List(items) if !items.is_empty() => {
                for item in items {
                    // The first line of a block follows the dash.
                    let mut block = String::new();
                    item.write_yaml(&mut block, depth.saturating_add(1));
                    let _ = write!(out, "\n{indent}- {}", block.trim_start());
                }
            }
            Self::Object(_) => out.push_str("{}"),
            Self::List(_) => out.push_str("[]"),
            Self::Text(text) => out.push_str(&yaml_string(text)),
            Self::Literal(text) => out.push_str(text),
        }
    }

    fn write_yaml_value(&self, out: &mut String, depth: usize) {
        let is_block = match self {
            Self::Object(fields) => !fields.is_empty(),
            Self::List(items) => !items.is_empty(),
            Self::Text(_) | Self::Literal(_) => false,
        };
        if !is_block {
            out.push(' ');
        }
        self.write_yaml(out, depth.saturating_add(1));
    }
}

fn next_line(out: &mut String, index: usize, depth: usize) {
    let comma = if index == 0 { "" } else { "," };
    let _ = write!(out, "{comma}\n{}", "  ".repeat(depth.saturating_add(1)));
}

fn last_line(out: &mut String, depth: usize, end: char) {
    let _ = write!(out, "\n{}{end}", "  ".repeat(depth));
}

fn json_string(text: &str) -> String {
    printable::one_line(&quoted(text))
}

fn quoted(text: &str) -> String {
    serde_json::to_string(text).unwrap_or_default() // a string always has a JSON form
}

/// In double quotes. YAML has its own escape for a code point beyond 16 bits.
fn yaml_string(text: &str) -> String {
    let mut safe = String::new();
    for rune in quoted(text).chars() {
        match printable::is_plain(rune) {
            true => safe.push(rune),
            false => {
                let _ = match u32::from(rune) {
                    code @ ..=0xffff => write!(safe, "\\u{code:04x}"),
                    code => write!(safe, "\\U{code:08x}"),
                };
            }
        }
    }
    safe
}

fn yaml_name(name: &str) -> String {
    let is_word = !name.is_empty()
        && name.chars().all(|rune| rune.is_ascii_alphabetic() || rune == '_')
        && !["true", "false", "null", "yes", "no", "on", "off", "y", "n"]
            .contains(&name.to_ascii_lowercase().as_str());
    if is_word { name.to_owned() } else { yaml_string(name) }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a test may panic
mod tests {
    use super::*;

    const GIVEN: &str = r#"{"a":1e999,"a":[],"b":{"c":["d",{},[1,{"x":2,"y":3}]],"yes":null},"e":"\u001b\u202e😀\udb40\udc41"}"#;

    #[test]
    fn json_keeps_every_name_and_number() {
        let wanted = r#"{
  "a": 1e999,
  "a": [],
  "b": {
    "c": [
      "d",
      {},
      [
        1,
        {
          "x": 2,
          "y": 3
        }
      ]
    ],
    "yes": null
  },
  "e": "\u001b\u202e😀\udb40\udc41"
}
"#;
        assert_eq!(OutputValue::from_json(GIVEN).unwrap().to_json(), wanted);
    }

    #[test]
    fn yaml_says_the_same_as_json() {
        let given = GIVEN.replace("1e999", "1.5").replacen("\"a\"", "\"z\"", 1);
        let value = OutputValue::from_json(&given).unwrap();
        let yaml = value.to_yaml();
        let from_yaml: serde_json::Value = serde_saphyr::from_str(&yaml).unwrap();
        let from_json: serde_json::Value = serde_json::from_str(&value.to_json()).unwrap();
        assert_eq!(from_yaml, from_json, "{yaml}");
        assert!(
            yaml.contains(
                "\n  c:\n    - \"d\"\n    - {}\n    - - 1\n      - x: 2\n        \"y\": 3\n"
            ),
            "{yaml}"
        );
    }

    #[test]
    fn text_that_is_not_json_gives_no_tree() {
        for text in ["", "{", "[1,]", "nul", "{\"a\":}", "1 2"] {
            assert_eq!(OutputValue::from_json(text), None, "{text}");
        }
    }
}
