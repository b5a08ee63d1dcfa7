//! YAML and JSON of an operator's file.
//!
//! In: bytes. Out: one value, or the place of a syntax error. Except for a repeated name, an error never repeats the
//! text, which may contain a key. The meaning of the value is not checked.

use std::fmt;

use serde_json::Value;
use serde_saphyr::options::{DuplicateKeyPolicy, MergeKeyPolicy};
use serde_saphyr::{Error as YamlError, Options, UserMessageFormatter};

/// Why there is no value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TextError {
    /// It has only white space.
    Empty,
    /// Not UTF-8.
    NotText,
    /// Not JSON.
    Json {
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
        /// The fault.
        problem: String,
    },
    /// Not YAML, or larger than any sensible file.
    Yaml {
        /// From 1.
        line: u64,
        /// From 1.
        column: u64,
        /// The fault.
        problem: String,
    },
    /// It has several YAML documents.
    Documents,
}

impl fmt::Display for TextError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("it is empty"),
            Self::NotText => f.write_str("it is neither YAML nor JSON: not UTF-8 text"),
            Self::Json { line, column, problem } => {
                write!(f, "not JSON: line {line}, column {column}: {problem}")
            }
            Self::Yaml { line, column, problem } => {
                write!(f, "not YAML: line {line}, column {column}: {problem}")
            }
            Self::Documents => {
                f.write_str("it holds several YAML documents (---): give a file with one")
            }
        }
    }
}

impl std::error::Error for TextError {}

/// The syntax of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Syntax {
    /// JSON.
    Json,
    /// YAML that is not JSON.
    Yaml,
}

/// Reads the one value in `bytes`.
///
/// # Errors
/// See [`TextError`].
pub fn value(bytes: &[u8]) -> Result<(Value, Syntax), TextError> {
    let text = std::str::from_utf8(bytes).map_err(|_| TextError::NotText)?;
    let text = text.strip_prefix('\u{FEFF}').unwrap_or(text);
    if text.trim().is_empty() {
        return Err(TextError::Empty);
    }
    // Most JSON is valid YAML, except for escapes of surrogate pairs.
    match serde_json::from_str(text) {
        Ok(value) => Ok((value, Syntax::Json)),
        Err(error) if error.is_data() => Err(json_error(&error)),
        Err(error) => yaml(text).map_err(|yaml_error| match text.trim_start().starts_with('{') {
            true => json_error(&error),
            false => yaml_error,
        }),
    }
}

fn yaml(text: &str) -> Result<(Value, Syntax), TextError> {
    let value = serde_saphyr::from_str_with_options(text, options());
    value.map(|value| (value, Syntax::Yaml)).map_err(|error| yaml_error(&error))
}

/// Options to read YAML as Envoy does: a merge key is an ordinary name, no name is repeated, `010` is 8 and `1_000` is
/// text. The size of a file limits lists of revoked ids; these options limit what aliases add.
fn options() -> Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_events: 16_000_000,
            max_nodes: 8_000_000,
            max_depth: 64,
        },
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: 100_000 },
        duplicate_keys: DuplicateKeyPolicy::Error,
        merge_keys: MergeKeyPolicy::AsOrdinary,
        legacy_octal_numbers: true,
        underscored_numbers_as_strings: true,
    }
}

fn json_error(error: &serde_json::Error) -> TextError {
    let message = error.to_string();
    let problem = message.split(" at line ").next().unwrap_or_default().to_owned();
    TextError::Json { line: error.line(), column: error.column(), problem }
}

fn yaml_error(error: &YamlError) -> TextError {
    let error = error.without_snippet();
    if matches!(error, YamlError::MultipleDocuments { .. }) {
        return TextError::Documents;
    }
    let (line, column) = error.location().map_or((1, 1), |at| (at.line(), at.column()));
    TextError::Yaml { line, column, problem: problem(error) }
}

fn problem(error: &YamlError) -> String {
    match error {
        YamlError::DuplicateMappingKey { key: Some(name), .. } => {
            format!("{} occurs twice", zonegate::text::Quoted(name))
        }
        YamlError::Budget { .. } => "larger or deeper than any configuration".to_owned(),
        _ => {
            let message = error.render_with_formatter(&UserMessageFormatter);
            // The message without its place, which is shown already.
            let problem = message.split(" at line ").next().unwrap_or_default();
            problem.escape_debug().take(200).collect()
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a test may panic
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn both_forms_are_read() {
        for (text, wanted) in [
            ("a: 1\n", json!({ "a": 1 })),
            (
                "a: 010\nb: 0x1F\nc: 1_000\nd: yes\n",
                json!({ "a": 8, "b": 31, "c": "1_000", "d": true }),
            ),
            ("\u{FEFF}{\"a\":1}", json!({ "a": 1 })),
            (r#"{"a":"\ud83d\ude00"}"#, json!({ "a": "\u{1f600}" })),
            ("{a: [b, c]}", json!({ "a": ["b", "c"] })),
            ("a: &x {b: 1}\nc: *x", json!({ "a": { "b": 1 }, "c": { "b": 1 } })),
            ("<<: {a: 1}\n", json!({ "<<": { "a": 1 } })),
        ] {
            assert_eq!(value(text.as_bytes()).unwrap().0, wanted, "{text}");
        }
    }

    #[test]
    fn an_error_names_the_place_and_does_not_repeat_the_text() {
        for (text, wanted) in [
            (" \n", "it is empty"),
            ("{\"a\": 1]", "not JSON: line 1, column 8: expected `,` or `}`"),
            (
                "---\na: 1\n---\nb: 2\n",
                "it holds several YAML documents (---): give a file with one",
            ),
            ("a: 1\na: 2\n", "not YAML: line 2, column 1: \"a\" occurs twice"),
            ("a: *secret\n", "not YAML: line 1, column 4: reference to unknown value"),
            ("a: 'secret\n", "not YAML: line 1, column 4: unclosed quote"),
            ("key: |\n  secret\n bad\n", "not YAML: line 3,"),
            ("a:\tsecret: [", "not YAML: line 1,"),
        ] {
            let error = value(text.as_bytes()).unwrap_err().to_string();
            assert!(error.starts_with(wanted), "{text:?}: {error}");
            assert!(!error.contains("secret") && error.lines().count() == 1, "{error}");
        }
        assert_eq!(value(b"\xff\xfe"), Err(TextError::NotText));
    }

    #[test]
    fn text_that_would_grow_without_end_is_refused() {
        let mut bomb = "a0: &a0 [x,x,x,x,x,x,x,x,x]\n".to_owned();
        for level in 1..9 {
            let alias = format!("*a{},", level - 1).repeat(9);
            bomb.push_str(&format!("a{level}: &a{level} [{alias}]\n"));
        }
        for text in [bomb, "[".repeat(1_000), "{\"a\":".repeat(1_000), "- ".repeat(1_000)] {
            let error = value(text.as_bytes()).unwrap_err().to_string();
            assert!(error.len() < 300, "{error}");
        }
    }
}
