//! Times, kinds and numbers in words.

use std::time::Duration;

use jiff::Timestamp;
use zonegate::credential::Kind;
use zonegate::gate::UnixTime;
use zonegate::text::HumanDuration;
use zonegate::token::NumericDate;

/// A time in UTC, and how long ago it was.
pub(super) fn when(at: Option<UnixTime>, now: Option<UnixTime>) -> String {
    let Some(at) = at else { return "time unknown (the clock was before 1970)".to_owned() };
    match now {
        Some(now) if now >= at => format!("{}, {} ago", utc(at), span(now.saturating_since(at))),
        Some(now) => format!("{}, in {}", utc(at), span(at.saturating_since(now))),
        None => utc(at),
    }
}

/// A time, as in `2026-11-27 17:05:00 UTC`.
pub(super) fn utc(at: UnixTime) -> String {
    i64::try_from(at.as_secs()).map_or_else(|_| at.as_secs().to_string(), seconds)
}

/// A date of a token or a rule, in the same form.
pub(super) fn date(date: NumericDate) -> String {
    seconds(date.0)
}

fn seconds(seconds: i64) -> String {
    match Timestamp::from_second(seconds) {
        Ok(time) => time.strftime("%Y-%m-%d %H:%M:%S UTC").to_string(),
        Err(_) => format!("{seconds} s after 1970"),
    }
}

pub(super) fn span(span: Duration) -> String {
    HumanDuration(span).to_string()
}

/// A number with what it counts.
pub(super) fn count(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", grouped(number), if number == 1 { one } else { many })
}

/// A number with separators, as in `1,234,567`.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && digits.len().saturating_sub(place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// The words for tokens of a kind.
pub(super) fn tokens(kind: Kind) -> &'static str {
    match kind {
        Kind::ZoneToken => "zone tokens",
        Kind::DataplaneToken => "dataplane tokens",
        Kind::ServiceAccountToken => "service-account tokens",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_said_in_utc_and_from_now() {
        let at = |seconds| Some(UnixTime::from_secs(seconds));
        for (time, now, wanted) in [
            (at(1_795_799_100), at(1_795_799_400), "2026-11-27 17:05:00 UTC, 5 minutes ago"),
            (
                at(1_795_799_100),
                at(1_795_799_100),
                "2026-11-27 17:05:00 UTC, less than a second ago",
            ),
            (at(1_795_799_100), at(1_795_626_300), "2026-11-27 17:05:00 UTC, in 2 days"),
            (at(0), None, "1970-01-01 00:00:00 UTC"),
            (None, at(0), "time unknown (the clock was before 1970)"),
        ] {
            assert_eq!(when(time, now), wanted);
        }
        assert_eq!(utc(UnixTime::from_secs(u64::MAX)), u64::MAX.to_string());
        assert_eq!(date(NumericDate(i64::MIN)), format!("{} s after 1970", i64::MIN));
    }

    #[test]
    fn numbers_have_separators() {
        for (number, wanted) in [
            (0, "0 ids"),
            (1, "1 id"),
            (999, "999 ids"),
            (1000, "1,000 ids"),
            (1_234_567, "1,234,567 ids"),
        ] {
            assert_eq!(count(number, "id", "ids"), wanted);
        }
    }
}
