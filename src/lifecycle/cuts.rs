//! Which open streams end, and when.
//!
//! In: the policy in force and the time. Out: cuts, spread over time, so that the proxies do not all reconnect at the
//! same moment. [`super::open`] has the reasons why a policy ends a stream.

use std::collections::BTreeMap;
use std::time::Duration;

use rustc_hash::FxHashMap;

use super::effect::Effect;
use super::streams::State;
use super::{Cut, Lifecycle, StreamId};
use crate::gate::{Now, has_expired};
use crate::log_line::LogLine;
use crate::metrics::Counter;

/// Which streams are to be cut, when and why.
#[derive(Debug, Default)]
pub(super) struct Cuts {
    by_time: BTreeMap<(Duration, StreamId), Cut>,
    by_stream: FxHashMap<StreamId, Duration>,
}

impl Cuts {
    fn insert(&mut self, id: StreamId, at: Duration, why: Cut) {
        self.remove(id);
        self.by_stream.insert(id, at);
        self.by_time.insert((at, id), why);
    }

    /// Removes a stream from the list: the policy spares it, or it has ended.
    pub(super) fn remove(&mut self, id: StreamId) {
        if let Some(at) = self.by_stream.remove(&id) {
            self.by_time.remove(&(at, id));
        }
    }

    fn at(&self, id: StreamId) -> Option<Duration> {
        self.by_stream.get(&id).copied()
    }

    /// Takes out the first stream whose time has come.
    fn pop_due(&mut self, now: Duration) -> Option<(StreamId, Cut)> {
        let first = self.by_time.first_entry().filter(|first| first.key().0 <= now)?;
        let ((_, id), why) = first.remove_entry();
        self.by_stream.remove(&id);
        Some((id, why))
    }
}

impl Lifecycle {
    /// Ends every open stream, for `why`, spread as the policy in force says. Without a policy, streams that are marked
    /// keep their times.
    pub(super) fn cut_all(&mut self, why: Cut, effects: &mut Vec<Effect>) {
        let passes = |state: &State| matches!(state, State::Open(_) | State::Shadowed(_));
        let has_policy = self.policies.newest().is_some();
        let all = self.streams.iter().filter(|(_, state)| passes(state));
        let all = all.filter(|(id, _)| has_policy || self.cuts.at(*id).is_none());
        let all = all.map(|(id, _)| (id, why)).collect();
        self.schedule(all, self.cut_within());
        self.cut_due(effects);
    }

    /// After a push, compares every open stream with the policy in force: ends the streams that it refuses, and spares
    /// streams that an earlier policy would have ended.
    pub(super) fn review_open(&mut self, clock: Now) {
        self.seen_wall = clock.0.or(self.seen_wall);
        let Some(policy) = self.policies.newest().cloned() else { return };
        let mut ended = Vec::new();
        let mut allowed = Vec::new();
        self.next_expiry = None;
        for (id, state) in self.streams.iter() {
            let why = match state {
                State::Open(Some(identity)) => policy.ends(identity, clock),
                State::Shadowed(shadowed) => {
                    let now_allowed = shadowed.now_allowed(&policy, clock);
                    allowed.extend(now_allowed.map(|identity| (id, identity)));
                    shadowed.ended_by(&policy, clock)
                }
                State::Open(None) | State::Held(_) | State::Answered => continue,
            };
            let expires_at = state.identity().and_then(|identity| identity.expires_at);
            self.next_expiry = earlier(self.next_expiry, expires_at);
            match why {
                Some(why) => ended.push((id, why)),
                None => self.cuts.remove(id),
            }
        }
        for (id, identity) in allowed {
            self.streams.set(id, State::Open(Some(identity)));
        }
        self.schedule(ended, policy.cut_within);
    }

    /// Ends the streams whose tokens have expired, if the policy in force says so.
    pub(super) fn review_expiry(&mut self, clock: Now) {
        let (Some(policy), Ok(now)) = (self.policies.newest().cloned(), clock.credible()) else {
            return;
        };
        if !has_expired(self.next_expiry, now, &policy) {
            return;
        }
        let mut ended = Vec::new();
        self.next_expiry = None;
        for (id, state) in self.streams.iter() {
            let Some(identity) = state.identity() else { continue };
            match policy.expires(&identity, now) {
                Some(why) => ended.push((id, why)),
                None => self.next_expiry = earlier(self.next_expiry, identity.expires_at),
            }
        }
        self.schedule(ended, Duration::ZERO);
    }

    /// Marks streams to be cut, one by one over `within`, the first at once. A stream that is already marked
    /// keeps its time, unless that is later than `within` allows.
    fn schedule(&mut self, mut ended: Vec<(StreamId, Cut)>, within: Duration) {
        ended.sort_unstable();
        let is_new = |(id, _): &&(StreamId, Cut)| self.cuts.at(*id).is_none();
        let count = ended.iter().filter(is_new).count();
        let step = within.checked_div(u32::try_from(count).unwrap_or(u32::MAX).max(1));
        let step = step.unwrap_or_default();
        let (mut next, last) = (self.ticked, self.ticked.saturating_add(within));
        for (id, why) in ended {
            let marked = self.cuts.at(id).map(|at| at.min(last));
            let at = marked.unwrap_or_else(|| {
                let at = next;
                next = next.saturating_add(step);
                at
            });
            self.cuts.insert(id, at, why);
        }
    }

    /// Cuts the streams whose time has come, as many as the host can end now.
    pub(super) fn cut_due(&mut self, effects: &mut Vec<Effect>) {
        while self.pace.has_room()
            && let Some((id, why)) = self.cuts.pop_due(self.ticked)
        {
            let Some(state) = self.streams.get(id) else { continue };
            self.pace.take();
            self.pace.forget(id);
            let identity = state.identity();
            self.streams.set(id, State::Answered);
            effects.push(Effect::Cut(id));
            effects.push(Effect::count(Counter::Cut(why)));
            if let Some(suppressed) = self.log_limit.admit(self.ticked) {
                effects.push(Effect::log(LogLine::Cut { why, identity, suppressed }));
            }
        }
    }

    fn cut_within(&self) -> Duration {
        self.policies.newest().map_or(Duration::ZERO, |policy| policy.cut_within)
    }
}

/// The earlier of two dates, either of which may be missing.
pub(super) fn earlier<T: Ord>(one: Option<T>, other: Option<T>) -> Option<T> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}
