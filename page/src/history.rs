//! How much counters have grown within the last hour.
//!
//! In: what was counted, again and again, each with the time on a clock that cannot go back. Out: by how much it grew
//! within the hour before. The hour is one of whole minutes. Who counts, and what else, is not known here.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use zonegate::gate::{Mode, Reason};

/// Refusals by what they are: carried out or not, and the reason.
type Denied = BTreeMap<(Mode, Reason), u64>;

/// What the page shows.
const HOUR: Duration = Duration::from_secs(3600);
/// More often, nothing new is written down.
const OFTEN: Duration = Duration::from_secs(5);

/// What was counted within the last hour.
#[derive(Debug, Default)]
pub struct History {
    /// When it was first looked, and when last; what was counted then.
    seen: Option<(Duration, Duration, Denied)>,
    /// By how much counters grew, by the minute.
    minutes: VecDeque<(u64, Denied)>,
}

/// Refusals of the last hour.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Refusals {
    /// Over how long they were counted: an hour, or less where nobody has looked for so long.
    pub over: Duration,
    /// By mode and reason; none that is 0.
    pub denied: Denied,
}

impl History {
    /// Whether there would be something new to write down.
    pub fn is_due(&self, at: Duration) -> bool {
        self.seen.as_ref().is_none_or(|(_, last, _)| at.saturating_sub(*last) >= OFTEN)
    }

    /// Writes down what was counted until `at`. What was counted before it was first looked belongs to no hour.
    pub fn note(&mut self, at: Duration, denied: &Denied) {
        let Some((_, last, before)) = &self.seen else {
            return self.begin(at, denied);
        };
        if at.saturating_sub(*last) > HOUR {
            // Nobody knows when it was.
            return self.begin(at, denied);
        }
        let grown = denied.iter().filter_map(|(what, count)| {
            let before = before.get(what).copied().unwrap_or_default();
            // One that is less than before began anew, from 0.
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
    fn before_an_hour_has_passed_the_page_says_how_long_it_was() {
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

    /// A gateway that was away for longer.
    #[test]
    fn what_grew_while_nobody_looked_for_an_hour_is_of_no_hour() {
        let mut history = History::default();
        history.note(at(0), &Denied::new());
        history.note(at(61), &[(EXPIRED, 9)].into());
        assert_eq!(expired(&history, 62), (1, None));
        history.note(at(63), &[(EXPIRED, 10)].into());
        assert_eq!(expired(&history, 63), (2, Some(1)));
    }
}
