//! One line of the access log.
//!
//! In: the text of a line, where a log shipper may have put a prefix before the JSON. Out: a [`Line`], or nothing if it
//! is not a line of the access log of `envoy/gateway.yaml`. Whether the stream is still open is decided elsewhere.

use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;
use zonegate::gate::UnixTime;

use super::TokenFacts;

/// Why Envoy wrote a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// The request is in progress.
    Periodic,
    /// The request has ended.
    End,
}

/// Identifies a request, also among those of several Envoys.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamKey {
    began: String,
    connection: u64,
    request_id: String,
}

/// The contents of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The request that the line is about.
    pub key: StreamKey,
    /// Why the line was written.
    pub event: Event,
    /// When the request began.
    pub began: UnixTime,
    /// When the line was written.
    pub seen: UnixTime,
    /// Who sent the request.
    pub peer: String,
    /// The path of the request.
    pub path: String,
    /// The HTTP status of the answer; 0 if there is none yet.
    pub status: u64,
    /// The verdict of the gate, as logged; `None` if there is none yet.
    pub verdict: Option<String>,
    /// Why the gate refused the request, or would have in shadow mode.
    pub reason: Option<String>,
    /// The verified token, if there is one.
    pub token: Option<TokenFacts>,
}

/// A line as JSON.
#[derive(Deserialize)]
struct Raw {
    time: String,
    event: String,
    connection: Value,
    milliseconds: Value,
    #[serde(default)]
    request_id: Option<String>,
    #[serde(default)]
    peer: Option<String>,
    #[serde(default)]
    path: Option<String>,
    #[serde(default)]
    status: Value,
    #[serde(default)]
    verdict: Option<String>,
    #[serde(default)]
    reason: Option<String>,
    #[serde(default)]
    token: Option<String>,
}

impl Line {
    /// Reads a line.
    pub fn parse(text: &str) -> Option<Self> {
        let raw: Raw = serde_json::from_str(text.get(text.find('{')?..)?).ok()?;
        let event = match raw.event.as_str() {
            "DownstreamPeriodic" => Event::Periodic,
            "DownstreamEnd" => Event::End,
            _ => return None,
        };
        let began = raw.time.parse::<Timestamp>().ok()?.as_duration();
        let began = UnixTime::after_epoch(Duration::try_from(began).ok()?);
        let duration = Duration::from_millis(number(&raw.milliseconds)?);
        let key = StreamKey {
            began: raw.time,
            connection: number(&raw.connection)?,
            request_id: raw.request_id.unwrap_or_default(),
        };
        Some(Self {
            key,
            event,
            began,
            seen: began.saturating_add(duration),
            peer: raw.peer.unwrap_or_default(),
            path: raw.path.unwrap_or_default(),
            status: number(&raw.status).unwrap_or_default(),
            verdict: raw.verdict,
            reason: raw.reason,
            token: raw.token.as_deref().and_then(TokenFacts::parse),
        })
    }
}

/// A log shipper may have turned numbers into strings.
fn number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a test may panic
mod tests {
    use super::*;

    const LINE: &str = r#"{"time":"2026-11-27T09:30:00.250Z","event":"DownstreamPeriodic","connection":7,"milliseconds":60000,"request_id":"r","peer":"10.0.0.7:5000","path":"/x","status":200,"verdict":"allow","token":"kind=zoneToken kid=1 jti=id-1 zone=a exp=1800000000","other":[1]}"#;

    #[test]
    fn a_line_is_read_after_the_prefix_of_a_shipper() {
        let at = |seconds, nanos| UnixTime::after_epoch(Duration::new(seconds, nanos));
        for prefix in ["", "[pod/zonegate-0/envoy] ", "gateway-1  | "] {
            let line = Line::parse(&format!("{prefix}{LINE}")).unwrap();
            assert_eq!(line.event, Event::Periodic);
            assert_eq!(line.began, at(1_795_771_800, 250_000_000));
            assert_eq!(line.seen, at(1_795_771_860, 250_000_000));
            assert_eq!((line.peer.as_str(), line.status), ("10.0.0.7:5000", 200));
            assert_eq!(line.token.unwrap().kid, "1");
        }
        let texts = LINE.replace(":7,", ":\"7\",").replace("60000", "\"60000\"");
        assert_eq!(Line::parse(&texts), Line::parse(LINE));
    }

    #[test]
    fn other_text_is_not_a_line() {
        for text in [
            "",
            "[warning] zonegate: denied reason=expired",
            "{}",
            &LINE.replace("DownstreamPeriodic", "UpstreamPeriodic"),
            &LINE.replace("DownstreamPeriodic", "DownstreamStart"),
            &LINE.replace("2026-11-27T09:30:00.250Z", "yesterday"),
            &LINE.replace(",\"connection\":7", ""),
            LINE.get(..200).unwrap(),
        ] {
            assert_eq!(Line::parse(text), None, "{text}");
        }
    }
}
