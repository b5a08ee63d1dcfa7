//! A model beside the lifecycle. It sees only requests and answers, and judges again with its own policies and the text
//! of each token.
//!
//! In: events. Out: a panic, unless all of these hold:
//!
//! - nothing passes that the policy in force at the decision refuses;
//! - every held stream is answered within `firstMessageSeconds` and a tick;
//! - each stream is answered at most once;
//! - the gauges equal the numbers of open streams;
//! - memory is limited, and in proportion to the open streams.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use serde_json::json;
use zonegate::credential::TokenCache;
use zonegate::gate::{Frame, Held, Holding, Judge, Mode, OnOpen, Permit, Policy, Verdict};
use zonegate::lifecycle::{Decision, Effect, HELD_BYTES, Lifecycle, PolicyNumber, Step, StreamId};
use zonegate::log_line::LogLine;

use super::host::{Begin, Host, bytes, head, policy};

/// The most streams at a time.
pub(crate) const STREAMS: u32 = 6;
/// Tokens, by name; the first is no token.
pub(crate) const TOKENS: [&str; 8] =
    ["", "good", "other", "short", "west", "egress", "forged", "garbage"];
/// Paths, by name.
pub(crate) const PATHS: [&str; 4] = ["headers", "bootstrap", "hds", "elsewhere"];
/// Pieces of bodies, by name.
pub(crate) const PIECES: [&str; 14] = [
    "half",
    "rest",
    "ingress",
    "nothing",
    "egress",
    "dataplane",
    "garbage",
    "compressed",
    "too-large",
    "large",
    "boot-good",
    "boot-other",
    "boot-west",
    "boot-short",
];

/// An event.
#[derive(Debug, Clone)]
pub(crate) enum Event {
    Push(usize),
    /// A newer policy exists, which the gate must wait for, or which will never come (`Lose`).
    Await,
    Lose,
    /// Forgets one of the policies that were pushed, counted back from the newest.
    Drop(usize),
    Begin {
        stream: u32,
        path: &'static str,
        token: &'static str,
        under: usize,
        header_bytes: usize,
    },
    Body {
        stream: u32,
        piece: &'static str,
        is_end: bool,
    },
    Trailers(u32),
    End(u32),
    Tick(u64),
    /// Changes the time of day by this many seconds; `None` removes the clock, or restores it.
    Now(Option<i64>),
}

/// The policies to push.
pub(crate) static POLICIES: LazyLock<Vec<Arc<Policy>>> = LazyLock::new(|| {
    [
        json!({}),
        json!({ "revocations": "id-1" }),
        json!({ "revocations": "id-1,id-2", "openStreams": { "cutWithinMilliseconds": 300 } }),
        json!({ "revocations": "id-2", "openStreams": { "onRevoked": "keep" } }),
        json!({ "mode": "shadow" }),
        json!({ "mode": "shadow", "revocations": "id-1" }),
        json!({ "publicKeys": "OTHER", "openStreams": { "onKeyRemoved": "cut" } }),
        json!({ "publicKeys": "KID 2" }),
        json!({ "openStreams": { "onExpired": "cut", "onEnforce": "cut" } }),
        json!({ "proxies": { "dataplane": "pass", "ingress": "deny" }, "bootstrap": "pass" }),
        json!({ "firstMessageSeconds": 3, "bootstrap": "deny" }),
        json!({ "zone": "west" }),
        json!({ "holdHeaders": false }),
        json!({ "holdHeaders": false, "revocations": "id-1" }),
        json!({ "profile": "globalKds" }),
    ]
    .iter()
    .map(|fields| Arc::new(policy(fields)))
    .collect()
});

/// The model's state of a stream.
#[derive(Debug, Default)]
struct Known {
    /// The policy that the host began the stream under, if that was an earlier one.
    also_by: Option<PolicyNumber>,
    /// The time of the first tick at which the stream was held.
    seen_held: Option<u64>,
    is_held: bool,
    passes: bool,
    is_answered: bool,
    /// Its headers were passed on; its body must wait until the stream passes.
    only_headers: bool,
    /// The ID of its token, if that was verified.
    id: Option<String>,
}

/// The lifecycle, and the state to check it against.
pub(crate) struct Model {
    host: Host,
    most: usize,
    pushed: Vec<(PolicyNumber, Arc<Policy>)>,
    newest: usize,
    dropped: BTreeSet<PolicyNumber>,
    streams: BTreeMap<u32, Known>,
    /// Whether no policy may judge until the next push.
    is_awaited: bool,
    is_lost: bool,
    /// When the newest policy was pushed.
    pushed_at: u64,
    took_clock: Option<u64>,
}

impl Model {
    /// The model of a host that ends this many streams in a tick, and no other in the callback of a stream.
    pub(crate) fn ending_at_most(most: usize) -> Self {
        Self {
            host: Host::of(Lifecycle::ending_at_most(most)),
            most,
            pushed: Vec::new(),
            newest: 0,
            dropped: BTreeSet::new(),
            streams: BTreeMap::new(),
            is_awaited: false,
            is_lost: false,
            pushed_at: 0,
            took_clock: None,
        }
    }

    fn newest(&self) -> Option<&Arc<Policy>> {
        self.pushed.get(self.newest).map(|(_, policy)| policy)
    }

    /// Applies the event, and checks all properties.
    pub(crate) fn happen(&mut self, event: &Event) {
        match event {
            Event::Push(index) => {
                let policy = Arc::clone(&POLICIES[*index]);
                let (number, effects) = self.host.push(Arc::clone(&policy));
                self.newest = self.pushed.len();
                self.pushed.push((number, policy));
                self.pushed_at = self.host.monotonic;
                (self.is_awaited, self.is_lost) = (false, false);
                self.follow(None, None, &effects);
            }
            Event::Await => {
                self.host.life.on_policy_awaited();
                self.is_awaited = true;
            }
            Event::Lose => {
                let effects = self.host.lose();
                self.is_lost = true;
                self.dropped.extend(self.pushed.iter().map(|(number, _)| *number));
                self.follow(None, None, &effects);
            }
            Event::Drop(back) => {
                let Some(place) = self.pushed.len().checked_sub(back + 1) else { return };
                // The host does not drop the policy in force.
                if place != self.newest {
                    let number = self.pushed[place].0;
                    self.host.life.on_policy_dropped(number);
                    self.dropped.insert(number);
                }
            }
            Event::Begin { stream, path, token, under, header_bytes } => {
                self.begin(*stream, path, token, *under, *header_bytes);
            }
            Event::Body { stream, piece, is_end } if self.streams.contains_key(stream) => {
                let (step, effects) = self.host.body(*stream, &bytes(piece), *is_end);
                self.follow(Some(*stream), Some(step), &effects);
                let known = &self.streams[stream];
                let is_early = step == Step::Continue && known.only_headers && !known.passes;
                assert!(!is_early, "{stream}: a piece of the body goes on");
            }
            Event::Trailers(stream) if self.streams.contains_key(stream) => {
                let (step, effects) = self.host.trailers(*stream);
                self.follow(Some(*stream), Some(step), &effects);
            }
            Event::End(stream) if self.streams.remove(stream).is_some() => {
                self.host.end(*stream);
            }
            Event::Body { .. } | Event::Trailers(_) | Event::End(_) => {}
            Event::Tick(milliseconds) => self.tick(*milliseconds),
            Event::Now(Some(by)) => {
                self.host.wall =
                    self.host.wall.and_then(|wall| wall.checked_add_signed(by * 1_000));
            }
            Event::Now(None) => std::mem::swap(&mut self.host.wall, &mut self.took_clock),
        }
        self.check_gauges();
    }

    fn begin(
        &mut self,
        stream: u32,
        path: &'static str,
        token: &str,
        under: usize,
        header_bytes: usize,
    ) {
        if self.streams.contains_key(&stream) {
            return;
        }
        let place = self.newest.checked_sub(under).filter(|_| !self.pushed.is_empty());
        let under = place.map(|place| self.pushed[place].0);
        let begin = Begin { path, token, under, header_bytes, is_end: false };
        let newest = self.pushed.get(self.newest).map(|(number, _)| *number);
        let also_by = under.filter(|number| Some(*number) != newest);
        self.streams.insert(stream, Known { also_by, ..Known::default() });
        let (step, effects) = self.host.begin(stream, &begin);
        self.follow(Some(stream), Some(step), &effects);
    }

    fn tick(&mut self, milliseconds: u64) {
        let effects = self.host.tick(milliseconds);
        self.follow(None, None, &effects);
        self.catch_up();
        if self.is_lost {
            let held = self.streams.values().filter(|known| known.is_held).count();
            assert_eq!(held, 0, "held without a policy that could let go");
            return;
        }
        let Some(policy) = self.newest().cloned() else { return };
        let (now, limit) = (self.host.monotonic, policy.held_at_most());
        for (id, known) in self.streams.iter_mut().filter(|(_, known)| known.is_held) {
            let since = Duration::from_millis(now - *known.seen_held.get_or_insert(now));
            assert!(since < limit || limit.is_zero() && since.is_zero(), "{id} is held too long");
        }
        let cuts = policy.mode == Mode::Enforce && policy.open_streams.on_revoked == OnOpen::Cut;
        if cuts && now >= self.pushed_at + u64::try_from(policy.cut_within.as_millis()).unwrap() {
            for (stream, known) in self.streams.iter().filter(|(_, known)| known.passes) {
                let is_revoked = known
                    .id
                    .as_deref()
                    .is_some_and(|id| policy.issuers.zone_token.revocations.contains(id));
                assert!(!is_revoked, "{stream} is open with a revoked token: {known:?}");
            }
        }
    }

    /// The host ends the streams for which there was no room.
    fn catch_up(&mut self) {
        while self.host.life.is_behind() {
            let more = self.host.more();
            self.follow(None, None, &more);
        }
    }

    /// Records the effects, and checks whether they are allowed.
    fn follow(&mut self, current: Option<u32>, step: Option<Step>, effects: &[Effect]) {
        let others = effects.iter().filter(|effect| match effect {
            Effect::Answer(StreamId(id), _)
            | Effect::Cut(StreamId(id))
            | Effect::Resume(StreamId(id)) => Some(*id) != current,
            _ => false,
        });
        let is_limited = self.most < usize::MAX;
        let most = if is_limited && current.is_some() { 0 } else { self.most };
        assert!(others.count() <= most, "more than the host can end: {effects:?}");
        for effect in effects {
            if matches!(effect, Effect::Log(line) if **line == LogLine::WentBack) {
                let stream = current.expect("a stream tells that the host went back");
                let known = self.streams.get_mut(&stream).unwrap();
                let under = known.also_by.take().expect("it began under an earlier policy");
                self.newest = self.pushed.iter().position(|(number, _)| *number == under).unwrap();
                self.pushed_at = self.host.monotonic;
            }
        }
        for effect in effects {
            match effect {
                Effect::Answer(id, _) | Effect::Cut(id) => {
                    let known = self.streams.get_mut(&id.0).expect("it has not ended");
                    assert!(!known.is_answered, "{} is answered twice", id.0);
                    assert!(matches!(effect, Effect::Answer(..)) || known.passes);
                    (known.is_answered, known.is_held, known.passes) = (true, false, false);
                }
                Effect::Facts(id, facts) => self.decided(
                    id.0,
                    facts.verdict,
                    facts.identity.as_ref().map(|identity| identity.id.to_string()),
                ),
                _ => {}
            }
        }
        if let (Some(stream), Some(step)) = (current, step) {
            let known = self.streams.get_mut(&stream).unwrap();
            match step {
                Step::Continue => assert!(!known.is_answered, "{stream} goes on after an answer"),
                Step::Pause => assert!(!known.passes, "{stream} passes, and is paused"),
            }
            known.is_held = !known.is_answered && !known.passes;
        }
        assert!(self.host.life.held_bytes() <= HELD_BYTES);
    }

    /// A stream passes, or is refused: checks that its policies agree.
    fn decided(&mut self, stream: u32, verdict: Decision, id: Option<String>) {
        match verdict {
            Decision::Pending => {
                let enforced: Vec<_> = self.judges(stream);
                let mut enforced = enforced.iter().filter(|policy| policy.mode == Mode::Enforce);
                let only_headers = enforced.clone().next().is_some();
                assert!(enforced.all(|policy| policy.holding() == Holding::Body), "{stream}");
                self.streams.get_mut(&stream).unwrap().only_headers = only_headers;
            }
            Decision::Deny => {}
            Decision::Allow => {
                for policy in self.judges(stream) {
                    assert!(self.allows(stream, &policy), "{stream} passes against {policy:?}");
                }
            }
            Decision::WouldDeny => {
                for policy in self.judges(stream) {
                    let may = policy.mode == Mode::Shadow || self.allows(stream, &policy);
                    assert!(may, "{stream} passes in shadow mode against {policy:?}");
                }
            }
        }
        let known = self.streams.get_mut(&stream).unwrap();
        if matches!(verdict, Decision::Allow | Decision::WouldDeny) {
            assert!(!known.passes && !known.is_answered);
            (known.passes, known.is_held) = (true, false);
            known.id = id;
        }
    }

    /// The policies that a stream must satisfy now.
    fn judges(&self, stream: u32) -> Vec<Arc<Policy>> {
        assert!(!self.is_awaited && !self.is_lost, "{stream} passes while no policy may judge");
        let newest = self.newest().expect("nothing passes without a policy");
        let also = self.streams[&stream].also_by;
        let also = also.filter(|number| *number != self.pushed[self.newest].0).map(|number| {
            assert!(!self.dropped.contains(&number), "{stream} passes by a policy that is gone");
            let (_, policy) = self.pushed.iter().find(|(known, _)| *known == number).unwrap();
            Arc::clone(policy)
        });
        also.into_iter().chain([Arc::clone(newest)]).collect()
    }

    /// Whether `policy` lets the stream in, judged again by all data that has arrived.
    fn allows(&self, stream: u32, policy: &Policy) -> bool {
        let seen = &self.host.streams[&stream];
        let (clock, cache) = (self.host.clock(), TokenCache::default());
        let judge = Judge::new(policy, &cache);
        match judge.headers(&head(seen.path, &seen.token), clock) {
            Verdict::Allow(_) => true,
            Verdict::Deny(_) => false,
            Verdict::Hold(Held::FirstMessage { variant, credential }) => {
                let frame = Frame::of(&seen.body).ok().flatten();
                let message = frame.and_then(|frame| frame.message(&seen.body));
                message.is_some_and(|message| {
                    policy.judge_first_message(variant, credential, message, clock).is_ok()
                })
            }
            Verdict::Hold(Held::Bootstrap) => {
                let permit: Result<Permit, _> = judge.bootstrap_body(&seen.body, clock);
                permit.is_ok()
            }
        }
    }

    fn check_gauges(&self) {
        let gauges = self.host.life.gauges();
        let count = |is: fn(&Known) -> bool| {
            u64::try_from(self.streams.values().filter(|known| is(known)).count()).unwrap()
        };
        assert_eq!(
            gauges.open + gauges.shadowed,
            count(|known| known.passes),
            "{:?}",
            self.streams
        );
        assert_eq!(gauges.held, count(|known| known.is_held), "{:?}", self.streams);
        assert_eq!(self.host.life.streams(), self.streams.len());
        // What is held takes memory, and nothing else does.
        assert_eq!(self.host.life.held_bytes() > 0, gauges.held > 0);
    }

    /// Ends every stream, and checks that nothing is left.
    pub(crate) fn end_all(&mut self) {
        for stream in std::mem::take(&mut self.streams).into_keys() {
            self.host.end(stream);
        }
        self.check_gauges();
        assert_eq!(self.host.life.held_bytes(), 0);
        assert_eq!(self.host.tick(100_000), []);
    }
}
