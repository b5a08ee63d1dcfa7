//! How many streams there are in all VMs together, though a VM that fails says no goodbye.
//!
//! In: what each VM reports now and then, and the time. Out: by how much the common numbers change. The
//! list is kept by the host, as bytes, where all VMs find it. A VM that has not been heard of for
//! [`SILENCE`] is gone, and its streams no longer count; one that was only held up counts again with its
//! next report.

use std::time::Duration;

use crate::lifecycle::Gauges;
use crate::metrics::StreamChanges;
use crate::shared_data::SharedData;

/// A VM reports ten times a second; a long list that is pushed may hold it up for a while.
const SILENCE: Duration = Duration::from_secs(5);
/// Where the list is.
const KEY: &str = "zonegate.gauges";
/// Numbers of one entry: VM, when it was heard of, and its gauges.
const NUMBERS: usize = 2 + GAUGES;
const GAUGES: usize = 3;
const ENTRY: usize = 8 * NUMBERS;

/// Makes the list where there is none. The host cannot hold two VMs apart that do this: the second
/// would overwrite what was reported to the first. So it is done with a configuration, which Envoy
/// has a VM on its main thread take before any worker has one.
pub fn begin(shared: &impl SharedData) {
    if shared.get(KEY).is_none() {
        shared.set(KEY, &[], None);
    }
}

/// Reports what is in `vm` at `now`, on a clock that all VMs share and that cannot go back. By how much
/// that changes the numbers in all; not at all where another VM was faster, for which the next report
/// makes up, and where there is no list.
fn report(shared: &impl SharedData, vm: u64, gauges: Gauges, now: Duration) -> StreamChanges {
    let Some((bytes, version)) = shared.get(KEY) else { return [0; GAUGES] };
    let mut all = Entries::from_bytes(&bytes);
    let changes = all.report(vm, gauges, now);
    if shared.set(KEY, &all.to_bytes(), Some(version)) { changes } else { [0; GAUGES] }
}

/// A gateway in a VM, as it reports. VMs have clocks that began with them; a member keeps how far its own is
/// from that of the list.
#[derive(Debug)]
pub struct Member {
    number: u64,
    /// Milliseconds to add to the clock of this VM.
    offset: Option<i64>,
}

impl Member {
    /// The gateway of this number, which no other gateway in any VM has.
    pub fn new(number: u64) -> Self {
        Self { number, offset: None }
    }

    /// As [`report`], by the clock of this VM, which began when it did.
    pub fn report(
        &mut self,
        shared: &impl SharedData,
        gauges: Gauges,
        now: Duration,
    ) -> StreamChanges {
        let own = i64::try_from(now.as_millis()).unwrap_or(i64::MAX);
        let offset = *self.offset.get_or_insert_with(|| {
            let latest =
                shared.get(KEY).and_then(|(bytes, _)| Entries::from_bytes(&bytes).latest());
            latest.map_or(0, |latest| latest.saturating_sub(own))
        });
        let heard = u64::try_from(own.saturating_add(offset)).unwrap_or_default();
        report(shared, self.number, gauges, Duration::from_millis(heard))
    }
}

/// The VMs that have reported.
#[derive(Debug, Default, PartialEq, Eq)]
struct Entries(Vec<Entry>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Entry {
    vm: u64,
    /// Milliseconds.
    heard: u64,
    gauges: [u64; GAUGES],
}

impl Entries {
    /// Reads what [`Self::to_bytes`] made. What it did not make is an empty list.
    fn from_bytes(bytes: &[u8]) -> Self {
        let (entries, _) = bytes.as_chunks::<ENTRY>();
        Self(entries.iter().filter_map(Entry::from_bytes).collect())
    }

    /// When the last of them was heard of, in milliseconds.
    fn latest(&self) -> Option<i64> {
        self.0.iter().map(|entry| i64::try_from(entry.heard).unwrap_or(i64::MAX)).max()
    }

    fn to_bytes(&self) -> Vec<u8> {
        let numbers = self
            .0
            .iter()
            .flat_map(|Entry { vm, heard, gauges: [a, b, c] }| [*vm, *heard, *a, *b, *c]);
        numbers.flat_map(u64::to_le_bytes).collect()
    }

    fn report(&mut self, vm: u64, gauges: Gauges, now: Duration) -> StreamChanges {
        let before = self.sums();
        let milliseconds = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let (heard, limit) = (milliseconds(now), milliseconds(SILENCE));
        let is_here = |entry: &Entry| heard.saturating_sub(entry.heard) < limit;
        self.0.retain(|entry| entry.vm != vm && is_here(entry));
        let Gauges { open, held, shadowed } = gauges;
        self.0.push(Entry { vm, heard, gauges: [open, held, shadowed] });
        let after = self.sums();
        std::array::from_fn(|at| match (after.get(at), before.get(at)) {
            (Some(after), Some(before)) => after.saturating_sub(*before),
            _ => 0,
        })
    }

    fn sums(&self) -> StreamChanges {
        self.0.iter().fold([0; GAUGES], |mut sums, entry| {
            for (sum, one) in sums.iter_mut().zip(entry.gauges) {
                *sum = sum.saturating_add_unsigned(one);
            }
            sums
        })
    }
}

impl Entry {
    fn from_bytes(bytes: &[u8; ENTRY]) -> Option<Self> {
        let (numbers, _) = bytes.as_chunks::<8>();
        let mut numbers = numbers.iter().map(|bytes| u64::from_le_bytes(*bytes));
        let (vm, heard) = (numbers.next()?, numbers.next()?);
        Some(Self { vm, heard, gauges: [numbers.next()?, numbers.next()?, numbers.next()?] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shared_data::tests::Host;

    const NOW: Duration = Duration::from_secs(10);

    fn open(open: u64) -> Gauges {
        Gauges { open, ..Gauges::default() }
    }

    #[test]
    fn reports_at_the_same_time_are_all_counted_once() {
        let host = Host::default();
        begin(&host);
        let mut sum = 0;
        for (now, in_all) in [(3, 3), (3, 3), (0, 0)] {
            host.meanwhile.set(Some(|host| assert_eq!(report(host, 2, open(4), NOW), [4, 0, 0])));
            for _ in 0..2 {
                let [change, _, _] = report(&host, 1, open(now), NOW);
                sum += change;
            }
            assert_eq!(sum, in_all);
            assert_eq!(report(&host, 2, open(0), NOW), [-4, 0, 0]);
        }
    }

    #[test]
    fn a_list_is_made_once_and_nothing_is_reported_before() {
        let host = Host::default();
        assert_eq!(report(&host, 1, open(3), NOW), [0; 3]);
        assert!(host.data.borrow().is_empty());
        begin(&host);
        assert_eq!(report(&host, 1, open(3), NOW), [3, 0, 0]);
        begin(&host);
        assert_eq!(report(&host, 1, open(3), NOW), [0; 3]);
    }

    #[test]
    fn a_vm_that_is_silent_no_longer_counts_until_it_reports_again() {
        let mut all = Entries::default();
        let at = Duration::from_millis;
        let gauges = |open, held, shadowed| Gauges { open, held, shadowed };
        assert_eq!(all.report(1, gauges(3, 7, 1), at(10_000)), [3, 7, 1]);
        assert_eq!(all.report(2, gauges(4, 0, 0), at(10_000)), [4, 0, 0]);
        assert_eq!(all.report(1, gauges(1, 8, 0), at(12_000)), [-2, 1, -1]);
        all = Entries::from_bytes(&all.to_bytes());
        assert_eq!(all.report(1, gauges(1, 8, 0), at(14_999)), [0; 3]);
        assert_eq!(all.report(1, gauges(1, 8, 0), at(15_000)), [-4, 0, 0]);
        assert_eq!(all.report(2, gauges(5, 0, 2), at(16_000)), [5, 0, 2]);
        assert_eq!(all.sums(), [6, 8, 2]);
    }

    /// A VM of days and one that was started just now, two gateways in one of them.
    #[test]
    fn clocks_that_began_at_other_times_are_one() {
        let host = Host::default();
        begin(&host);
        let (mut old, mut young, mut other) = (Member::new(1), Member::new(2), Member::new(3));
        let day = Duration::from_secs(86_400);
        assert_eq!(old.report(&host, open(1), day), [1, 0, 0]);
        for second in 0..20 {
            let second = Duration::from_secs(second);
            let first = i64::from(second.is_zero());
            assert_eq!(young.report(&host, open(2), second), [2 * first, 0, 0]);
            assert_eq!(other.report(&host, open(4), second), [4 * first, 0, 0]);
            assert_eq!(old.report(&host, open(1), day + second), [0; 3]);
        }
        // The two others are silent.
        let late = Duration::from_secs(25);
        assert_eq!(young.report(&host, open(2), late), [-5, 0, 0]);
    }

    #[test]
    fn bytes_of_something_else_are_read_as_far_as_they_go() {
        assert_eq!(Entries::from_bytes(&[]), Entries::default());
        assert_eq!(Entries::from_bytes(&[1; ENTRY - 1]), Entries::default());
        assert_eq!(Entries::from_bytes(&[1; ENTRY + 1]).0.len(), 1);
    }
}
