//! The record of a gateway's configurations in the host's shared data.
//!
//! In: configurations that VMs were given. Out: the same for every VM. What a VM makes of the record is decided in
//! [`push_log`](super).
//!
//! Three values: the last entries, the entry that was confirmed last, and the bytes of that configuration. Every write
//! names the version that was read, so that VMs that write at the same time lose nothing.

use super::Push;
use crate::hash;
use crate::shared_data::SharedData;

/// How many configurations the record holds: more than any VM lags behind.
pub(super) const KNOWN: usize = 32;
pub(super) const ENTRY: usize = 24;
/// How often a VM tries to write if other VMs write at the same time. Two attempts are enough for a few workers.
const ATTEMPTS: usize = 8;

/// A configuration that a VM took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    /// The first is 1.
    pub(super) number: u64,
    pub(super) content: Content,
    /// The module of the VM that took it.
    pub(super) module: u64,
}

/// The hash of a configuration: the same for the same bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Content(u64);

impl Content {
    /// The hash of `configuration`.
    pub fn of(configuration: &[u8]) -> Self {
        Self(hash::of(configuration))
    }
}

/// The record of one gateway.
#[derive(Debug)]
pub(super) struct Record {
    gateway: Box<str>,
}

impl Record {
    pub(super) fn of(gateway: &str) -> Self {
        Self { gateway: gateway.into() }
    }

    /// The last entries, the latest last.
    pub(super) fn entries(&self, shared: &impl SharedData) -> Vec<Entry> {
        self.versioned_entries(shared).0
    }

    /// The entry that was confirmed last.
    pub(super) fn confirmed(&self, shared: &impl SharedData) -> Option<Entry> {
        self.versioned_confirmed(shared).0
    }

    /// Finds an entry with `find`, or appends one of `module`. Returns the number of the entry, and whether it is new.
    pub(super) fn find_or_append(
        &self,
        shared: &impl SharedData,
        (content, module): (Content, u64),
        find: &dyn Fn(&[Entry]) -> Option<Entry>,
    ) -> (u64, bool) {
        let mut number = 0;
        // If all attempts fail, several VMs log the same push.
        for _ in 0..ATTEMPTS {
            let (entries, version) = self.versioned_entries(shared);
            if let Some(Entry { number, .. }) = find(&entries) {
                return (number, false);
            }
            if version.is_none() {
                // The host can compare versions only of what is there. The VM of the main thread is still alone.
                for what in ["confirmed", "configuration"] {
                    shared.set(&self.key(what), &[], None);
                }
            }
            let last = entries.last().map_or(0, |last| last.number);
            number = last.saturating_add(1);
            let kept = entries.len().saturating_sub(KNOWN.saturating_sub(1));
            let new = Entry { number, content, module };
            let all = entries.iter().skip(kept).copied().chain([new]);
            let bytes: Vec<u8> = all.flat_map(Entry::to_bytes).collect();
            if shared.set(&self.key("pushes"), &bytes, version) {
                return (number, true);
            }
        }
        (number, true)
    }

    /// Confirms an entry, and publishes the bytes of `push`, its configuration, unless a later one is confirmed.
    pub(super) fn confirm(&self, shared: &impl SharedData, entry: Entry, push: &Push) {
        for _ in 0..ATTEMPTS {
            let (known, version) = self.versioned_confirmed(shared);
            if known.is_some_and(|known| known.number >= entry.number) {
                return;
            }
            self.publish(shared, entry.number, push);
            if shared.set(&self.key("confirmed"), &entry.to_bytes(), version) {
                return;
            }
        }
    }

    /// Publishes a configuration for the VMs to which the host does not give it, unless another VM has published a later
    /// one.
    fn publish(&self, shared: &impl SharedData, number: u64, push: &Push) {
        let key = self.key("configuration");
        // For a configuration that is too large, no bytes replace the previous ones, so that no VM reads an old
        // configuration.
        let mut bytes = number.to_le_bytes().to_vec();
        bytes.extend_from_slice(push.bytes.as_deref().unwrap_or_default());
        for _ in 0..ATTEMPTS {
            let (known, version) = shared.get(&key).unzip();
            let later = known.as_deref().and_then(<[u8]>::split_first_chunk);
            let is_later = later.is_some_and(|(known, _)| u64::from_le_bytes(*known) > number);
            if is_later || shared.set(&key, &bytes, version) {
                return;
            }
        }
    }

    /// The bytes of the configuration of `entry`, if they are published.
    pub(super) fn published(&self, shared: &impl SharedData, entry: Entry) -> Option<Vec<u8>> {
        let (bytes, _) = shared.get(&self.key("configuration"))?;
        let (number, configuration) = bytes.split_first_chunk()?;
        let is_there = u64::from_le_bytes(*number) == entry.number && !configuration.is_empty();
        is_there.then(|| configuration.to_vec())
    }

    fn versioned_entries(&self, shared: &impl SharedData) -> (Vec<Entry>, Option<u32>) {
        let Some((bytes, version)) = shared.get(&self.key("pushes")) else {
            return (Vec::new(), None);
        };
        let (entries, _) = bytes.as_chunks::<ENTRY>();
        (entries.iter().filter_map(Entry::from_bytes).collect(), Some(version))
    }

    fn versioned_confirmed(&self, shared: &impl SharedData) -> (Option<Entry>, Option<u32>) {
        let Some((bytes, version)) = shared.get(&self.key("confirmed")) else {
            return (None, None);
        };
        (bytes.first_chunk().and_then(Entry::from_bytes), Some(version))
    }

    fn key(&self, what: &str) -> String {
        format!("zonegate.{}.{what}", self.gateway)
    }
}

impl Entry {
    fn to_bytes(self) -> Vec<u8> {
        [self.number, self.content.0, self.module].into_iter().flat_map(u64::to_le_bytes).collect()
    }

    fn from_bytes(bytes: &[u8; ENTRY]) -> Option<Self> {
        let (words, _) = bytes.as_chunks();
        let [number, content, module] = words.first_chunk()?.map(u64::from_le_bytes);
        Some(Self { number, content: Content(content), module })
    }
}
