//! How many streams all VMs have together. A VM that fails does not sign off.
//!
//! In: the reports of each VM, and the time. Out: by how much the common numbers change. The host keeps the list of
//! reports as bytes that all VMs can read. If a VM has not reported for [`SILENCE`], its streams no longer count. If
//! it was only delayed, they count again with its next report.

use std::sync::Arc;
use std::time::Duration;

use crate::metrics::{Change, Gauge, Metric, StreamGauges, Within, of_streams};
use crate::shared_data::SharedData;

/// A VM reports at least once in [`HEARTBEAT`]; a push of a long list may delay it.
const SILENCE: Duration = Duration::from_secs(5);
/// How often a VM reports if nothing has changed.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// The key of the list. A module that writes the list in another format needs another key.
const KEY: &str = "zonegate.gauges.2";

/// How the gauges change.
type Changes = Vec<(Metric, Change)>;

/// Makes the list if there is none. If two VMs did this at once, the second would overwrite the reports in the list of
/// the first. So it is done when a configuration is taken, which Envoy does on its main thread before any worker.
pub fn begin(shared: &impl SharedData) {
    if shared.get(KEY).is_none() {
        shared.set(KEY, &[], None);
    }
}

/// Reports the streams of `vm` at `now`, on a clock that all VMs share and that cannot go back. Returns by how much the
/// report changes the common numbers. `None` if another VM wrote at the same time, which the next report makes up for,
/// or if there is no list.
fn report(
    shared: &impl SharedData,
    vm: u64,
    gauges: StreamGauges,
    now: Duration,
) -> Option<Changes> {
    let (bytes, version) = shared.get(KEY)?;
    let mut all = Entries::from_bytes(&bytes);
    let changes = all.report(vm, gauges, now);
    shared.set(KEY, &all.to_bytes(), Some(version)).then_some(changes)
}

/// One gateway in one VM, for its reports. The clock of each VM begins with the VM, so a member remembers the offset
/// between its own clock and that of the list.
#[derive(Debug)]
pub struct Member {
    number: u64,
    /// Milliseconds to add to the clock of this VM.
    offset: Option<i64>,
    /// What was reported last, and when.
    reported: Option<(StreamGauges, Duration)>,
}

impl Member {
    /// The gateway of this number, which no other gateway in any VM has.
    pub fn new(number: u64) -> Self {
        Self { number, offset: None, reported: None }
    }

    /// As [`report`], by the clock of this VM. The list has an entry for each key of each VM, so an unchanged report is
    /// repeated only once in [`HEARTBEAT`].
    pub fn report(
        &mut self,
        shared: &impl SharedData,
        gauges: StreamGauges,
        now: Duration,
    ) -> Changes {
        if let Some((reported, at)) = &self.reported
            && *reported == gauges
            && now.saturating_sub(*at) < HEARTBEAT
        {
            return Changes::new();
        }
        let own = i64::try_from(now.as_millis()).unwrap_or(i64::MAX);
        let offset = *self.offset.get_or_insert_with(|| {
            let latest =
                shared.get(KEY).and_then(|(bytes, _)| Entries::from_bytes(&bytes).latest());
            latest.map_or(0, |latest| latest.saturating_sub(own))
        });
        let heard = u64::try_from(own.saturating_add(offset)).unwrap_or_default();
        let changes = report(shared, self.number, gauges.clone(), Duration::from_millis(heard));
        self.reported = changes.is_some().then_some((gauges, now));
        changes.unwrap_or_default()
    }
}

/// The VMs that have reported.
#[derive(Debug, Default, PartialEq)]
struct Entries(Vec<Entry>);

#[derive(Debug, Clone, Default, PartialEq)]
struct Entry {
    vm: u64,
    /// Milliseconds.
    heard: u64,
    gauges: StreamGauges,
}

impl Entries {
    /// Reads the format of [`Self::to_bytes`]; stops at the first byte that does not fit.
    fn from_bytes(mut bytes: &[u8]) -> Self {
        let mut all = Vec::new();
        while let Some(entry) = Entry::take(&mut bytes) {
            all.push(entry);
        }
        Self(all)
    }

    /// The time of the last report of any VM, in milliseconds.
    fn latest(&self) -> Option<i64> {
        self.0.iter().map(|entry| i64::try_from(entry.heard).unwrap_or(i64::MAX)).max()
    }

    fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.0.iter().for_each(|entry| entry.put(&mut bytes));
        bytes
    }

    fn report(&mut self, vm: u64, gauges: StreamGauges, now: Duration) -> Changes {
        let before = self.sums();
        let milliseconds = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let (heard, limit) = (milliseconds(now), milliseconds(SILENCE));
        let is_here = |entry: &Entry| heard.saturating_sub(entry.heard) < limit;
        self.0.retain(|entry| entry.vm != vm && is_here(entry));
        self.0.push(Entry { vm, heard, gauges });
        of_streams(&before, &self.sums())
    }

    fn sums(&self) -> StreamGauges {
        let all = self.0.iter().flat_map(|entry| entry.gauges.iter());
        all.map(|(gauge, count)| (gauge.clone(), count)).collect()
    }
}

/// The format, with little-endian numbers: the VM, the time of its report, the number of gauges; for each gauge its
/// number, the length of its label, the label, the count.
impl Entry {
    fn take(bytes: &mut &[u8]) -> Option<Self> {
        let mut entry = Self { vm: take_u64(bytes)?, heard: take_u64(bytes)?, ..Self::default() };
        for _ in 0..take_u64(bytes)? {
            let (which, length) = (take_u64(bytes)?, usize::try_from(take_u64(bytes)?).ok()?);
            let (label, rest) = bytes.split_at_checked(length)?;
            *bytes = rest;
            let count = take_u64(bytes)?;
            if let Some(gauge) = gauge_of(which, label) {
                entry.gauges.add(gauge, count.cast_signed());
            }
        }
        Some(entry)
    }

    fn put(&self, bytes: &mut Vec<u8>) {
        let put = |bytes: &mut Vec<u8>, number: u64| bytes.extend(number.to_le_bytes());
        let length = |length: usize| u64::try_from(length).unwrap_or_default();
        let written: Vec<_> = self
            .gauges
            .iter()
            .filter_map(|(gauge, count)| Some((which(gauge)?, label(gauge), count.cast_unsigned())))
            .collect();
        put(bytes, self.vm);
        put(bytes, self.heard);
        put(bytes, length(written.len()));
        for (which, label, count) in written {
            put(bytes, which);
            put(bytes, length(label.len()));
            bytes.extend(label.as_bytes());
            put(bytes, count);
        }
    }
}

fn take_u64(bytes: &mut &[u8]) -> Option<u64> {
    let (number, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(u64::from_le_bytes(*number))
}

/// The number of a gauge of streams; `None` for any other gauge.
fn which(gauge: &Gauge) -> Option<u64> {
    Some(match gauge {
        Gauge::Open => 0,
        Gauge::Held => 1,
        Gauge::Shadowed => 2,
        Gauge::Expiring(Within::Day) => 3,
        Gauge::Expiring(Within::Week) => 4,
        Gauge::Expiring(Within::Month) => 5,
        Gauge::OpenByKey(_) => 6,
        Gauge::ConfigKeys | Gauge::ConfigRevocations | Gauge::ZoneTokenExpiresAt(_) => return None,
    })
}

fn label(gauge: &Gauge) -> &str {
    match gauge {
        Gauge::OpenByKey(label) => label,
        _ => "",
    }
}

fn gauge_of(which: u64, label: &[u8]) -> Option<Gauge> {
    Some(match which {
        0 => Gauge::Open,
        1 => Gauge::Held,
        2 => Gauge::Shadowed,
        3 => Gauge::Expiring(Within::Day),
        4 => Gauge::Expiring(Within::Week),
        5 => Gauge::Expiring(Within::Month),
        6 => Gauge::OpenByKey(Arc::from(std::str::from_utf8(label).ok()?)),
        _ => return None,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a test may panic
mod tests {
    use super::*;
    use crate::shared_data::tests::Host;

    const NOW: Duration = Duration::from_secs(10);

    fn open(open: i64) -> StreamGauges {
        gauges(open, 0, 0)
    }

    fn gauges(open: i64, held: i64, shadowed: i64) -> StreamGauges {
        [(Gauge::Open, open), (Gauge::Held, held), (Gauge::Shadowed, shadowed)]
            .into_iter()
            .collect()
    }

    fn report(host: &Host, vm: u64, gauges: StreamGauges, now: Duration) -> Changes {
        super::report(host, vm, gauges, now).unwrap_or_default()
    }

    /// The changes of the three gauges.
    fn changes(changes: &Changes) -> [i64; 3] {
        [Gauge::Open, Gauge::Held, Gauge::Shadowed].map(|gauge| {
            let of_it = |(metric, _): &&(Metric, Change)| *metric == Metric::Gauge(gauge.clone());
            match changes.iter().find(of_it) {
                Some((_, Change::Add(by))) => *by,
                _ => 0,
            }
        })
    }

    #[test]
    fn reports_at_the_same_time_are_all_counted_once() {
        let host = Host::default();
        begin(&host);
        let mut sum = 0;
        for (now, in_all) in [(3, 3), (3, 3), (0, 0)] {
            host.meanwhile
                .set(Some(|host| assert_eq!(changes(&report(host, 2, open(4), NOW)), [4, 0, 0])));
            for _ in 0..2 {
                let [change, _, _] = changes(&report(&host, 1, open(now), NOW));
                sum += change;
            }
            assert_eq!(sum, in_all);
            assert_eq!(changes(&report(&host, 2, open(0), NOW)), [-4, 0, 0]);
        }
    }

    #[test]
    fn a_list_is_made_once_and_nothing_is_reported_before() {
        let host = Host::default();
        assert_eq!(changes(&report(&host, 1, open(3), NOW)), [0; 3]);
        assert!(host.data.borrow().is_empty());
        begin(&host);
        assert_eq!(changes(&report(&host, 1, open(3), NOW)), [3, 0, 0]);
        begin(&host);
        assert_eq!(changes(&report(&host, 1, open(3), NOW)), [0; 3]);
    }

    #[test]
    fn a_vm_that_is_silent_no_longer_counts_until_it_reports_again() {
        let mut all = Entries::default();
        let at = Duration::from_millis;
        assert_eq!(changes(&all.report(1, gauges(3, 7, 1), at(10_000))), [3, 7, 1]);
        assert_eq!(changes(&all.report(2, gauges(4, 0, 0), at(10_000))), [4, 0, 0]);
        assert_eq!(changes(&all.report(1, gauges(1, 8, 0), at(12_000))), [-2, 1, -1]);
        all = Entries::from_bytes(&all.to_bytes());
        assert_eq!(changes(&all.report(1, gauges(1, 8, 0), at(14_999))), [0; 3]);
        assert_eq!(changes(&all.report(1, gauges(1, 8, 0), at(15_000))), [-4, 0, 0]);
        assert_eq!(changes(&all.report(2, gauges(5, 0, 2), at(16_000))), [5, 0, 2]);
        assert_eq!(all.sums(), gauges(6, 8, 2));
    }

    /// A VM that has run for a day, and a VM with two gateways that has just started.
    #[test]
    fn vms_that_started_at_different_times_share_one_clock() {
        let host = Host::default();
        begin(&host);
        let (mut old, mut young, mut other) = (Member::new(1), Member::new(2), Member::new(3));
        let day = Duration::from_secs(86_400);
        let before = day - Duration::from_secs(60);
        assert_eq!(changes(&old.report(&host, open(1), before)), [1, 0, 0]);
        assert_eq!(changes(&old.report(&host, open(1), day)), [0; 3]);
        for second in 0..20 {
            let second = Duration::from_secs(second);
            let first = i64::from(second.is_zero());
            assert_eq!(changes(&young.report(&host, open(2), second)), [2 * first, 0, 0]);
            assert_eq!(changes(&other.report(&host, open(4), second)), [4 * first, 0, 0]);
            assert_eq!(changes(&old.report(&host, open(1), day + second)), [0; 3]);
        }
        // The two others have not reported.
        let late = Duration::from_secs(25);
        assert_eq!(changes(&young.report(&host, open(2), late)), [-5, 0, 0]);
    }

    /// A report that failed because another VM wrote at the same time is repeated at once.
    #[test]
    fn an_unchanged_report_is_repeated_once_a_second() {
        let host = Host::default();
        begin(&host);
        let mut member = Member::new(1);
        let (at, heard) =
            (Duration::from_millis, || Entries::from_bytes(&host.get(KEY).unwrap().0));
        assert_eq!(changes(&member.report(&host, open(1), at(0))), [1, 0, 0]);
        let first = heard();
        assert_eq!(changes(&member.report(&host, open(1), at(999))), [0; 3]);
        assert_eq!(heard(), first);
        assert_eq!(changes(&member.report(&host, open(1), at(1_000))), [0; 3]);
        assert_ne!(heard(), first);
        assert_eq!(changes(&member.report(&host, open(2), at(1_100))), [1, 0, 0]);
        let other = |host: &Host| drop(report(host, 2, open(4), Duration::from_millis(1_200)));
        host.meanwhile.set(Some(other));
        assert_eq!(changes(&member.report(&host, open(3), at(1_200))), [0; 3]);
        assert_eq!(changes(&member.report(&host, open(3), at(1_300))), [1, 0, 0]);
    }

    #[test]
    fn bytes_of_something_else_are_read_as_far_as_they_go() {
        assert_eq!(Entries::from_bytes(&[]), Entries::default());
        assert_eq!(Entries::from_bytes(&[1; 23]), Entries::default());
        assert_eq!(Entries::from_bytes(&[0xff; 1_000]), Entries::default());
        let bytes = [0; 25];
        assert_eq!(Entries::from_bytes(&bytes).0, [Entry::default()]);
    }

    #[test]
    fn every_gauge_of_streams_is_read_as_it_was_written() {
        let mut all = StreamGauges::default();
        for (count, which) in (1..).zip(0..7) {
            all.add(gauge_of(which, b"default/1").unwrap(), count);
        }
        all.add(Gauge::OpenByKey("".into()), 8);
        let entry = |vm| Entry { vm, heard: 7, gauges: all.clone() };
        let entries = Entries(vec![entry(1), Entry::default(), entry(u64::MAX)]);
        let bytes = entries.to_bytes();
        assert_eq!(Entries::from_bytes(&bytes), entries);
        for length in 0..bytes.len() {
            let cut = Entries::from_bytes(bytes.get(..length).unwrap());
            assert!(cut.0.len() < 3 && entries.0.starts_with(&cut.0), "{length}");
        }
        assert_eq!(gauge_of(7, b""), None);
        assert_eq!(gauge_of(6, b"\xff"), None);
        assert_eq!(which(&Gauge::ConfigKeys), None);
    }
}
