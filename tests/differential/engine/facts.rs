//! The contents of a token, read by code of its own: a predicate that shared code with the gate could not show the
//! gate's mistakes.
//!
//! In: the values of `authorization`. Out: members and sizes. Only tokens that the gate or Kuma accepts are read here.

use base64::Engine;
use base64::alphabet::URL_SAFE;
use base64::engine::{GeneralPurpose, GeneralPurposeConfig};
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// The contents of a token.
pub(crate) struct Facts {
    pub(crate) length: usize,
    pub(crate) header: Object,
    pub(crate) claims: Object,
}

/// A JSON object: names, and the JSON texts of the values.
pub(crate) struct Object {
    pub(crate) members: Vec<(String, String)>,
    pub(crate) depth: usize,
    /// Whether the object is followed by more than white space.
    pub(crate) has_text_after: bool,
}

const LAX: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_encode_padding(false)
        .with_decode_padding_mode(base64::engine::DecodePaddingMode::Indifferent),
);

impl Facts {
    /// `None` if there is no readable token.
    pub(crate) fn of(authorization: &[String]) -> Option<Self> {
        let [text] = authorization else { return None };
        let mut segments = text.split('.').map(|segment| {
            let segment: String = segment.chars().filter(|c| !matches!(c, '\r' | '\n')).collect();
            Object::of(&LAX.decode(segment).ok()?)
        });
        let (header, claims) = (segments.next()??, segments.next()??);
        Some(Self { length: text.len(), header, claims })
    }
}

impl Object {
    pub(crate) fn of(bytes: &[u8]) -> Option<Self> {
        let text = without_surrogates(&String::from_utf8_lossy(bytes));
        let mut values = serde_json::Deserializer::from_str(&text).into_iter::<Members>();
        let members = values.next()?.ok()?.0;
        let (value, after) = text.split_at_checked(values.byte_offset())?;
        // RFC 8259 section 2: a form feed is not white space.
        let is_white_space = |byte: u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
        let has_text_after = !after.bytes().all(is_white_space);
        Some(Self { members, depth: depth(value), has_text_after })
    }

    /// The values of a claim. The case of its name does not matter.
    pub(crate) fn all(&self, claim: &str) -> Vec<&str> {
        let fold = |name: &str| name.to_uppercase().to_lowercase();
        let named = self.members.iter().filter(|(name, _)| fold(name) == claim);
        named.map(|(_, value)| value.as_str()).collect()
    }

    /// The value of a string claim after all its members are read.
    pub(crate) fn string(&self, claim: &str) -> String {
        let read = |value: &&str| serde_json::from_str::<Option<String>>(value).ok().flatten();
        self.all(claim).iter().rev().find_map(read).unwrap_or_default()
    }

    /// The value of a date claim after all its members are read: seconds, as a number or as a number in a string.
    pub(super) fn date(&self, claim: &str) -> Option<f64> {
        let value = self.all(claim).pop()?;
        let text = serde_json::from_str::<String>(value).unwrap_or_else(|_| value.to_owned());
        text.parse().ok()
    }
}

/// Replaces every escape of a surrogate with U+FFFD, in pairs or not.
fn without_surrogates(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        let (before, escape) = rest.split_at(at);
        clean.push_str(before);
        let is_surrogate = escape.get(2..3).is_some_and(|digit| matches!(digit, "d" | "D"))
            && escape.starts_with("\\u")
            && escape.get(3..4).is_some_and(|digit| "89abcdefABCDEF".contains(digit));
        let length = if is_surrogate { 6 } else { 2 };
        let (escape, after) = escape.split_at_checked(length).unwrap_or((escape, ""));
        clean.push_str(if is_surrogate { "\u{FFFD}" } else { escape });
        rest = after;
    }
    clean + rest
}

fn depth(text: &str) -> usize {
    let (mut depth, mut deepest, mut in_string, mut escaped) = (0_usize, 0, false, false);
    for rune in text.chars() {
        match rune {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => in_string = !in_string,
            '[' | '{' if !in_string => depth += 1,
            ']' | '}' if !in_string => depth -= 1,
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

struct Members(Vec<(String, String)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Members;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_unit<E>(self) -> Result<Members, E> {
                Ok(Members(Vec::new()))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some((name, value)) = map.next_entry::<String, Box<RawValue>>()? {
                    members.push((name, value.get().to_owned()));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_any(InOrder)
    }
}
