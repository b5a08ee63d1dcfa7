//! The state of one worker: its streams, and for each gateway the lifecycle of its connections.
//!
//! In: streams that begin and end, events. Out: events for the core, after the policies that are new for this worker.
//! Everything here belongs to one thread.

use std::cell::{Cell, RefCell};
use std::mem;
use std::rc::Rc;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, SystemTime};

use zonegate::gate::{Now, UnixTime};
use zonegate::lifecycle::{Clocks, Cut, Effect, Lifecycle, PolicyNumber, StreamId};
use zonegate::metrics::{self, Change, Metric, StreamGauges};
use zonegate::vm_gateway::TICK;

use crate::abi::{self, Waker};
use crate::clock::Bell;
use crate::configuration::Configuration;
use crate::effects;
use crate::gateway::{Gateway, Number, Push};
use crate::metrics::MetricIds;

thread_local! {
    static STREAMS: RefCell<Vec<Option<Stream>>> = const { RefCell::new(Vec::new()) };
    static GATEWAYS: RefCell<Vec<Rc<WorkerGateway>>> = const { RefCell::new(Vec::new()) };
}

/// A stream that Envoy has begun and not ended.
#[derive(Clone)]
pub(crate) struct Stream {
    pub(crate) id: StreamId,
    pub(crate) gateway: Rc<WorkerGateway>,
    under: Rc<Under>,
    phase: Rc<Cell<Phase>>,
}

/// The state of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// It is not judged yet, and Envoy lets it pass: shadow mode.
    Passing,
    /// It is not judged yet, and Envoy holds it.
    Kept,
    /// It was allowed.
    Allowed,
    /// It was answered or cut.
    Ended,
}

/// The configuration under which streams of this worker began.
struct Under {
    number: Number,
    ids: Arc<MetricIds>,
}

/// The part of a gateway that this worker serves.
pub(crate) struct WorkerGateway {
    gateway: Arc<Gateway>,
    inner: RefCell<Inner>,
    /// The buffer for effects, kept for the next event.
    effects: Cell<Vec<Effect>>,
    bell: Arc<Bell>,
    /// The stream whose waker rings the bell, and its configuration.
    rung_by: Cell<Option<(StreamId, Number)>>,
}

/// The state that an event changes.
#[derive(Default)]
pub(crate) struct Inner {
    pub(crate) lifecycle: Lifecycle,
    /// The policy number of each configuration.
    numbers: Vec<(Number, PolicyNumber)>,
    newest: Option<Number>,
    seen: Option<u64>,
    unders: Vec<Rc<Under>>,
    reported: StreamGauges,
    /// The metrics that no stream so far could change.
    uncounted: Vec<(Metric, Change)>,
    ticked: Duration,
    /// Whether there was a tick since the last update of the gauges.
    has_ticked: bool,
}

impl Stream {
    /// Begins a stream.
    pub(crate) fn begin(id: StreamId, configuration: &Configuration) {
        configuration.stand(None);
        let gateway = WorkerGateway::of(&configuration.gateway);
        let under = gateway.inner.borrow_mut().under(configuration);
        let stream = Self { id, gateway, under, phase: Rc::new(Cell::new(Phase::Passing)) };
        STREAMS.with_borrow_mut(|streams| {
            let Ok(place) = usize::try_from(id.0) else { return };
            if streams.len() <= place {
                streams.resize(place.saturating_add(1), None);
            }
            if let Some(place) = streams.get_mut(place) {
                *place = Some(stream);
            }
        });
    }

    /// The stream of this id, if Envoy has begun it and not ended it.
    pub(crate) fn find(StreamId(number): StreamId) -> Option<Self> {
        let place = usize::try_from(number).ok()?;
        STREAMS.try_with(|streams| streams.borrow().get(place).cloned()).ok()??
    }

    /// Ends the stream.
    pub(crate) fn end(&self) {
        let place = usize::try_from(self.id.0).ok();
        let _ = STREAMS.try_with(|streams| {
            let mut streams = streams.borrow_mut();
            if let Some(place) = place.and_then(|place| streams.get_mut(place)) {
                *place = None;
            }
        });
        self.gateway.hand_over_bell(self.id);
    }

    pub(crate) fn phase(&self) -> Phase {
        self.phase.get()
    }

    pub(crate) fn set_phase(&self, phase: Phase) {
        self.phase.set(phase);
    }

    /// Changes a metric. Returns whether the configuration of this stream has the metric and the stream is live.
    pub(crate) fn count(&self, metric: &Metric, change: Change) -> bool {
        self.under.ids.of(metric).is_some_and(|id| abi::change(self.id, id, change))
    }

    /// Counts a failed hook of this stream.
    pub(crate) fn count_panic(&self) {
        if let Some(id) = self.under.ids.panics() {
            abi::change(self.id, id, Change::Count);
        }
    }

    /// Passes an event of this stream to the core, and performs the effects.
    pub(crate) fn event<T>(&self, event: impl FnOnce(&mut Inner, &mut Vec<Effect>) -> T) -> T {
        let gateway = &self.gateway;
        let mut effects = gateway.effects.take();
        // The gateway is free again before effects are performed: they may lead to other events.
        let (result, counts) = {
            let mut inner = gateway.inner.borrow_mut();
            inner.catch_up(&gateway.gateway, &mut effects);
            let result = event(&mut inner, &mut effects);
            (result, inner.take_counts())
        };
        let mut left = effects::perform(&mut effects, counts, self);
        gateway.effects.set(effects);
        if !left.is_empty() {
            gateway.inner.borrow_mut().uncounted.append(&mut left);
        }
        result
    }

    /// The policy of the configuration under which Envoy began the stream.
    pub(crate) fn under(&self, inner: &Inner) -> Option<PolicyNumber> {
        inner.number_of(self.under.number)
    }

    /// Keeps the clock running for the gateway of this stream. The woken stream changes the metrics of a tick, and only
    /// a stream of the newest configuration has all metrics.
    pub(crate) fn keep_time(&self) {
        let number = self.under.number;
        if self.gateway.rung_by.get().is_none_or(|(_, other)| other < number)
            && let Some(waker) = Waker::new(self.id)
        {
            self.gateway.bell.hang(waker);
            self.gateway.rung_by.set(Some((self.id, number)));
        }
    }
}

impl WorkerGateway {
    /// This worker's part of `gateway`.
    fn of(gateway: &Arc<Gateway>) -> Rc<Self> {
        GATEWAYS.with_borrow_mut(|gateways| {
            let known = gateways.iter().find(|known| Arc::ptr_eq(&known.gateway, gateway));
            if let Some(known) = known {
                return Rc::clone(known);
            }
            let new = Rc::new(Self {
                gateway: Arc::clone(gateway),
                inner: RefCell::default(),
                effects: Cell::default(),
                bell: Bell::new(),
                rung_by: Cell::default(),
            });
            gateways.push(Rc::clone(&new));
            new
        })
    }

    /// The streams of this gateway on this worker.
    pub(crate) fn streams(&self) -> Vec<Stream> {
        STREAMS.with_borrow(|streams| {
            let all = streams.iter().flatten();
            all.filter(|stream| std::ptr::eq(&raw const *stream.gateway, self)).cloned().collect()
        })
    }

    /// Starts empty, without streams.
    pub(crate) fn restart(&self) {
        let mut inner = self.inner.borrow_mut();
        let Inner { unders, reported, uncounted, .. } = mem::take(&mut *inner);
        *inner = Inner { unders, reported, uncounted, ..Inner::default() };
    }

    /// Moves the bell from a stream that ends to a stream of the newest configuration with streams.
    fn hand_over_bell(&self, ended: StreamId) {
        if self.rung_by.get().is_none_or(|(id, _)| id != ended) {
            return;
        }
        self.bell.take_down();
        self.rung_by.set(None);
        let next = STREAMS.try_with(|streams| {
            let streams = streams.borrow();
            let all = streams.iter().flatten();
            let own = all.filter(|stream| std::ptr::eq(&raw const *stream.gateway, self));
            own.max_by_key(|stream| stream.under.number).cloned()
        });
        if let Ok(Some(next)) = next {
            next.keep_time();
        }
    }
}

impl Inner {
    /// Puts the policies in force that are new for this worker.
    fn catch_up(&mut self, gateway: &Gateway, effects: &mut Vec<Effect>) {
        let version = gateway.version();
        if self.seen.replace(version) == Some(version) {
            return;
        }
        let entries = gateway.entries();
        let is_new = |number: Number| self.newest.is_none_or(|newest| number > newest);
        let new: Vec<_> = entries.iter().filter(|entry| is_new(entry.number)).collect();
        for entry in new {
            self.newest = Some(entry.number);
            match &entry.policy {
                Push::Policy(policy) => {
                    let policy = Arc::clone(policy);
                    let number = self.lifecycle.on_policy(policy, clocks(), effects);
                    self.numbers.push((entry.number, number));
                }
                Push::NotKept => {}
                Push::Elsewhere(policy) => {
                    let policy = Arc::clone(policy);
                    self.lifecycle.on_policy_from_elsewhere(policy, clocks(), effects);
                }
                Push::Unreadable => {
                    self.lifecycle.on_policy_lost(Cut::ModuleReplaced, clocks(), effects);
                }
            }
        }
        let is_there = |number: Number| entries.iter().any(|entry| entry.number == number);
        for (_, dropped) in self.numbers.extract_if(.., |(number, _)| !is_there(*number)) {
            self.lifecycle.on_policy_dropped(dropped);
        }
        self.unders.retain(|under| Rc::strong_count(under) > 1 || is_there(under.number));
        self.uncounted.extend(gateway.take_uncounted());
    }

    /// Time has passed. If no stream is left, nothing wakes the worker, and each new stream ticks.
    pub(crate) fn tick(&mut self, now: Clocks, effects: &mut Vec<Effect>) {
        (self.ticked, self.has_ticked) = (now.monotonic, true);
        self.lifecycle.on_tick(now, effects);
    }

    /// Ticks if the last tick was a while ago.
    pub(crate) fn tick_if_due(&mut self, now: Clocks, effects: &mut Vec<Effect>) {
        if now.monotonic.saturating_sub(self.ticked) >= TICK {
            self.tick(now, effects);
        }
    }

    fn number_of(&self, wanted: Number) -> Option<PolicyNumber> {
        let found = self.numbers.iter().rev().find(|(number, _)| *number == wanted);
        found.map(|(_, number)| *number)
    }

    fn under(&mut self, configuration: &Configuration) -> Rc<Under> {
        let number = configuration.number;
        if let Some(known) = self.unders.iter().rev().find(|under| under.number == number) {
            return Rc::clone(known);
        }
        let new = Rc::new(Under { number, ids: Arc::clone(&configuration.ids) });
        self.unders.push(Rc::clone(&new));
        new
    }

    /// The metrics to change besides those of an event. Gauges are updated ten times a second, and also when no stream
    /// is left to do that later.
    fn take_counts(&mut self) -> Vec<(Metric, Change)> {
        let mut counts = mem::take(&mut self.uncounted);
        if mem::take(&mut self.has_ticked) || self.lifecycle.streams() == 0 {
            let before = mem::replace(&mut self.reported, self.lifecycle.stream_gauges());
            counts.extend(metrics::of_streams(&before, &self.reported));
        }
        counts
    }
}

/// The time of day.
pub(crate) fn wall() -> Now {
    Now(UnixTime::of(SystemTime::now()))
}

/// Both clocks.
pub(crate) fn clocks() -> Clocks {
    static START: OnceLock<Instant> = OnceLock::new();
    Clocks { wall: wall(), monotonic: START.get_or_init(Instant::now).elapsed() }
}
