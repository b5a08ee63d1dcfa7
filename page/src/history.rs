//! The growth of counters within the last hour.
//!
//! In: the counters at several times, on a clock that cannot go back. Out: their growth within the last hour, which
//! consists of whole minutes.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use zonegate::gate::{Mode, Reason};

/// Refusals by mode, enforced or shadow, and by reason.
type Denied = BTreeMap<(Mode, Reason), u64>;

/// The time that the page shows.
const HOUR: Duration = Duration::from_secs(3600);
/// The shortest time between two notes.
const OFTEN: Duration = Duration::from_secs(5);

/// The refusals of the last hour, by the minute.
#[derive(Debug, Default)]
pub struct History {
    /// The time of the first note and of the last note, and the counters at the last note.
    seen: Option<(Duration, Duration, Denied)>,
    /// The growth of the counters, by the minute.
    minutes: VecDeque<(u64, Denied)>,
}

/// Refusals of the last hour.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Refusals {
    /// The time over which they were counted: an hour, or less if the first note is more recent.
    pub over: Duration,
    /// By mode and reason, without zeros.
    pub denied: Denied,
}

impl History {
    /// Whether the last note is old enough for a new one.
    pub fn is_due(&self, at: Duration) -> bool {
        self.seen.as_ref().is_none_or(|(_, last, _)| at.saturating_sub(*last) >= OFTEN)
    }

    /// Notes the counters at `at`. Refusals before the first note belong to no hour.
    pub fn note(&mut self, at: Duration, denied: &Denied) {
        let Some((_, last, before)) = &self.seen else {
            return self.begin(at, denied);
        };
        if at.saturating_sub(*last) > HOUR {
            // The time of the new refusals is not known.
            return self.begin(at, denied);
        }
        let grown = denied.iter().filter_map(|(what, count)| {
            let before = before.get(what).copied().unwrap_or_default();
            // A counter that is less than before began again at 0.
            let by = count.checked_sub(before).unwrap_or(*count);
            (by > 0).then_some((*what, by))
        });
        let grown: Denied = grown.collect();
        self.add(minute(at), grown);
        if let Some((_, last, before)) = &mut self.seen {
            *last = at;
            before.clone_from(denied);
        }
    }

    /// The refusals of the hour before `at`.
    pub fn last_hour(&self, at: Duration) -> Refusals {
        let Some((first, _, _)) = &self.seen else { return Refusals::default() };
        let mut sum = Denied::new();
        for (_, denied) in self.minutes.iter().filter(|(when, _)| is_recent(*when, at)) {
            add(&mut sum, denied);
        }
        Refusals { over: at.saturating_sub(*first).min(HOUR), denied: sum }
    }

    fn begin(&mut self, at: Duration, denied: &Denied) {
        self.minutes.clear();
        self.seen = Some((at, at, denied.clone()));
    }

    fn add(&mut self, minute: u64, grown: Denied) {
        match self.minutes.back_mut() {
            Some((last, sum)) if *last == minute => add(sum, &grown),
            _ => self.minutes.push_back((minute, grown)),
        }
        while self.minutes.front().is_some_and(|(when, _)| !is_recent_minute(*when, minute)) {
            self.minutes.pop_front();
        }
    }
}

fn minute(at: Duration) -> u64 {
    at.as_secs() / 60
}

fn is_recent(when: u64, at: Duration) -> bool {
    is_recent_minute(when, minute(at))
}

fn is_recent_minute(when: u64, now: u64) -> bool {
    now.saturating_sub(when) < 60
}

fn add(sum: &mut Denied, more: &Denied) {
    for (what, by) in more {
        let count = sum.entry(*what).or_default();
        *count = count.saturating_add(*by);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXPIRED: (Mode, Reason) = (Mode::Enforce, Reason::Expired);

    fn at(minutes: u64) -> Duration {
        Duration::from_mins(minutes)
    }

    fn expired(history: &History, minutes: u64) -> (u64, Option<u64>) {
        let Refusals { over, denied } = history.last_hour(at(minutes));
        (over.as_secs() / 60, denied.get(&EXPIRED).copied())
    }

    #[test]
    fn only_the_growth_within_the_last_hour_counts() {
        let mut history = History::default();
        assert_eq!(expired(&history, 0), (0, None));
        for (minute, count) in [(0, 100), (10, 103), (30, 103), (50, 110), (75, 111)] {
            history.note(at(minute), &[(EXPIRED, count)].into());
        }
        assert_eq!(expired(&history, 75), (60, Some(8)), "the three of minute 10 are older");
        assert_eq!(expired(&history, 109), (60, Some(8)));
        assert_eq!(expired(&history, 110), (60, Some(1)));
        assert_eq!(expired(&history, 200), (60, None));
        assert!(history.minutes.len() <= 60);
    }

    #[test]
    fn in_the_first_hour_refusals_are_over_a_shorter_time() {
        let mut history = History::default();
        history.note(at(5), &Denied::new());
        history.note(at(8), &[(EXPIRED, 2)].into());
        assert_eq!(expired(&history, 9), (4, Some(2)));
    }

    #[test]
    fn a_counter_that_begins_anew_counts_from_zero() {
        let mut history = History::default();
        for (minute, count) in [(0, 50), (1, 52), (2, 3)] {
            history.note(at(minute), &[(EXPIRED, count)].into());
        }
        assert_eq!(expired(&history, 2), (2, Some(5)));
    }

    /// A gateway that was not reachable for more than an hour.
    #[test]
    fn growth_in_a_gap_of_more_than_an_hour_is_not_counted() {
        let mut history = History::default();
        history.note(at(0), &Denied::new());
        history.note(at(61), &[(EXPIRED, 9)].into());
        assert_eq!(expired(&history, 62), (1, None));
        history.note(at(63), &[(EXPIRED, 10)].into());
        assert_eq!(expired(&history, 63), (2, Some(1)));
    }
}
