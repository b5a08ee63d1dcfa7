//! Which configurations a gateway was given, as all VMs of a host see it.
//!
//! In: each configuration that a VM takes. Out: whether this VM is the first to take it, so that only one VM
//! logs and counts a push; and a newer configuration that other VMs took and this VM was not given.
//!
//! There are two cases in which Envoy does not give a VM a new configuration. First, another module serves the
//! gateway now: open streams stay in the VM of the previous module, and nobody tells that VM of pushes. Second,
//! the VM had this configuration before, and streams that began under it are still open: Envoy reuses its root
//! context. But the VM on Envoy's main thread has no streams. Envoy gives it every push, or reuses a root context
//! there too and later drops all others (by LDS, when the old listener is drained). So a VM without streams publishes
//! its configuration in the host's shared data. It waits for a tick first, because Envoy may still refuse a
//! configuration after it has asked a VM. A worker that is only late reads there the configuration that the host is
//! about to give it anyway.
//!
//! One case is left: by LDS another module was given a configuration, and then this module its last one again, the
//! same byte for byte. No VM of this module is told, so its streams must satisfy both until the next push that differs.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crate::shared_data::SharedData;
use record::{Entry, KNOWN, Record};

pub use record::Content;

mod record;

/// The largest configuration that is published in shared data: some 28,000 revoked ids.
pub const PUBLISHED_BYTES: usize = 1024 * 1024;
/// How long a VM may wait for a configuration that is too large to be published. After that, the VM is taken for
/// one to which the host gives no more configurations.
const LATE: Duration = Duration::from_secs(30);
/// For how many ticks a new VM may be behind the last entry of its module. After that it is no late worker: the VMs of
/// its module are new, and those before had the same sources.
const TICKS_BEHIND: u8 = 5;
/// For how many ticks a VM waits with [`PushLog::settle`] while the newest entry is of another module and not confirmed.
/// The VM that recorded it confirms it within a tick, unless Envoy has taken it back.
const TICKS_PENDING: u8 = 50;

/// What one VM knows about the configurations of a gateway.
#[derive(Debug)]
pub struct PushLog {
    record: Record,
    /// The module of this VM.
    module: u64,
    /// The configurations that the host gave and has not dropped, the latest last.
    taken: Vec<Taken>,
    /// The latest number of a configuration that the host has dropped, and has not taken back.
    dropped: u64,
    /// The number of the last configuration that was found here, since the host gave one.
    found: u64,
    /// The number of the last entry when the host gave a configuration that this VM refused.
    refused: u64,
    /// An entry of another module that is not confirmed, and for how many ticks it has been the newest.
    pending: (u64, u8),
    /// The ticks since this new VM was given a configuration that another one of its module follows in the log.
    behind: Option<u8>,
    /// Since when a newer configuration is known that was not published.
    late_since: Option<Duration>,
    /// The hashes of what the host gave, the latest last: at most as many as are in the record.
    contents: VecDeque<Content>,
}

/// A configuration that the host gave.
#[derive(Debug)]
struct Taken {
    /// The number of its entry; the first is 1.
    number: u64,
    /// The configuration, until a later one is given or it is confirmed.
    unconfirmed: Option<Push>,
    /// [`PushLog::found`] before it was given.
    found: u64,
}

/// What other VMs need to know about a configuration.
#[derive(Debug, Clone)]
pub struct Push {
    content: Content,
    /// Its bytes, if they are few enough to be published.
    bytes: Option<Arc<[u8]>>,
}

impl Push {
    /// The hash of its bytes.
    pub fn content(&self) -> Content {
        self.content
    }

    /// The record of `configuration`.
    pub fn of(configuration: &[u8]) -> Self {
        let is_small = configuration.len() <= PUBLISHED_BYTES;
        Self { content: Content::of(configuration), bytes: is_small.then(|| configuration.into()) }
    }

    /// Drops the bytes, so that they are not published.
    pub fn forget_bytes(&mut self) {
        self.bytes = None;
    }
}

/// A configuration that is newer than the last one taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Newer {
    /// This VM still has its policy: the host went back to it.
    Known(Content),
    /// Its bytes, as the host would have given them.
    Configuration(Vec<u8>),
    /// It was not published, and the host has not given it yet.
    Awaited,
    /// It was not published, and the host does not give it either.
    Unknown,
}

/// Whether the only configuration that a VM has left is in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// It is.
    Yes,
    /// The gateway is served with a configuration that this VM was not given.
    No,
    /// It is too early to say.
    NotYet,
}

impl PushLog {
    /// A log without configurations, of a VM of `module`.
    pub fn new(gateway: &str, module: u64) -> Self {
        Self {
            record: Record::of(gateway),
            module,
            taken: Vec::new(),
            dropped: 0,
            found: 0,
            refused: 0,
            pending: (0, 0),
            behind: None,
            contents: VecDeque::new(),
            late_since: None,
        }
    }

    /// The number of the last configuration that the host gave, and has not taken back; 0 if there is none.
    fn given(&self) -> u64 {
        self.taken.last().map_or(0, |taken| taken.number).max(self.dropped)
    }

    /// Records a configuration that the host gives. Returns whether this VM is the first to take it.
    pub fn take(&mut self, shared: &impl SharedData, push: &Push) -> bool {
        if self.contents.len() >= KNOWN {
            self.contents.pop_front();
        }
        self.contents.push_back(push.content);
        let (given, module) = (self.given(), self.module);
        // The VM may be late. But a module that serves again is given a new push: what a new VM is given is not one
        // that was followed by another module's, nor by a confirmed one.
        let is_first = given == 0;
        let confirmed =
            self.record.confirmed(shared).filter(|_| is_first).map_or(0, |one| one.number);
        let is_own = |one: &&Entry| one.module == module;
        let is_it = |one: &&Entry| one.number > given && one.content == push.content;
        let (number, is_recorded) = self.record(shared, push, &|entries| match is_first {
            true => {
                let last = entries.iter().rev().take_while(is_own);
                last.take_while(|one| one.number >= confirmed).find(is_it).copied()
            }
            false => entries.iter().filter(is_own).find(is_it).copied(),
        });
        // A late worker may have found an entry here that the host gives it only later. It must find that entry again,
        // because this configuration is in force meanwhile.
        let found = std::mem::take(&mut self.found);
        self.taken.push(Taken { number, unconfirmed: Some(push.clone()), found });
        (self.late_since, self.behind) = (None, None);
        if is_first && self.record.entries(shared).last().is_some_and(|last| last.number > number) {
            self.behind = Some(0);
        }
        is_recorded
    }

    /// Records that the host has dropped all configurations but this one. The host may have gone back to it without
    /// giving it anew, and a late VM may have recorded an earlier configuration after it.
    pub fn settle(&mut self, shared: &impl SharedData, push: &Push) -> Settled {
        let Some(serves) = self.record.confirmed(shared) else { return Settled::NotYet };
        let is_ours =
            |one: &Entry| one.module == self.module && self.contents.contains(&one.content);
        if !is_ours(&serves) {
            return Settled::No;
        }
        let entries = self.record.entries(shared);
        let pending = entries.iter().rfind(|one| one.number > serves.number && !is_ours(one));
        let number = pending.map_or(0, |pending| pending.number);
        let ticks = if self.pending.0 == number { self.pending.1 } else { 0 };
        self.pending = (number, ticks.saturating_add(1));
        if number > 0 && ticks < TICKS_PENDING {
            return Settled::NotYet;
        }
        self.record_as_last(shared, push.clone());
        Settled::Yes
    }

    fn record_as_last(&mut self, shared: &impl SharedData, push: Push) {
        let module = self.module;
        let is_it = |last: &&Entry| last.content == push.content && last.module == module;
        let (number, _) =
            self.record(shared, &push, &|entries| entries.last().filter(is_it).copied());
        if let Some(last) = self.taken.last_mut() {
            (last.number, last.unconfirmed) = (number, Some(push));
        }
    }

    /// Records `push` as the entry that `find` finds, or as a new one. Returns the number of the entry, and whether it is
    /// new.
    fn record(
        &self,
        shared: &impl SharedData,
        push: &Push,
        find: &dyn Fn(&[Entry]) -> Option<Entry>,
    ) -> (u64, bool) {
        self.record.find_or_append(shared, (push.content, self.module), find)
    }

    /// The last configuration that is not confirmed. Those before it will not be confirmed any more.
    fn take_unconfirmed(&mut self) -> Option<(u64, Push)> {
        let mut last = None;
        for taken in &mut self.taken {
            last = taken.unconfirmed.take().map(|push| (taken.number, push)).or(last);
        }
        last
    }

    /// Publishes the configuration that was given last. To be called if Envoy has not taken it back, and this VM
    /// has no streams: then this is the VM of Envoy's main thread, or of a worker to which Envoy has just given
    /// the current configuration. (A VM that was restarted for a stream of an old listener would be given an old
    /// configuration.)
    pub fn confirm(&mut self, shared: &impl SharedData) {
        if let Some(ticks) = &mut self.behind {
            *ticks = ticks.saturating_add(1);
            if *ticks < TICKS_BEHIND {
                return;
            }
            self.behind = None;
            if let Some((_, push)) = self.take_unconfirmed() {
                self.record_as_last(shared, push);
            }
        }
        let Some((number, push)) = self.take_unconfirmed() else { return };
        let entry = Entry { number, content: push.content, module: self.module };
        self.record.confirm(shared, entry, &push);
    }

    /// The host drops the configuration at `place` among those that it gave and has not dropped. Returns whether the host
    /// has taken it back: nobody has confirmed it or a later one, so that the one before it never ceased to be the newest.
    pub fn forget(&mut self, shared: &impl SharedData, place: usize) -> bool {
        if place >= self.taken.len() {
            return false;
        }
        let Taken { number, found, .. } = self.taken.remove(place);
        let is_confirmed =
            self.record.confirmed(shared).is_some_and(|confirmed| confirmed.number >= number);
        match (is_confirmed, self.taken.get_mut(place)) {
            (true, _) => self.dropped = self.dropped.max(number),
            (false, Some(next)) => next.found = next.found.max(found),
            (false, None) => self.found = self.found.max(found),
        }
        !is_confirmed
    }

    /// Publishes no configuration that was given so far: the last one may be an old one.
    pub fn leave_unconfirmed(&mut self) {
        drop(self.take_unconfirmed());
    }

    /// Whether a VM has confirmed the configuration that was given last, or a later one.
    pub fn is_confirmed(&self, shared: &impl SharedData) -> bool {
        self.record.confirmed(shared).is_some_and(|known| known.number >= self.given())
    }

    /// The hash of the newest confirmed configuration, and its bytes if they were published.
    pub fn newest(&self, shared: &impl SharedData) -> Option<(Content, Option<Vec<u8>>)> {
        let confirmed = self.record.confirmed(shared)?;
        Some((confirmed.content, self.record.published(shared, confirmed)))
    }

    /// The host gave a configuration that this VM refused. The VM does not read the newest published
    /// configuration after that, because it may be the refused one.
    pub fn refuse(&mut self, shared: &impl SharedData) {
        let entries = self.record.entries(shared);
        self.refused = entries.last().map_or(self.refused, |last| last.number);
    }

    /// A confirmed configuration that is newer than the last one that this VM was given. `has` says whether this VM
    /// still has the policy of a configuration. `now` is on a clock that cannot go back.
    pub fn newer(
        &mut self,
        shared: &impl SharedData,
        now: Duration,
        has: impl Fn(Content) -> bool,
    ) -> Option<Newer> {
        let newest = self.record.confirmed(shared);
        let newest = newest
            .filter(|newest| newest.number > self.given().max(self.found).max(self.refused))?;
        let found = match has(newest.content) {
            true => Some(Newer::Known(newest.content)),
            false => self.record.published(shared, newest).map(Newer::Configuration),
        };
        let since = *self.late_since.get_or_insert(now);
        if found.is_none() && now.saturating_sub(since) < LATE {
            return Some(Newer::Awaited);
        }
        (self.found, self.late_since) = (newest.number, None);
        Some(found.unwrap_or(Newer::Unknown))
    }

    /// Whether the configuration in force was found here, after the last one that the host gave.
    pub fn is_found(&self) -> bool {
        self.found > self.given()
    }
}

#[cfg(test)]
mod tests;
