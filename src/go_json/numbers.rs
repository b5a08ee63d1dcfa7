//! The numbers of a JSON text. Go's `any` requires that each fits a float64.
//!
//! In: JSON text. Out: whether its numbers fit.

use super::outside_strings;

/// Whether every number in `text`, which is JSON, fits a float64.
///
/// `serde_json::Value` would check this too. But with the feature `raw_value`, it takes an object with one magic member
/// for the JSON text in that member, so no text of a token is read as a `Value`.
pub(crate) fn numbers_fit(text: &str) -> bool {
    numbers(text).all(fits_float64)
}

/// The numbers in `text`.
fn numbers(text: &str) -> impl Iterator<Item = &str> {
    let mut end = 0;
    outside_strings(text.as_bytes()).filter_map(move |(at, byte)| {
        if at < end || !(byte == b'-' || byte.is_ascii_digit()) {
            return None;
        }
        let rest = text.get(at..)?;
        let length = rest.find(|rune: char| !is_of_number(rune)).unwrap_or(rest.len());
        end = at.saturating_add(length);
        rest.get(..length)
    })
}

fn is_of_number(rune: char) -> bool {
    rune.is_ascii_digit() || matches!(rune, '-' | '+' | '.' | 'e' | 'E')
}

fn fits_float64(number: &str) -> bool {
    number.parse().is_ok_and(f64::is_finite)
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
            // The largest float64, and half a unit above it, where Go rounds to infinity.
            ("1.7976931348623157e308", true),
            ("1.7976931348623158e308", true),
            ("1.7976931348623159e308", false),
            ("-1.7976931348623159e308", false),
            (r#"{"1e999":"-1e999","a":"\"1e999"}"#, true),
            (r#"{"a":[{"b":-1e400}]}"#, false),
        ] {
            assert_eq!(numbers_fit(text), fits, "{text}");
        }
    }
}
