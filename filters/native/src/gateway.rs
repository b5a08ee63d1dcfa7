//! A gateway of the process: the policies that Envoy has handed over for it, shared by all workers.
//!
//! In: policies, as the main thread reads them. Out: the policies that a worker has not seen yet. The core applies a
//! policy to the streams of a worker.
//!
//! A gateway is known by the name of its filter, so two filters in one Envoy must have two names.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use zonegate::gate::Policy;
use zonegate::lifecycle::EARLIER_BYTES;
use zonegate::metrics::{Change, Labels, Metric};

/// The number of a configuration of the gateway; a later configuration has a greater number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Number(u64);

/// A limit that is larger than the number of keys and zones of any control plane.
const MOST_LABELS: usize = 10_000;

/// A gateway.
#[derive(Debug)]
pub(crate) struct Gateway {
    pub(crate) name: Box<str>,
    /// Changes whenever there is something new.
    version: AtomicU64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The latest last.
    entries: Vec<Entry>,
    last: u64,
    /// The labels of all policies so far. Envoy forgets a metric that no configuration defines.
    labels: Labels,
    /// The metrics that could not be changed on the main thread.
    uncounted: Vec<(Metric, Change)>,
}

/// One configuration.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) number: Number,
    pub(crate) policy: Push,
    /// Whether Envoy has taken it. Before that, Envoy may refuse the listener that contains it.
    stands: bool,
}

/// A policy that a worker puts in force.
#[derive(Debug, Clone)]
pub(crate) enum Push {
    /// A policy that Envoy handed over.
    Policy(Arc<Policy>),
    /// Such a policy, no longer kept.
    NotKept,
    /// A policy that Envoy handed over to another copy of the library.
    Elsewhere(Arc<Policy>),
    /// Such a policy, if this copy cannot read it.
    Unreadable,
}

/// All gateways of the process.
static GATEWAYS: Mutex<Vec<Arc<Gateway>>> = Mutex::new(Vec::new());

impl Gateway {
    /// The gateway of this name.
    pub(crate) fn of(name: &str) -> Arc<Self> {
        let mut all = GATEWAYS.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = all.iter().find(|gateway| *gateway.name == *name) {
            return Arc::clone(known);
        }
        let (version, state) = (AtomicU64::new(0), Mutex::default());
        let new = Arc::new(Self { name: name.into(), version, state });
        all.push(Arc::clone(&new));
        new
    }

    /// These labels, and all earlier ones.
    pub(crate) fn all_labels(&self, new: Labels) -> Labels {
        let mut state = self.state();
        add_some(&mut state.labels.keys, new.keys);
        add_some(&mut state.labels.zones, new.zones);
        state.labels.clone()
    }

    /// Takes a policy that Envoy hands over. Envoy may still refuse it.
    pub(crate) fn add(&self, policy: Policy) -> Number {
        self.state().add(Push::Policy(Arc::new(policy)), false)
    }

    /// Envoy has taken this policy, which is in force from now on. `false` if it was in force already.
    pub(crate) fn stand(&self, number: Number) -> bool {
        let mut state = self.state();
        let later = |entry: &Entry| entry.stands && entry.number >= number;
        if state.entries.iter().any(later) {
            return false;
        }
        // A policy is never the newest if Envoy takes it after a policy that was added later.
        let earlier = state.entries.iter_mut().filter(|entry| entry.number <= number);
        earlier.for_each(|entry| entry.stands = true);
        state.entries.retain(|entry| {
            !matches!(entry.policy, Push::Elsewhere(_) | Push::Unreadable) || entry.number > number
        });
        state.keep_few();
        self.changed();
        true
    }

    /// Envoy begins no more streams under this policy.
    pub(crate) fn remove(&self, number: Number) {
        self.state().entries.retain(|entry| entry.number != number);
        self.changed();
    }

    /// Envoy gave another copy of the library this policy, or a policy that this copy cannot read (`None`). Returns
    /// whether that matters here.
    pub(crate) fn push_elsewhere(&self, policy: Option<Policy>) -> bool {
        let mut state = self.state();
        let is_ours = |entry: &Entry| matches!(entry.policy, Push::Policy(_) | Push::NotKept);
        state.entries.retain(is_ours);
        if state.entries.is_empty() {
            return false;
        }
        let push = policy.map_or(Push::Unreadable, |policy| Push::Elsewhere(Arc::new(policy)));
        state.add(push, true);
        self.changed();
        true
    }

    /// Stores metrics for a worker to change.
    pub(crate) fn count_later(&self, changes: impl IntoIterator<Item = (Metric, Change)>) {
        self.state().uncounted.extend(changes);
        self.changed();
    }

    /// Takes these metrics.
    pub(crate) fn take_uncounted(&self) -> Vec<(Metric, Change)> {
        std::mem::take(&mut self.state().uncounted)
    }

    /// Changes whenever there is something new.
    pub(crate) fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// The configurations that Envoy has taken, the latest last.
    pub(crate) fn entries(&self) -> Vec<Entry> {
        self.state().entries.iter().filter(|entry| entry.stands).cloned().collect()
    }

    fn changed(&self) {
        self.version.fetch_add(1, Ordering::Release);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No operation leaves the state half changed, so a poisoned lock is safe to use.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn add_some(labels: &mut BTreeSet<Box<str>>, new: BTreeSet<Box<str>>) {
    for label in new {
        if labels.len() < MOST_LABELS {
            labels.insert(label);
        }
    }
}

impl State {
    fn add(&mut self, policy: Push, stands: bool) -> Number {
        self.last = self.last.saturating_add(1);
        let number = Number(self.last);
        self.entries.push(Entry { number, policy, stands });
        number
    }

    /// Keeps the newest policy that Envoy has taken, the policy before it, and as many earlier ones as fit the limit, like
    /// the lifecycle of each worker. No stream may begin under a policy that is not kept.
    fn keep_few(&mut self) {
        let mut bytes = 0_usize;
        let earlier = self.entries.iter_mut().rev().filter(|entry| entry.stands).skip(2);
        for entry in earlier {
            let Push::Policy(policy) = &entry.policy else { continue };
            bytes = bytes.saturating_add(policy.bytes());
            if bytes > EARLIER_BYTES {
                entry.policy = Push::NotKept;
            }
        }
    }
}
