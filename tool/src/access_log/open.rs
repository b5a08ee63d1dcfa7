//! The streams that are open, according to the lines of an access log.
//!
//! In: lines, in any order, and a time. Out: the streams that are open at that time. A stream is open if a recent line
//! says that it is in progress, and no line says that it has ended. So the streams of an Envoy that was killed
//! disappear after a while. A stream that has not been logged yet is missing.

use std::collections::HashMap;
use std::time::Duration;

use zonegate::gate::UnixTime;

use super::{Event, Line, StreamKey};

/// The shortest expected interval between two lines about one request. A shorter request only has the line of its end.
const SHORTEST_INTERVAL: Duration = Duration::from_secs(1);

/// The period whose lines show that a stream is open.
#[derive(Debug, Clone, Copy)]
pub struct Window {
    /// A stream that was last seen before this time does not count.
    pub start: UnixTime,
    /// Later lines are ignored. `None` for a log that is read now: the clock of its machine may be ahead.
    pub end: Option<UnixTime>,
}

/// The open streams.
#[derive(Debug)]
pub struct OpenStreams {
    window: Window,
    streams: HashMap<StreamKey, State>,
    newest: Option<UnixTime>,
}

#[derive(Debug)]
enum State {
    Open(Box<Line>),
    Ended,
}

impl Window {
    /// The window for streams seen within `span` before `at`, or before `now` if there is no `at`.
    pub fn of(at: Option<UnixTime>, now: UnixTime, span: Duration) -> Self {
        let end = at.unwrap_or(now).since_epoch();
        Self { start: UnixTime::after_epoch(end.saturating_sub(span)), end: at }
    }

    fn is_after(&self, time: UnixTime) -> bool {
        self.end.is_some_and(|end| time > end)
    }
}

impl OpenStreams {
    /// No streams yet.
    pub fn new(window: Window) -> Self {
        Self { window, streams: HashMap::new(), newest: None }
    }

    /// Adds a line.
    pub fn add(&mut self, line: Line) {
        if self.window.is_after(line.began) {
            return;
        }
        self.newest = self.newest.max(Some(line.seen));
        if line.seen < self.window.start {
            return;
        }
        // A stream that ended after the window was open in it.
        let has_ended = line.event == Event::End && !self.window.is_after(line.seen);
        match self.streams.get(&line.key) {
            Some(State::Ended) => {}
            Some(State::Open(known)) if !has_ended && known.seen > line.seen => {}
            _ if !has_ended => {
                self.streams.insert(line.key.clone(), State::Open(Box::new(line)));
            }
            _ if line.seen.saturating_since(line.began) < SHORTEST_INTERVAL => {
                self.streams.remove(&line.key);
            }
            _ => {
                self.streams.insert(line.key, State::Ended);
            }
        }
    }

    /// When the newest line was written.
    pub fn newest(&self) -> Option<UnixTime> {
        self.newest
    }

    /// The streams that are open and were not refused, in no order.
    pub fn into_lines(self) -> impl Iterator<Item = Line> {
        let lines = self.streams.into_values().filter_map(|state| match state {
            State::Open(line) => Some(*line),
            State::Ended => None,
        });
        // A refused stream is about to end with its answer.
        lines.filter(|line| line.verdict.as_deref() != Some("deny"))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::arithmetic_side_effects)] // a test may panic
mod tests {
    use proptest::prelude::*;
    use proptest::sample::Index;

    use super::*;

    const fn secs(seconds: u64) -> UnixTime {
        UnixTime::from_secs(seconds)
    }

    /// Of the stream on connection `connection`, which began at 1970-01-01T00:00:00Z.
    fn line(connection: u64, event: &str, seconds: u64) -> Line {
        let text = format!(
            r#"{{"time":"1970-01-01T00:00:00.000Z","event":"{event}","connection":{connection},"milliseconds":{},"verdict":"allow"}}"#,
            seconds * 1_000
        );
        Line::parse(&text).unwrap()
    }

    fn open(window: Window, lines: &[Line]) -> Vec<u64> {
        let mut streams = OpenStreams::new(window);
        lines.iter().cloned().for_each(|line| streams.add(line));
        let mut open: Vec<u64> = streams.into_lines().map(|line| line.seen.as_secs()).collect();
        open.sort_unstable();
        open
    }

    #[test]
    fn a_stream_is_open_until_it_ends_or_is_silent() {
        let log = [
            line(1, "DownstreamPeriodic", 60),
            line(1, "DownstreamPeriodic", 120),
            line(2, "DownstreamPeriodic", 60),
            line(2, "DownstreamEnd", 100),
            line(3, "DownstreamPeriodic", 121),
            line(4, "DownstreamEnd", 0),
        ];
        let span = Duration::from_secs(150);
        assert_eq!(open(Window::of(None, secs(125), span), &log), [120, 121]);
        // Nothing is heard of them any more.
        assert_eq!(open(Window::of(None, secs(271), span), &log), [121]);
        assert_eq!(open(Window::of(None, secs(272), span), &log), [0; 0]);
        // As it was then: the second one had not ended.
        assert_eq!(open(Window::of(Some(secs(99)), secs(900), span), &log), [100, 120, 121]);
        assert_eq!(open(Window::of(Some(secs(101)), secs(900), span), &log), [120, 121]);
    }

    #[test]
    fn a_clock_that_is_ahead_hides_nothing() {
        let log = [line(1, "DownstreamPeriodic", 600)];
        assert_eq!(open(Window::of(None, secs(10), Duration::from_secs(5)), &log), [600]);
    }

    proptest! {
        /// Rotated files may be given in any order.
        #[test]
        fn the_order_of_lines_does_not_matter(
            lines in proptest::collection::vec((0_u64..4, any::<bool>(), 1_u64..200), 0..20),
            swaps in proptest::collection::vec(any::<(Index, Index)>(), 0..20),
            now in 100_u64..300,
        ) {
            // A stream ends once, and nothing comes after it.
            let mut ends = HashMap::new();
            let mut log: Vec<Line> = Vec::new();
            for (connection, is_end, seconds) in lines {
                if ends.contains_key(&connection) {
                    continue;
                }
                if is_end {
                    ends.insert(connection, ());
                    log.push(line(connection, "DownstreamEnd", 200));
                } else {
                    log.push(line(connection, "DownstreamPeriodic", seconds));
                }
            }
            let window = Window::of(None, secs(now), Duration::from_secs(60));
            let wanted = open(window, &log);
            let length = log.len();
            for (one, other) in swaps.iter().take(if length == 0 { 0 } else { swaps.len() }) {
                log.swap(one.index(length), other.index(length));
            }
            prop_assert_eq!(open(window, &log), wanted);
        }
    }
}
