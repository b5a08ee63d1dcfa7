//! A mark that makes each push different from all others.
//!
//! In: the time, and random bytes. Out: a text for the field `generation`, on which no judgement depends. If two pushes
//! are equal byte for byte, Envoy takes up the earlier configuration again without telling the filter. With this field
//! no two pushes are equal.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use jiff::Timestamp;

/// The field of the plugin configuration.
pub(crate) const GENERATION: &str = "generation";

/// A new text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Generation(String);

impl Generation {
    /// Creates a text from the time, for people, and enough random bytes for two at a time.
    pub fn fresh() -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let time = i64::try_from(now).ok().and_then(|now| Timestamp::from_second(now).ok());
        let time = time.map_or_else(|| now.to_string(), |time| time.to_string());
        Self(format!("{time}-{:08x}", rand::random::<u32>()))
    }

    /// This exact text.
    #[cfg(test)]
    pub(crate) fn of(text: &str) -> Self {
        Self(text.to_owned())
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_are_the_same() {
        let (one, two) = (Generation::fresh(), Generation::fresh());
        assert_ne!(one, two);
        assert!(one.as_str().starts_with("20") && one.as_str().contains("Z-"), "{one}");
    }
}
