//! YAML or JSON that may contain secrets.
//!
//! In: text. Out: its documents, whose strings are wiped when dropped, or the place of a syntax error. An error never
//! repeats the text, which may be a private key. The contents of the documents are not checked. (The parsers free their
//! own working copies without wiping them.)

use std::fmt;
use std::ops::Deref;

use serde_json::Value;
use zeroize::Zeroize;

/// A document. Its strings are wiped when it is dropped.
pub struct Document(Value);

/// Why a text is neither YAML nor JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SyntaxError {
    /// It is empty.
    Empty,
    /// A JSON syntax error.
    Json {
        /// Counted from 1.
        line: u64,
        /// Counted from 1.
        column: u64,
    },
    /// A YAML syntax error, a repeated field, or more data than any such file has.
    Yaml {
        /// Counted from 1.
        line: u64,
        /// Counted from 1.
        column: u64,
    },
}

impl fmt::Display for SyntaxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("it is empty"),
            Self::Json { line, column } => write!(f, "not JSON at line {line}, column {column}"),
            Self::Yaml { line, column } => {
                write!(f, "not YAML, or a field occurs twice, at line {line}, column {column}")
            }
        }
    }
}

impl std::error::Error for SyntaxError {}

impl Document {
    /// Reads every document in `text`, without empty documents.
    ///
    /// # Errors
    /// See [`SyntaxError`].
    pub fn all(text: &str) -> Result<Vec<Self>, SyntaxError> {
        let start = text.trim_start();
        let documents = match start.starts_with(['{', '[']) {
            true => json(text).or_else(|error| yaml(text).map_err(|_| error))?,
            false => yaml(text)?,
        };
        let documents: Vec<Self> =
            documents.into_iter().filter(|Self(value)| !value.is_null()).collect();
        if documents.is_empty() { Err(SyntaxError::Empty) } else { Ok(documents) }
    }
}

impl Deref for Document {
    type Target = Value;

    fn deref(&self) -> &Value {
        &self.0
    }
}

impl Drop for Document {
    fn drop(&mut self) {
        wipe(&mut self.0);
    }
}

/// Without the contents.
impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Document")
    }
}

fn json(text: &str) -> Result<Vec<Document>, SyntaxError> {
    let place = |number| u64::try_from(number).unwrap_or(u64::MAX);
    match serde_json::from_str(text) {
        Ok(value) => Ok(vec![Document(value)]),
        Err(error) => {
            Err(SyntaxError::Json { line: place(error.line()), column: place(error.column()) })
        }
    }
}

/// Enough for a list of a million revoked ids.
const MOST_NODES: usize = 4_000_000;
/// Stops alias bombs.
const MOST_ALIASED: usize = 50_000;

fn yaml(text: &str) -> Result<Vec<Document>, SyntaxError> {
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_nodes: MOST_NODES,
            max_events: MOST_NODES.saturating_mul(2),
        },
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: MOST_ALIASED },
        with_snippet: false,
    };
    let documents: Vec<Value> =
        serde_saphyr::from_multiple_with_options(text, options).map_err(|error| {
            let (line, column) =
                error.location().map_or((1, 1), |place| (place.line(), place.column()));
            SyntaxError::Yaml { line, column }
        })?;
    Ok(documents.into_iter().map(Document).collect())
}

/// Recursion is safe, because the parsers limit the depth.
fn wipe(value: &mut Value) {
    match value {
        Value::String(text) => text.zeroize(),
        Value::Array(items) => items.iter_mut().for_each(wipe),
        Value::Object(fields) => fields.values_mut().for_each(wipe),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a test may panic
mod tests {
    use super::*;

    #[test]
    fn yaml_and_json_are_told_apart_by_their_start() {
        for (text, wanted) in
            [("a: 1", 1), ("\n{\"a\": 1}", 1), ("{a: 1}", 1), ("---\na: 1\n---\n---\nb: 2\n", 2)]
        {
            assert_eq!(Document::all(text).unwrap().len(), wanted, "{text:?}");
        }
    }

    #[test]
    fn other_text_is_named_by_its_place_and_not_repeated() {
        for (text, wanted) in [
            ("", SyntaxError::Empty),
            (" \n---\n", SyntaxError::Empty),
            ("{\"a\": \"secret", SyntaxError::Json { line: 1, column: 13 }),
            ("a: 1\na: 2", SyntaxError::Yaml { line: 2, column: 1 }),
            ("a: [secret", SyntaxError::Yaml { line: 1, column: 4 }),
        ] {
            let error = Document::all(text).unwrap_err();
            assert_eq!(error, wanted, "{text:?}");
            assert!(!error.to_string().contains("secret"));
        }
    }

    #[test]
    fn hostile_text_is_an_error_soon() {
        let deep = "[".repeat(100_000);
        let bomb = (1..30).fold("a0: &a0 [x, x]\n".to_owned(), |text, n| {
            let before = n - 1;
            text + &format!("a{n}: &a{n} [*a{before}, *a{before}, *a{before}]\n")
        });
        for text in [deep.as_str(), &bomb, "\u{0}\u{1}", "a: *nothing", "\u{feff}\u{fffe}: ["] {
            assert!(Document::all(text).is_err());
        }
    }
}
