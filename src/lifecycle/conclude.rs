//! How a stream is let in or refused.
//!
//! In: the judgement on a stream, or that its time is over. Out: its next state, and effects. [`super::judging`] has
//! the judgement.

use std::sync::Arc;

use super::cuts::earlier;
use super::effect::{Answer, Decision, Effect, Facts, Protocol};
use super::event::Step;
use super::held::HeldStream;
use super::judging::{Judged, Refused};
use super::open::Shadowed;
use super::streams::State;
use super::{Lifecycle, RequestBody, StreamId};
use crate::credential::Identity;
use crate::gate::{Caller, Claimed, Mode, Now, Permit, Refusal};
use crate::log_line::{LogLine, Origin};
use crate::metrics::{Change, Counter, Gauge, Metric, ZoneOutcome};

impl Lifecycle {
    /// Judges a held stream by the part of it that has come.
    pub(super) fn conclude(
        &mut self,
        id: StreamId,
        body: &dyn RequestBody,
        is_end: bool,
        clock: &dyn Fn() -> Now,
        effects: &mut Vec<Effect>,
    ) -> Step {
        let Some(mut stream) = self.streams.take_held(id) else { return self.step_of(id) };
        match self.judge_held(&mut stream, body, is_end, clock) {
            None => {
                self.streams.set(id, State::Held(stream));
                self.step_of(id)
            }
            Some(judged) => {
                self.held.leave(&stream);
                self.finish(id, *stream, judged, effects)
            }
        }
    }

    pub(super) fn finish(
        &mut self,
        id: StreamId,
        stream: HeldStream,
        judged: Judged,
        effects: &mut Vec<Effect>,
    ) -> Step {
        match judged {
            Judged::Allowed(permit) => self.allow(id, permit, effects),
            Judged::Refused(mut refused) => {
                let HeldStream { held, protocol, origin, .. } = stream;
                refused.token = refused.token.or_else(|| held.token().cloned());
                self.refuse(id, refused, protocol, || origin, effects)
            }
        }
    }

    pub(super) fn allow(
        &mut self,
        id: StreamId,
        permit: Permit,
        effects: &mut Vec<Effect>,
    ) -> Step {
        let (identity, caller) = match permit {
            Permit::Token { identity, caller, .. } => (Some(identity), Some(caller)),
            Permit::Unchecked(_) => (None, None),
        };
        let expires_at = identity.as_ref().and_then(|identity| identity.expires_at);
        self.next_expiry = earlier(self.next_expiry, expires_at);
        self.streams.set(id, State::Open(identity.clone()));
        match &identity {
            Some(identity) => {
                effects.push(Effect::count(Counter::Allowed));
                effects.push(Effect::count(Counter::AllowedByKey(Arc::clone(&identity.key_label))));
                if caller == Some(Caller::ControlPlane) {
                    effects.extend(self.counts_of_zone(identity));
                }
            }
            None => effects.push(Effect::count(Counter::Unchecked)),
        }
        let facts = Facts { verdict: Decision::Allow, reason: None, identity };
        effects.push(Effect::Facts(id, facts));
        Step::Continue
    }

    /// The metrics of a control plane that is let in, if its zone is one of `countZones`.
    fn counts_of_zone(&self, identity: &Identity) -> impl Iterator<Item = Effect> + use<> {
        let zone = self.counted_zone(identity.zone.as_bytes());
        let expires_at = identity.expires_at.and_then(|date| u64::try_from(date.0).ok());
        let effects = zone.map(|zone| {
            let gauge = Gauge::ZoneTokenExpiresAt(Arc::clone(&zone));
            [
                Effect::count(Counter::Zone(zone, ZoneOutcome::Allowed)),
                Effect::Change(Metric::Gauge(gauge), Change::Set(expires_at.unwrap_or_default())),
            ]
        });
        effects.into_iter().flatten()
    }

    fn counted_zone(&self, zone: &[u8]) -> Option<Arc<str>> {
        self.policies.newest()?.counted_zone(zone).cloned()
    }

    /// Answers a stream with a refusal. In shadow mode the stream passes, and the refusal is only counted.
    pub(super) fn refuse(
        &mut self,
        id: StreamId,
        refused: Refused,
        protocol: Protocol,
        origin: impl FnOnce() -> Origin,
        effects: &mut Vec<Effect>,
    ) -> Step {
        let Refused { denial, mode, detail, claimed, token } = refused;
        let reason = denial.refusal.reason();
        let (verdict, step) = match mode {
            Mode::Enforce => (Decision::Deny, Step::Pause),
            Mode::Shadow => (Decision::WouldDeny, Step::Continue),
        };
        let identity = denial.token.as_ref().map(|token| Arc::clone(&token.identity));
        effects.push(Effect::count(Counter::Denied(mode, reason)));
        if let Some(Claimed::ControlPlane(zone)) = &claimed
            && let Some(zone) = self.counted_zone(zone)
        {
            effects.push(Effect::count(Counter::Zone(zone, ZoneOutcome::Denied(mode))));
        }
        effects.push(Effect::Facts(id, Facts { verdict, reason: Some(reason), identity }));
        match mode {
            Mode::Enforce => {
                let message = denial.refusal.message(detail);
                let answer = Answer { protocol, status: reason.status(), message };
                effects.push(Effect::Answer(id, answer));
                self.streams.set(id, State::Answered);
            }
            Mode::Shadow => {
                let shadowed = Shadowed::new(token, claimed);
                let expires_at = shadowed.identity().and_then(|identity| identity.expires_at);
                self.next_expiry = earlier(self.next_expiry, expires_at);
                self.streams.set(id, State::Shadowed(Box::new(shadowed)));
            }
        }
        if let Some(suppressed) = self.log_limit.admit(self.ticked) {
            let origin = origin();
            let line = LogLine::Refused { stream: id, mode, denial, origin, suppressed };
            effects.push(Effect::log(line));
        }
        step
    }

    /// Refuses a held stream. Returns what the host does with the stream, and whether the host kept the body.
    pub(super) fn refuse_held(
        &mut self,
        id: StreamId,
        refusal: &Refusal,
        effects: &mut Vec<Effect>,
    ) -> Option<(Step, bool)> {
        let stream = self.streams.take_held(id)?;
        self.held.leave(&stream);
        let is_kept = stream.body.is_kept();
        let judged = self.judge_by(stream.also_by, |_| Err(refusal.clone().into()), None);
        Some((self.finish(id, *stream, judged, effects), is_kept))
    }

    /// As [`Self::refuse_held`], outside the stream's own callback. If the host can end no more streams now, the client
    /// is told later.
    fn refuse_other(&mut self, id: StreamId, refusal: &Refusal, effects: &mut Vec<Effect>) {
        let bytes = self.streams.held_mut(id).map_or(0, |stream| stream.weight());
        let (has_room, first) = (self.pace.take(), effects.len());
        if let Some((Step::Continue, true)) = self.refuse_held(id, refusal, effects) {
            effects.push(Effect::Resume(id));
        }
        let ends = |effect: &mut Effect| matches!(effect, Effect::Answer(..) | Effect::Resume(_));
        if !has_room && let Some(effect) = effects.extract_if(first.., ends).next() {
            self.pace.put_off(id, effect, bytes);
        }
    }

    /// Refuses the held streams whose time is over, as many as the host can end now. Without a policy it is over for all
    /// of them.
    pub(super) fn refuse_overdue(&mut self, effects: &mut Vec<Effect>) {
        if !self.pace.has_room() {
            return;
        }
        let policy = self.policies.newest().cloned();
        let mut overdue = Vec::new();
        for (id, stream) in self.streams.all_held_mut() {
            // Without this it has come since the last tick.
            let Some(since) = stream.since else { continue };
            let refusal = match &policy {
                Some(policy) => policy.overdue(self.ticked.saturating_sub(since)),
                None => Some(Refusal::PolicyUnavailable),
            };
            overdue.extend(refusal.map(|refusal| (id, refusal)));
        }
        overdue.sort_unstable_by_key(|(id, _)| *id);
        for (id, refusal) in overdue {
            if !self.pace.has_room() {
                return;
            }
            self.refuse_other(id, &refusal, effects);
        }
    }

    /// Refuses streams until the others are within the limit: first the stranger that has waited longest, and without
    /// strangers the stream that has. `id` is the stream of the callback. It loses itself if the host still holds too much
    /// for those that have lost.
    pub(super) fn shed(&mut self, id: StreamId, effects: &mut Vec<Effect>) {
        while self.held.is_over()
            && let Some(first) = self.held.first()
        {
            match first == id || self.is_crowded(id) {
                true => drop(self.refuse_held(id, &Refusal::Overloaded, effects)),
                false => self.refuse_other(first, &Refusal::Overloaded, effects),
            }
        }
    }

    fn is_crowded(&self, id: StreamId) -> bool {
        match self.streams.get(id) {
            Some(State::Held(stream)) => self.pace.bytes() >= stream.lost_at_most(),
            _ => false,
        }
    }

    /// What the host does with a stream in its present state.
    pub(super) fn step_of(&self, id: StreamId) -> Step {
        match self.streams.get(id) {
            Some(State::Open(_) | State::Shadowed(_)) => Step::Continue,
            Some(State::Held(stream)) if !stream.body.is_kept() => Step::Continue,
            // A stream that was not judged does not pass.
            Some(State::Held(_) | State::Answered) | None => Step::Pause,
        }
    }
}
