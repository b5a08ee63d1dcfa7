//! The life of the connections of one gateway on one worker.
//!
//! In: events of the host (a policy was pushed, headers, pieces of a body, trailers, the end of a stream, a tick) and
//! its clocks. Out: a [`Step`] for the stream of the event, and [`Effect`]s, each of which names its stream. No I/O, no
//! clock, no thread: a host drives it.
//!
//! ```text
//!              ┌──────────────┐ allowed                         ┌────────┐ revoked, key removed,
//!  headers ───▶│    judge     │────────────────────────────────▶│  open  │ expired ──────▶ cut ─▶ answered
//!              └──────────────┘                                 └────────┘
//!                │  │ hold                                          ▲ ▲
//!                │  ▼                                               │ │ a push that allows it
//!                │ ┌──────────────┐ message whole, allowed          │ │
//!                │ │     held     │─────────────────────────────────┘ │
//!                │ └──────────────┘                                 ┌──────────┐ a push that enforces
//!                │  │ refused, late, cut off, too much held         │ shadowed │ ──────▶ cut ─▶ answered
//!                │  │             └── in shadow mode ──────────────▶└──────────┘
//!        refused ▼  ▼                                                   ▲
//!              ┌──────────────┐                                         │
//!              │   answered   │   (refused by the headers in shadow mode)
//!              └──────────────┘
//! ```
//!
//! Every state ends with the end of its stream. These rules always hold:
//!
//! - One policy is in force, the newest that the host handed over. A stream is judged by the policy that is in force at
//!   that moment. An open stream belongs to no policy. (A stream that the host begins under an earlier policy must
//!   satisfy the earlier policy, too: see [`policies`].)
//! - A held stream is answered at the first tick after `firstMessageSeconds`, or soon after it if the host can end no more
//!   streams in that tick.
//! - A stream is answered at most once.
//! - [`Gauges`] are the numbers of open, held and shadowed streams.
//! - The memory of all held streams is bounded: [`HELD_BYTES`]. An open stream keeps an
//!   [`Identity`](crate::credential::Identity).

mod census;
mod conclude;
mod cuts;
mod effect;
mod event;
mod headers_alone;
mod held;
mod judging;
mod open;
mod pace;
mod policies;
mod streams;

use std::sync::Arc;
use std::time::Duration;

pub use effect::{Answer, Decision, Effect, Facts, Gauges, Protocol};
pub use event::{Clocks, PolicyNumber, Request, RequestBody, Step, StreamId};
pub use held::HELD_BYTES;
pub use open::Cut;
pub use policies::EARLIER_BYTES;

use crate::credential::TokenCache;
use crate::gate::{Holding, Now, Policy, Refusal, RequestError, UnixTime};
use crate::log_line::{LogLine, Origin, RateLimit};
use crate::token::NumericDate;
use census::Census;
use cuts::Cuts;
use held::{HeldStream, HeldTotal};
use judging::{HeadersJudged, Judged};
use pace::Pace;
use policies::Policies;
use streams::{State, Streams};

/// The connections of one gateway on one worker.
#[derive(Debug, Default)]
pub struct Lifecycle {
    policies: Policies,
    streams: Streams,
    held: HeldTotal,
    cuts: Cuts,
    pace: Pace,
    /// No token of a stream that passes expires before this time.
    next_expiry: Option<NumericDate>,
    /// The time of day at the last tick or review of the open streams.
    seen_wall: Option<UnixTime>,
    cache: TokenCache,
    log_limit: RateLimit,
    /// The monotonic time of the last tick or push.
    ticked: Duration,
    /// Whether the host went back to an earlier policy since the last tick.
    went_back: bool,
    had_streams: bool,
    census: Census,
}

impl Lifecycle {
    /// For a host that ends no other stream in the callback of a stream, and only so many in a tick (and as many again if
    /// a push comes in the same callback). If [`Self::is_behind`] says so, the host calls [`Self::on_more`] soon.
    pub fn ending_at_most(most: usize) -> Self {
        Self { pace: Pace::of(most), ..Self::default() }
    }

    /// The host hands over a policy, which is in force from now on. The streams that it ends are cut, the first at
    /// once.
    pub fn on_policy(
        &mut self,
        policy: Arc<Policy>,
        now: Clocks,
        effects: &mut Vec<Effect>,
    ) -> PolicyNumber {
        self.pace.begin_push();
        self.ticked = self.ticked.max(now.monotonic);
        let number = self.policies.push(policy);
        self.review_open(now.wall);
        self.cut_due(effects);
        number
    }

    /// The host has gone back to a policy that it handed over before, which is in force from now on. Does nothing if
    /// the policy is not kept.
    pub fn on_policy_again(
        &mut self,
        number: PolicyNumber,
        now: Clocks,
        effects: &mut Vec<Effect>,
    ) {
        self.pace.begin_push();
        self.ticked = self.ticked.max(now.monotonic);
        if self.policies.go_back(number) {
            effects.push(Effect::log(LogLine::WentBack));
            self.review_open(now.wall);
            self.cut_due(effects);
        }
    }

    /// Whether the policy of this number is kept.
    pub fn has(&self, number: PolicyNumber) -> bool {
        self.policies.earlier(number).is_ok()
    }

    /// Puts a policy in force that belongs to no configuration of the host.
    pub fn on_policy_from_elsewhere(
        &mut self,
        policy: Arc<Policy>,
        now: Clocks,
        effects: &mut Vec<Effect>,
    ) {
        self.pace.begin_push();
        self.ticked = self.ticked.max(now.monotonic);
        self.policies.push_from_elsewhere(policy);
        self.review_open(now.wall);
        self.cut_due(effects);
    }

    /// Puts a policy in force under the number of a configuration of the host, whose policy was not kept.
    pub fn on_policy_anew(
        &mut self,
        number: PolicyNumber,
        policy: Arc<Policy>,
        now: Clocks,
        effects: &mut Vec<Effect>,
    ) {
        self.pace.begin_push();
        self.ticked = self.ticked.max(now.monotonic);
        self.policies.push_anew(number, policy);
        self.review_open(now.wall);
        self.cut_due(effects);
    }

    /// There is a newer policy that is not handed over yet. No stream is let in until it is handed over, or until the
    /// host goes back to another policy.
    pub fn on_policy_awaited(&mut self) {
        self.policies.await_newer();
    }

    /// There is a newer policy that nobody can hand over. No stream is let in any more, and every open stream is cut,
    /// for `why`.
    pub fn on_policy_lost(&mut self, why: Cut, now: Clocks, effects: &mut Vec<Effect>) {
        self.pace.begin_push();
        self.ticked = self.ticked.max(now.monotonic);
        self.cut_all(why, effects);
        self.policies.clear();
    }

    /// The host begins no more streams under this policy. If this is the policy in force, the host has gone back to an
    /// earlier policy, if there is one. The streams that the earlier policy ends are cut at the next tick.
    pub fn on_policy_dropped(&mut self, number: PolicyNumber) {
        self.went_back |= self.policies.forget(number);
    }

    /// The host has taken back the policy that it handed over last. The policy before it is in force again. The streams
    /// that this ends are cut at the next tick.
    pub fn on_policy_taken_back(&mut self, number: PolicyNumber) {
        self.went_back |= self.policies.take_back(number);
    }

    /// The host begins no more streams here under this policy, but others of its workers still do. If it is in force, it
    /// stays in force.
    pub fn on_policy_dropped_here(&mut self, number: PolicyNumber) {
        self.policies.keep_in_force(number);
    }

    /// The host begins streams under this policy alone: it is in force. What it ends is cut at the next tick.
    pub fn on_policy_alone(&mut self, number: PolicyNumber) {
        self.went_back |= self.policies.go_back(number);
    }

    /// Whether a stream ever began.
    pub fn had_streams(&self) -> bool {
        self.had_streams
    }

    /// The policy in force.
    pub fn policy(&self) -> Option<&Arc<Policy>> {
        self.policies.newest()
    }

    /// The number of the policy in force.
    pub fn policy_number(&self) -> Option<PolicyNumber> {
        self.policies.newest_number()
    }

    /// How many streams are in each state.
    pub fn gauges(&self) -> Gauges {
        self.streams.gauges()
    }

    /// The memory of the held streams together, in bytes.
    pub fn held_bytes(&self) -> usize {
        self.held.bytes()
    }

    /// How many streams have begun and not ended, in whatever state.
    pub fn streams(&self) -> usize {
        self.streams.len()
    }

    /// The headers of a stream have come.
    pub fn on_headers(
        &mut self,
        request: &Request<'_>,
        clock: Now,
        effects: &mut Vec<Effect>,
    ) -> Step {
        let id = request.stream;
        self.had_streams = true;
        self.pace.begin_stream(id, effects);
        let by = self.policies.judged_by(request.under);
        let protocol = if request.head.is_grpc() { Protocol::Grpc } else { Protocol::Http };
        let origin = || Origin::new(request.head.path, request.request_id);
        match self.judge_headers(by, request, clock) {
            HeadersJudged::Now(Judged::Allowed(permit)) => self.allow(id, permit, effects),
            HeadersJudged::Now(Judged::Refused(refused)) => {
                self.refuse(id, refused, protocol, origin, effects)
            }
            HeadersJudged::Hold { held, also_by, body, holding } => {
                let bytes = request.header_bytes;
                let stream = HeldStream::new(held, also_by, body, bytes, protocol, origin());
                self.hold(request, stream, holding, clock, effects)
            }
        }
    }

    /// Another piece of a body has come. `is_end` if it is the last and no trailers follow. The clock is read only if
    /// the stream is judged, so a message on an open stream does not cost a read.
    pub fn on_body(
        &mut self,
        id: StreamId,
        body: &dyn RequestBody,
        is_end: bool,
        clock: &dyn Fn() -> Now,
        effects: &mut Vec<Effect>,
    ) -> Step {
        self.pace.begin_stream(id, effects);
        self.on_piece(id, body, is_end, clock, effects)
    }

    fn on_piece(
        &mut self,
        id: StreamId,
        body: &dyn RequestBody,
        is_end: bool,
        clock: &dyn Fn() -> Now,
        effects: &mut Vec<Effect>,
    ) -> Step {
        let Some(stream) = self.streams.held_mut(id) else { return self.step_of(id) };
        self.held.grow(stream, body);
        let step = self.conclude(id, body, is_end, clock, effects);
        if self.held.is_over() {
            self.shed(id, effects);
            return self.step_of(id);
        }
        step
    }

    /// The trailers of a stream have come, and with them its end.
    pub fn on_trailers(&mut self, id: StreamId, effects: &mut Vec<Effect>) -> Step {
        self.pace.begin_stream(id, effects);
        let refusal = Refusal::MalformedRequest(RequestError::Incomplete);
        match self.refuse_held(id, &refusal, effects) {
            Some((step, _)) => step,
            None => self.step_of(id),
        }
    }

    /// A stream has ended, whoever ended it.
    pub fn on_end(&mut self, id: StreamId) {
        self.cuts.remove(id);
        self.pace.forget(id);
        if let Some(State::Held(stream)) = self.streams.remove(id) {
            self.held.leave(&stream);
        }
    }

    /// Time has passed. To be called about ten times a second.
    pub fn on_tick(&mut self, now: Clocks, effects: &mut Vec<Effect>) {
        self.pace.begin_tick();
        self.ticked = self.ticked.max(now.monotonic);
        if std::mem::take(&mut self.went_back) {
            effects.push(Effect::log(LogLine::WentBack));
            self.review_open(now.wall);
        }
        // A rule that had ended by the wrong clock may count again.
        if self.seen_wall.zip(now.wall.0).is_some_and(|(seen, now)| now < seen) {
            self.review_open(now.wall);
        }
        self.seen_wall = now.wall.0.or(self.seen_wall);
        for (_, stream) in self.streams.all_held_mut() {
            stream.since.get_or_insert(self.ticked);
        }
        self.review_expiry(now.wall);
        self.end_others(effects);
        self.take_census(now);
    }

    /// Whether there may be streams to end for which there was no room before.
    pub fn is_behind(&self) -> bool {
        self.pace.is_behind()
    }

    /// Ends streams for which there was no room before, by the time of the last tick. To be called outside the callback of
    /// any stream.
    pub fn on_more(&mut self, effects: &mut Vec<Effect>) {
        self.pace.begin_tick();
        self.end_others(effects);
    }

    /// Cuts come first: no flood of strangers may put off a revocation.
    fn end_others(&mut self, effects: &mut Vec<Effect>) {
        self.cut_due(effects);
        self.pace.catch_up(effects);
        self.refuse_overdue(effects);
    }

    fn hold(
        &mut self,
        request: &Request<'_>,
        mut stream: HeldStream,
        holding: Holding,
        clock: Now,
        effects: &mut Vec<Effect>,
    ) -> Step {
        let id = request.stream;
        if let Err(refusal) = clock.credible() {
            let judged = self.judge_by(stream.also_by, |_| Err(refusal.clone().into()), None);
            return self.finish(id, stream, judged, effects);
        }
        // Later filters judge the headers, so the facts must say now that the stream is not judged yet.
        if !stream.body.is_kept() || holding == Holding::Body {
            effects.push(Effect::Facts(id, Facts::pending()));
        }
        self.held.enter(id, &mut stream);
        self.streams.set(id, State::Held(Box::new(stream)));
        if request.is_end {
            return self.on_piece(id, &NoBody, true, &|| clock, effects);
        }
        if self.held.is_over() {
            self.shed(id, effects);
        }
        match (holding, self.streams.held_mut(id)) {
            // The body stays, from its first piece on.
            (Holding::Body, Some(_)) => Step::Continue,
            (Holding::Body, None) | (Holding::Everything, _) => self.step_of(id),
        }
    }
}

/// The body of a request without a body.
struct NoBody;

impl RequestBody for NoBody {
    fn size(&self) -> usize {
        0
    }

    fn read(&self, _: usize) -> Option<std::borrow::Cow<'_, [u8]>> {
        Some(std::borrow::Cow::Borrowed(&[]))
    }
}
