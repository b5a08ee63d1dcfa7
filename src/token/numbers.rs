//! JSON in which every number fits a float64, as Go's `any` wants it.
//!
//! In: JSON text. Out: nothing, or that it is no such JSON. Nothing of it is kept.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::JsonError;

/// Whether `text` is JSON in which every number fits a float64, as Go's `any` wants it.
///
/// `serde_json::Value` would do, but with the feature `raw_value` it takes an object with one magic
/// member for the JSON text in that member. Nothing that a token brings is read as a `Value`.
///
/// # Errors
/// [`JsonError::Syntax`].
pub(super) fn check_numbers(text: &str) -> Result<(), JsonError> {
    serde_json::from_str::<AnyJson>(text).map(drop).map_err(|_| JsonError::Syntax)
}

struct AnyJson;

impl<'de> Deserialize<'de> for AnyJson {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Self)
    }
}

impl<'de> Visitor<'de> for AnyJson {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self, A::Error> {
        while seq.next_element::<Self>()?.is_some() {}
        Ok(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self, A::Error> {
        while map.next_entry::<IgnoredAny, Self>()?.is_some() {}
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_must_fit_wherever_they_are() {
        for (text, fits) in [
            ("1e308", true),
            ("[1, -2, 0.5, null, true, \"1e999\"]", true),
            ("1e309", false),
            (r#"{"a":[{"b":-1e400}]}"#, false),
            ("{\"a\":1} x", false),
        ] {
            assert_eq!(check_numbers(text).is_ok(), fits, "{text}");
        }
    }
}
