//! The gauges of streams, each of which may be shared with others: VMs, threads.
//!
//! In: how many streams there are of each sort, before and now. Out: by how much the gauges change.

use std::time::Duration;

use super::{Change, Gauge, Metric};
use crate::gate::UnixTime;
use crate::token::NumericDate;

/// How soon a token expires.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Within {
    /// Within a day.
    Day,
    /// Within seven days.
    Week,
    /// Within thirty days.
    Month,
}

impl Within {
    /// Each of them, once.
    pub const ALL: [Self; 3] = [Self::Day, Self::Week, Self::Month];

    /// Whether a token that expires then does so soon, seen from `now`.
    pub fn has(self, expires_at: NumericDate, now: UnixTime) -> bool {
        UnixTime::from(expires_at).saturating_since(now) <= self.length()
    }

    fn length(self) -> Duration {
        const DAY: Duration = Duration::from_hours(24);
        match self {
            Self::Day => DAY,
            Self::Week => DAY.saturating_mul(7),
            Self::Month => DAY.saturating_mul(30),
        }
    }

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Day => "1d",
            Self::Week => "7d",
            Self::Month => "30d",
        }
    }
}

/// What the gauges of streams show. One that is not there shows 0.
#[derive(Debug, Clone, Default)]
pub struct StreamGauges(
    /// In the order of the gauges. (A map would make the module 25 KB larger.)
    Vec<(Gauge, i64)>,
);

impl StreamGauges {
    /// Shows this much more.
    pub fn add(&mut self, gauge: Gauge, by: i64) {
        match self.0.binary_search_by(|(known, _)| known.cmp(&gauge)) {
            Ok(at) => {
                if let Some((_, shown)) = self.0.get_mut(at) {
                    *shown = shown.saturating_add(by);
                }
            }
            Err(at) => self.0.insert(at, (gauge, by)),
        }
    }

    /// Each gauge that does not show 0, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&Gauge, i64)> {
        self.0.iter().map(|(gauge, shown)| (gauge, *shown)).filter(|(_, shown)| *shown != 0)
    }
}

impl FromIterator<(Gauge, i64)> for StreamGauges {
    fn from_iter<I: IntoIterator<Item = (Gauge, i64)>>(gauges: I) -> Self {
        let mut all = Self::default();
        gauges.into_iter().for_each(|(gauge, shown)| all.add(gauge, shown));
        all
    }
}

impl PartialEq for StreamGauges {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

/// What becomes of the gauges of streams, each of which may be shared with others, where they showed `before` and
/// show `now`.
pub fn of_streams(before: &StreamGauges, now: &StreamGauges) -> Vec<(Metric, Change)> {
    let mut changes = now.clone();
    before.iter().for_each(|(gauge, shown)| changes.add(gauge.clone(), shown.saturating_neg()));
    let changed = |(gauge, by): (&Gauge, i64)| (Metric::Gauge(gauge.clone()), Change::Add(by));
    changes.iter().map(changed).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gauges_of_streams_that_stay_are_left_alone() {
        let one = || Gauge::OpenByKey("1".into());
        let before = StreamGauges::from_iter([(one(), 4), (Gauge::Held, 1), (Gauge::Shadowed, 3)]);
        let now =
            StreamGauges::from_iter([(Gauge::Open, 2), (Gauge::Held, 1), (Gauge::Shadowed, 2)]);
        let changes = of_streams(&before, &now);
        let expected = [(Gauge::Open, 2), (Gauge::Shadowed, -1), (one(), -4)]
            .map(|(gauge, by)| (Metric::Gauge(gauge), Change::Add(by)));
        assert_eq!(changes, expected);
    }
}
