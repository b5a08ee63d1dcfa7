//! Counts the open streams by the key that signed their token, and by how soon the token expires.
//!
//! In: the open streams and the time. Out: gauges. Each count reads all open streams, so it is done once a second. A
//! stream costs nothing here when it begins or ends.

use std::time::Duration;

use super::streams::State;
use super::{Clocks, Lifecycle};
use crate::metrics::{Gauge, StreamGauges, Within};

/// How old the last count may be. Streams that end meanwhile are in it until the next one.
const EVERY: Duration = Duration::from_secs(1);

/// The last count.
#[derive(Debug, Default)]
pub(super) struct Census {
    counts: StreamGauges,
    taken: Option<Duration>,
}

impl Lifecycle {
    /// The values of the gauges of streams. A gauge that is missing here is 0.
    pub fn stream_gauges(&self) -> StreamGauges {
        if self.streams.len() == 0 {
            return StreamGauges::default();
        }
        let gauges = self.gauges();
        let mut all = self.census.counts.clone();
        all.add(Gauge::Open, gauges.open.cast_signed());
        all.add(Gauge::Held, gauges.held.cast_signed());
        all.add(Gauge::Shadowed, gauges.shadowed.cast_signed());
        all
    }

    /// Counts again if the last count is too old.
    pub(super) fn take_census(&mut self, now: Clocks) {
        let is_fresh =
            |taken: Duration| self.ticked.checked_sub(taken).is_some_and(|age| age < EVERY);
        if self.census.taken.is_some_and(is_fresh) {
            return;
        }
        self.census.taken = Some(self.ticked);
        let mut counts = StreamGauges::default();
        for (_, state) in self.streams.iter() {
            let State::Open(Some(identity)) = state else { continue };
            counts.add(Gauge::OpenByKey(identity.key_label.clone()), 1);
            let Some((now, expires_at)) = now.wall.0.zip(identity.expires_at) else { continue };
            for within in Within::ALL {
                if within.has(expires_at, now) {
                    counts.add(Gauge::Expiring(within), 1);
                }
            }
        }
        self.census.counts = counts;
    }
}
