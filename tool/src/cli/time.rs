//! Points in time, as operators write and read them.
//!
//! In: RFC 3339 or seconds since 1970, a time span, or a date of a token. Out: a time, a duration; or the date in UTC,
//! in the machine's time zone and relative to now. Whether a date makes sense is not checked.

use std::time::{Duration, SystemTime};

use jiff::tz::TimeZone;
use jiff::{Span, SpanRelativeTo, Timestamp};
use zonegate::gate::UnixTime;
use zonegate::text::HumanDuration;
use zonegate::token::NumericDate;

/// Reads a time after 1970.
pub(super) fn parse(text: &str) -> Result<UnixTime, String> {
    let seconds = match text.parse::<u32>() {
        Ok(seconds) => return Ok(UnixTime::from_secs(seconds.into())),
        Err(_) => text.parse::<Timestamp>().map(Timestamp::as_duration),
    };
    let since = seconds.ok().and_then(|since| Duration::try_from(since).ok());
    since.map(UnixTime::after_epoch).ok_or_else(|| {
        "RFC 3339 or seconds since 1970 are expected, for example 2026-01-31T12:00:00Z or 1769860800"
            .to_owned()
    })
}

/// Reads a duration: `30d`, `12h`, `1 week`.
pub(super) fn span(text: &str) -> Result<Duration, String> {
    let span = text.parse::<Span>().map_err(|error| error.to_string())?;
    span.to_duration(SpanRelativeTo::days_are_24_hours())
        .ok()
        .and_then(|span| Duration::try_from(span).ok())
        .ok_or_else(|| "days, hours or weeks are expected, for example 30d or 12h".to_owned())
}

/// The time of the machine's clock.
pub(super) fn now() -> UnixTime {
    // A clock before 1970 is useless; the gate reports it.
    UnixTime::of(SystemTime::now()).unwrap_or_default()
}

/// The date in UTC, as RFC 3339; `None` beyond the range of a calendar.
pub(super) fn utc(date: NumericDate) -> Option<String> {
    Timestamp::from_second(date.0).ok().map(|timestamp| timestamp.to_string())
}

/// The date in the machine's time zone.
pub(super) fn local(date: NumericDate) -> Option<String> {
    let zone = TimeZone::try_system().unwrap_or(TimeZone::UTC);
    let local = Timestamp::from_second(date.0).ok()?.to_zoned(zone);
    Some(local.strftime("%Y-%m-%d %H:%M:%S %Z").to_string())
}

/// The date relative to `now`: `in 3 hours`, `5 minutes ago`.
pub(super) fn relative(date: NumericDate, now: UnixTime) -> String {
    let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    let span = HumanDuration(Duration::from_secs(date.0.abs_diff(now)));
    match date.0.cmp(&now) {
        std::cmp::Ordering::Greater => format!("in {span}"),
        std::cmp::Ordering::Equal => "now".to_owned(),
        std::cmp::Ordering::Less => format!("{span} ago"),
    }
}

/// The date in UTC and in the machine's time zone.
pub(super) fn line(date: NumericDate) -> String {
    match (utc(date), local(date)) {
        (Some(utc), Some(local)) => format!("{utc}, {local}"),
        _ => format!("{} seconds since 1970, beyond any calendar", date.0),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a test may panic
mod tests {
    use super::*;

    #[test]
    fn both_spellings_of_a_time_are_read() {
        let at = |seconds, nanos| UnixTime::after_epoch(Duration::new(seconds, nanos));
        for (text, wanted) in [
            ("0", at(0, 0)),
            ("1769860800", at(1_769_860_800, 0)),
            ("2026-01-31T12:00:00Z", at(1_769_860_800, 0)),
            ("2026-01-31T13:00:00+01:00", at(1_769_860_800, 0)),
            ("2026-01-31 12:00:00.5Z", at(1_769_860_800, 500_000_000)),
        ] {
            assert_eq!(parse(text), Ok(wanted), "{text}");
        }
        for text in ["", "now", "-1", "12:00", "2026-01-31", "1969-12-31T23:59:59Z", "1e9"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_date_is_seen_from_now() {
        let now = UnixTime::from_secs(1_000_000);
        for (date, wanted) in [
            (1_000_000, "now"),
            (1_000_001, "in 1 s"),
            (999_000, "16 minutes ago"),
            (1_180_000, "in 2 days"),
            (i64::MIN, "106751991167312 days ago"),
        ] {
            assert_eq!(relative(NumericDate(date), now), wanted);
        }
        let beyond = format!("{} seconds since 1970, beyond any calendar", i64::MIN);
        assert_eq!(line(NumericDate(i64::MIN)), beyond);
        assert_eq!(utc(NumericDate(0)).unwrap(), "1970-01-01T00:00:00Z");
    }

    #[test]
    fn a_span_is_days_and_hours() {
        const DAY: u64 = 86_400;
        for (text, seconds) in [
            ("30d", Some(30 * DAY)),
            ("12h", Some(DAY / 2)),
            ("1 week", Some(7 * DAY)),
            ("1d 12h", Some(DAY * 3 / 2)),
            ("0d", Some(0)),
            ("-1d", None),
            ("1 month", None),
            ("30", None),
            ("", None),
            ("soon", None),
        ] {
            assert_eq!(span(text).ok(), seconds.map(Duration::from_secs), "{text}");
        }
    }
}
