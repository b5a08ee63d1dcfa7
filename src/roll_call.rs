//! How many streams are open in all VMs together, though a VM that fails says no goodbye.
//!
//! In: what each VM reports now and then, and the time. Out: by how much the common number changes.
//! The list is kept by the host, as bytes, where all VMs find it. A VM that has not been heard of for
//! [`SILENCE`] is gone, and its streams no longer count; one that was only held up counts again with
//! its next report.

use std::time::Duration;

use crate::gate::UnixTime;

/// A VM reports ten times a second; a long list that is pushed may hold it up for a while.
const SILENCE: Duration = Duration::from_secs(5);
/// Bytes of one entry.
const ENTRY: usize = 24;

/// Bytes that the host keeps for all VMs, with a version that changes with each write.
pub trait Shared {
    /// The bytes and their version; `None` where nothing was written yet.
    fn get(&self) -> Option<(Vec<u8>, u32)>;

    /// Writes, unless the version is no longer `version`; whether it was written. Without a version,
    /// and where nothing was written yet, it is written in any case.
    fn set(&self, bytes: &[u8], version: Option<u32>) -> bool;
}

/// Makes the list where there is none. The host cannot hold two VMs apart that do this: the second
/// would overwrite what was reported to the first. So it is done with a configuration, which Envoy
/// has a VM on its main thread take before any worker has one.
pub fn begin(shared: &impl Shared) {
    if shared.get().is_none() {
        shared.set(&RollCall::default().to_bytes(), None);
    }
}

/// Reports that `open` streams are open in `vm` at `now`. By how much that changes the number in all;
/// zero where another VM was faster, for which the next report makes up, and where there is no list.
pub fn report(shared: &impl Shared, vm: u64, open: u64, now: UnixTime) -> i64 {
    let Some((bytes, version)) = shared.get() else { return 0 };
    let mut all = RollCall::from_bytes(&bytes);
    let change = all.report(vm, open, now);
    if shared.set(&all.to_bytes(), Some(version)) { change } else { 0 }
}

/// The VMs that have reported.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RollCall {
    entries: Vec<Entry>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Entry {
    vm: u64,
    open: u64,
    /// Milliseconds.
    heard: u64,
}

impl RollCall {
    /// Reads what [`Self::to_bytes`] made. What it did not make is an empty list.
    pub fn from_bytes(bytes: &[u8]) -> Self {
        let (entries, _) = bytes.as_chunks::<ENTRY>();
        Self { entries: entries.iter().filter_map(Entry::from_bytes).collect() }
    }

    /// For the host to keep.
    pub fn to_bytes(&self) -> Vec<u8> {
        let numbers = self.entries.iter().flat_map(|entry| [entry.vm, entry.open, entry.heard]);
        numbers.flat_map(u64::to_le_bytes).collect()
    }

    /// Takes the report that `open` streams are open in `vm` at `now`. By how much that changes the
    /// number in all.
    pub fn report(&mut self, vm: u64, open: u64, now: UnixTime) -> i64 {
        let before = self.open();
        let heard = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
        let limit = u64::try_from(SILENCE.as_millis()).unwrap_or(u64::MAX);
        let is_here = |entry: &Entry| heard.saturating_sub(entry.heard) < limit;
        self.entries.retain(|entry| entry.vm != vm && is_here(entry));
        self.entries.push(Entry { vm, open, heard });
        self.open().saturating_sub(before)
    }

    fn open(&self) -> i64 {
        let all = self.entries.iter().fold(0_u64, |sum, entry| sum.saturating_add(entry.open));
        i64::try_from(all).unwrap_or(i64::MAX)
    }
}

impl Entry {
    fn from_bytes(bytes: &[u8; ENTRY]) -> Option<Self> {
        let (numbers, _) = bytes.as_chunks::<8>();
        match numbers {
            [vm, open, heard] => Some(Self {
                vm: u64::from_le_bytes(*vm),
                open: u64::from_le_bytes(*open),
                heard: u64::from_le_bytes(*heard),
            }),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};

    use super::*;

    /// Shared data as Envoy has it, and what another VM does between our read and our write.
    #[derive(Default)]
    struct Host {
        data: RefCell<Option<(Vec<u8>, u32)>>,
        meanwhile: Cell<Option<fn(&Host)>>,
    }

    impl Shared for Host {
        fn get(&self) -> Option<(Vec<u8>, u32)> {
            let seen = self.data.borrow().clone();
            if let Some(act) = self.meanwhile.take() {
                act(self);
            }
            seen
        }

        // proxy-wasm-cpp-host: src/shared_data.cc.
        fn set(&self, bytes: &[u8], version: Option<u32>) -> bool {
            let mut data = self.data.borrow_mut();
            let known = data.as_ref().map(|(_, version)| *version);
            if version.is_some() && known.is_some() && known != version {
                return false;
            }
            *data = Some((bytes.to_vec(), known.map_or(1, |known| known.wrapping_add(1))));
            true
        }
    }

    const NOW: Duration = Duration::from_secs(10);

    #[test]
    fn reports_at_the_same_time_are_all_counted_once() {
        let host = Host::default();
        begin(&host);
        let mut sum = 0;
        for (open, in_all) in [(3, 3), (3, 3), (0, 0)] {
            host.meanwhile.set(Some(|host| assert_eq!(report(host, 2, 4, NOW), 4)));
            sum += report(&host, 1, open, NOW);
            sum += report(&host, 1, open, NOW);
            assert_eq!(sum, in_all);
            assert_eq!(report(&host, 2, 0, NOW), -4);
        }
    }

    #[test]
    fn a_list_is_made_once_and_nothing_is_reported_before() {
        let host = Host::default();
        assert_eq!(report(&host, 1, 3, NOW), 0);
        assert!(host.data.borrow().is_none());
        begin(&host);
        assert_eq!(report(&host, 1, 3, NOW), 3);
        begin(&host);
        assert_eq!(report(&host, 1, 3, NOW), 0);
    }

    #[test]
    fn a_vm_that_is_silent_no_longer_counts_until_it_reports_again() {
        let mut all = RollCall::default();
        let at = Duration::from_millis;
        assert_eq!(all.report(1, 3, at(10_000)), 3);
        assert_eq!(all.report(2, 4, at(10_000)), 4);
        assert_eq!(all.report(1, 1, at(12_000)), -2);
        all = RollCall::from_bytes(&all.to_bytes());
        assert_eq!(all.report(1, 1, at(14_999)), 0);
        assert_eq!(all.report(1, 1, at(15_000)), -4);
        assert_eq!(all.report(2, 5, at(16_000)), 5);
        assert_eq!(all.open(), 6);
    }

    #[test]
    fn bytes_of_something_else_are_read_as_far_as_they_go() {
        assert_eq!(RollCall::from_bytes(&[]), RollCall::default());
        assert_eq!(RollCall::from_bytes(&[1; ENTRY - 1]), RollCall::default());
        assert_eq!(RollCall::from_bytes(&[1; ENTRY + 1]).entries.len(), 1);
    }
}
