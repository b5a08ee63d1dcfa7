//! Durations in Go's format (`time.ParseDuration`), which kumactl reads in `--valid-for`.
//!
//! In: `24h`, `1h30m`, `1.5h`, `300ms`. Out: a duration above zero that fits Go's type. Whether it makes sense for a
//! token is not checked.

use std::fmt;
use std::time::Duration;

/// Why a text is not a valid duration for a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) enum DurationError {
    /// It does not begin with a number.
    NoNumber,
    /// A number without a unit after it.
    NoUnit,
    /// A unit that Go does not know.
    UnknownUnit(String),
    /// Zero or negative.
    NotPositive,
    /// More nanoseconds than Go's `time.Duration` holds.
    TooLong,
}

impl fmt::Display for DurationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoNumber => {
                f.write_str("a number and a unit are expected, for example 24h or 1h30m")
            }
            Self::NoUnit => f.write_str("the unit is missing, for example 24h or 1h30m"),
            Self::UnknownUnit(unit) if unit == "d" => {
                f.write_str("there is no unit for days: use 720h for 30 days")
            }
            Self::UnknownUnit(unit) => {
                write!(
                    f,
                    "unknown unit {unit:?}: use h, m, s, ms, us or ns, for example 24h or 1h30m"
                )
            }
            Self::NotPositive => f.write_str("the token would never be valid: use for example 24h"),
            Self::TooLong => f.write_str("longer than 292 years: use for example 8760h for a year"),
        }
    }
}

impl std::error::Error for DurationError {}

/// Reads a duration above zero.
pub(in crate::cli) fn parse(text: &str) -> Result<Duration, DurationError> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let nanoseconds = match unsigned {
        "" => return Err(DurationError::NoNumber),
        "0" => 0,
        _ => sum(unsigned)?,
    };
    if nanoseconds == 0 || text.starts_with('-') {
        return Err(DurationError::NotPositive);
    }
    Ok(Duration::from_nanos(nanoseconds))
}

fn sum(mut text: &str) -> Result<u64, DurationError> {
    let mut total: u64 = 0;
    while !text.is_empty() {
        let (nanoseconds, rest) = term(text)?;
        total = total.checked_add(nanoseconds).ok_or(DurationError::TooLong)?;
        text = rest;
    }
    // Go's time.Duration is an int64.
    i64::try_from(total).map_err(|_| DurationError::TooLong)?;
    Ok(total)
}

/// Reads one number with its unit. Returns it in nanoseconds, and the rest of the text.
fn term(text: &str) -> Result<(u64, &str), DurationError> {
    let (whole, rest) = digits(text);
    let (fraction, rest) = rest.strip_prefix('.').map_or(("", rest), digits);
    if whole.is_empty() && fraction.is_empty() {
        return Err(DurationError::NoNumber);
    }
    let end = rest.find(|c: char| c == '.' || c.is_ascii_digit()).unwrap_or(rest.len());
    let (name, rest) = rest.split_at(end);
    let nanoseconds = in_nanoseconds(whole, fraction, unit(name)?);
    Ok((nanoseconds.ok_or(DurationError::TooLong)?, rest))
}

fn digits(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()))
}

fn unit(name: &str) -> Result<u64, DurationError> {
    match name {
        "h" => Ok(3_600_000_000_000),
        "m" => Ok(60_000_000_000),
        "s" => Ok(1_000_000_000),
        "ms" => Ok(1_000_000),
        "us" | "\u{b5}s" | "\u{3bc}s" => Ok(1_000),
        "ns" => Ok(1),
        "" => Err(DurationError::NoUnit),
        _ => Err(DurationError::UnknownUnit(name.to_owned())),
    }
}

/// `None` if the value does not fit.
fn in_nanoseconds(whole: &str, fraction: &str, unit: u64) -> Option<u64> {
    let whole = if whole.is_empty() { 0 } else { whole.parse::<u64>().ok()? };
    whole.checked_mul(unit)?.checked_add(part_of(fraction, unit)?)
}

/// A decimal fraction of `unit`, in nanoseconds. Parts of a nanosecond are dropped, as in Go. 18 digits are enough,
/// because an hour has fewer nanoseconds than that.
fn part_of(fraction: &str, unit: u64) -> Option<u64> {
    let kept = fraction.get(..18).unwrap_or(fraction);
    let parts = if kept.is_empty() { 0 } else { kept.parse::<u128>().ok()? };
    let scale = 10_u128.checked_pow(u32::try_from(kept.len()).ok()?)?;
    u64::try_from(parts.checked_mul(unit.into())?.checked_div(scale)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_go_reads() {
        for (text, nanoseconds) in [
            ("24h", 86_400_000_000_000),
            ("1h30m", 5_400_000_000_000),
            ("1.5h", 5_400_000_000_000),
            (".5s", 500_000_000),
            ("1.s", 1_000_000_000),
            ("+5s", 5_000_000_000),
            ("300ms", 300_000_000),
            ("1us2ns", 1_002),
            ("1\u{b5}s", 1_000),
            ("1\u{3bc}s", 1_000),
            ("1m1m", 120_000_000_000),
            ("1.9ns", 1),
            ("0.3333333333333333333h", 1_199_999_999_999),
            ("9223372036854775807ns", i64::MAX as u64),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_nanos(nanoseconds)), "{text}");
        }
    }

    #[test]
    fn refuses_what_go_refuses_and_what_is_no_validity() {
        let unknown = |unit: &str| DurationError::UnknownUnit(unit.into());
        for (text, wanted) in [
            ("", DurationError::NoNumber),
            ("-", DurationError::NoNumber),
            ("h", DurationError::NoNumber),
            (".h", DurationError::NoNumber),
            ("--1h", DurationError::NoNumber),
            (" 1h", DurationError::NoNumber),
            ("24", DurationError::NoUnit),
            ("1h30", DurationError::NoUnit),
            ("1.2.3h", DurationError::NoUnit),
            ("7d", unknown("d")),
            ("1d12h", unknown("d")),
            ("24H", unknown("H")),
            ("1h ", unknown("h ")),
            ("1e3s", unknown("e")),
            ("0", DurationError::NotPositive),
            ("0h0m", DurationError::NotPositive),
            ("0.1ns", DurationError::NotPositive),
            ("-1h", DurationError::NotPositive),
            ("9223372036854775808ns", DurationError::TooLong),
            ("18446744073709551616ns", DurationError::TooLong),
            ("2562048h", DurationError::TooLong),
            ("2562047h1000000m", DurationError::TooLong),
        ] {
            assert_eq!(parse(text), Err(wanted), "{text:?}");
        }
    }
}
