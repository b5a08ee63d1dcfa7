//! The gate of the process: its connections, split into parts, one for each thread.
//!
//! In: policies, events of streams, ticks. Out: a [`Step`] for the stream of the event, and [`Order`]s in the queue of
//! each stream. The core decides: each part has its own [`Lifecycle`] behind a lock, as each worker of an Envoy does.

mod shown;
mod stream;

use std::collections::hash_map::Entry;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime};

use rustc_hash::FxHashMap;
use tokio::sync::mpsc;
use tokio::sync::watch;
use zonegate::config::Config;
use zonegate::gate::{Now, Policy, UnixTime};
use zonegate::lifecycle::{
    Answer, Clocks, Effect, Facts, Lifecycle, PolicyNumber, Request, Step, StreamId,
};
use zonegate::log_line::{self, Level};
use zonegate::metrics::{self, Change, Counter, Labels, Metric, StreamGauges};
use zonegate_page::InForce;

pub(crate) use stream::Stream;

use crate::backend;
use crate::metrics::Metrics;
use shown::Shown;

/// Writes a log line.
pub type Log = fn(Level, &str);

/// An order to a stream.
#[derive(Debug)]
pub(crate) enum Order {
    /// Continue.
    Resume,
    /// Answer the client.
    Answer(Answer),
    /// End the stream.
    Cut,
    /// The facts of the request.
    Facts(Facts),
}

/// The gate of the process.
#[derive(Debug)]
pub(crate) struct Gate {
    parts: Box<[Arc<Mutex<Part>>]>,
    next: AtomicUsize,
    streams: AtomicUsize,
    most_streams: usize,
    metrics: Metrics,
    /// The last values of the gauges of streams.
    reported: Mutex<StreamGauges>,
    shown: Shown,
    start: Instant,
    is_ready: watch::Sender<bool>,
    log: Log,
}

/// The streams of one part.
#[derive(Debug, Default)]
struct Part {
    lifecycle: Lifecycle,
    number: Option<PolicyNumber>,
    seats: FxHashMap<StreamId, Seat>,
    last: u32,
}

/// The queue and the peer of a stream.
#[derive(Debug)]
struct Seat {
    orders: mpsc::UnboundedSender<Order>,
    peer: Box<str>,
}

impl Gate {
    /// A gate with this many parts. It has no policy yet, so nothing passes.
    pub(crate) fn new(parts: usize, most_streams: usize, log: Log) -> Arc<Self> {
        Arc::new(Self {
            parts: (0..parts).map(|_| Arc::default()).collect(),
            next: AtomicUsize::new(0),
            streams: AtomicUsize::new(0),
            most_streams,
            metrics: Metrics::default(),
            reported: Mutex::default(),
            shown: Shown::default(),
            start: Instant::now(),
            is_ready: watch::Sender::new(false),
            log,
        })
    }

    /// Takes a plugin configuration, JSON. A configuration that is refused is counted and leaves the previous policy in
    /// force.
    pub(crate) fn configure(&self, json: Vec<u8>) {
        let backend = backend::choose();
        match Config::from_host(json, backend) {
            Ok(mut config) => {
                // This host can hold headers, so nothing needs to pass before it is judged.
                config.policy.hold_everything();
                for (level, line) in log_line::of_accepted(&config, backend.name()) {
                    self.say(level, &line);
                }
                let shown = InForce::of(&config);
                self.put_in_force(Arc::new(config.policy));
                self.shown.accepted(shown, wall().0);
                // Readiness, and then the counter: whoever reads them finds the policy in force, and on the page.
                self.is_ready.send_replace(true);
                self.metrics.change(&Metric::Counter(Counter::ConfigAccepted), Change::Count);
            }
            Err(error) => {
                let (level, line) = log_line::of_refused(&error);
                self.refuse(level, &line);
            }
        }
    }

    /// Records that a configuration could not be taken.
    pub(crate) fn refuse(&self, level: Level, line: &str) {
        self.shown.refused(line, wall().0);
        self.say(level, line);
        // The counter is last: whoever sees it finds the reason in the log, and on the page.
        self.metrics.change(&Metric::Counter(Counter::ConfigRejected), Change::Count);
    }

    fn put_in_force(&self, policy: Arc<Policy>) {
        self.metrics.define(&Labels::of(&policy));
        for (metric, change) in metrics::of_policy(&policy) {
            self.metrics.change(&metric, change);
        }
        for part in &self.parts {
            let (mut part, mut effects) = (lock(part), Vec::new());
            let number = part.lifecycle.on_policy(Arc::clone(&policy), self.clocks(), &mut effects);
            // No stream begins under an earlier policy.
            if let Some(before) = part.number.replace(number) {
                part.lifecycle.on_policy_dropped(before);
            }
            self.perform(&part, effects);
        }
    }

    /// Whether there is a policy.
    pub(crate) fn readiness(&self) -> watch::Receiver<bool> {
        self.is_ready.subscribe()
    }

    /// Tells the gate that time has passed.
    pub(crate) fn tick(&self) {
        for part in &self.parts {
            let (mut part, mut effects) = (lock(part), Vec::new());
            part.lifecycle.on_tick(self.clocks(), &mut effects);
            self.perform(&part, effects);
        }
        self.shown.note(self.start.elapsed(), || self.metrics.counts(None));
    }

    /// Begins a stream; `None` if there are too many.
    pub(crate) fn begin(self: &Arc<Self>, peer: &str) -> Option<Stream> {
        let part = self.next_part()?;
        if self.streams.fetch_add(1, Ordering::Relaxed) >= self.most_streams {
            self.streams.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        let (sender, orders) = mpsc::unbounded_channel();
        let id = lock(&part).seat(Seat { orders: sender, peer: peer.into() });
        Some(Stream { gate: Arc::clone(self), part, id, orders })
    }

    /// Judges a request by its headers alone. Out: the answer, if it is refused, and its facts.
    pub(crate) fn judge_headers<'h>(
        self: &Arc<Self>,
        peer: &str,
        headers: impl Iterator<Item = (&'h [u8], &'h [u8])>,
        body: Option<&[u8]>,
    ) -> HeadersJudged {
        let Some(part) = self.next_part() else { return HeadersJudged::NOT };
        let (sender, mut orders) = mpsc::unbounded_channel();
        let (mut part, mut effects) = (lock(&part), Vec::new());
        let id = part.seat(Seat { orders: sender, peer: peer.into() });
        let request = Request::new(id, part.number, headers, true);
        let step = part.lifecycle.on_headers_alone(&request, body, wall(), &mut effects);
        self.perform(&part, effects);
        part.seats.remove(&id);
        let (mut answer, mut facts) = (None, None);
        while let Ok(order) = orders.try_recv() {
            match order {
                Order::Answer(given) => answer = Some(given),
                Order::Facts(known) => facts = Some(known),
                Order::Resume | Order::Cut => {}
            }
        }
        HeadersJudged { step, answer, facts }
    }

    /// The metrics, for Prometheus.
    pub(crate) fn metrics_text(&self) -> String {
        self.count_streams();
        self.metrics.text()
    }

    /// The state of the gate, for people.
    pub(crate) fn page(&self) -> String {
        self.count_streams();
        self.shown.html(self.start.elapsed(), wall().0, |policy| self.metrics.counts(policy))
    }

    /// Sets the gauges of streams.
    fn count_streams(&self) {
        let mut sum = StreamGauges::default();
        for part in &self.parts {
            for (gauge, shown) in lock(part).lifecycle.stream_gauges().iter() {
                sum.add(gauge.clone(), shown);
            }
        }
        let mut reported = self.reported.lock().unwrap_or_else(PoisonError::into_inner);
        for (metric, change) in metrics::of_streams(&reported, &sum) {
            self.metrics.change(&metric, change);
        }
        *reported = sum;
    }

    /// Writes a line to the log.
    pub(crate) fn say(&self, level: Level, line: &str) {
        (self.log)(level, line);
    }

    fn perform(&self, part: &Part, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Resume(id) => part.tell(id, Order::Resume),
                Effect::Answer(id, answer) => part.tell(id, Order::Answer(answer)),
                Effect::Cut(id) => part.tell(id, Order::Cut),
                Effect::Facts(id, facts) => part.tell(id, Order::Facts(facts)),
                Effect::Define(labels) => self.metrics.define(&labels),
                Effect::Change(metric, change) => self.metrics.change(&metric, change),
                Effect::Log(line) => {
                    let seat = line.peer_of().and_then(|id| part.seats.get(&id));
                    let peer = seat.map(|seat| &*seat.peer).unwrap_or_default();
                    self.say(line.level(), &line.render(peer));
                }
            }
        }
    }

    fn clocks(&self) -> Clocks {
        Clocks { wall: wall(), monotonic: self.start.elapsed() }
    }

    /// The parts take turns.
    fn next_part(&self) -> Option<Arc<Mutex<Part>>> {
        let turn = self.next.fetch_add(1, Ordering::Relaxed).checked_rem(self.parts.len())?;
        self.parts.get(turn).cloned()
    }
}

impl Part {
    /// Gives a stream a number that no other stream has.
    fn seat(&mut self, seat: Seat) -> StreamId {
        loop {
            self.last = self.last.wrapping_add(1);
            if let Entry::Vacant(place) = self.seats.entry(StreamId(self.last)) {
                return *place.insert_entry(seat).key();
            }
        }
    }

    /// Sends an order; a stream that has ended is ignored.
    fn tell(&self, id: StreamId, order: Order) {
        if let Some(seat) = self.seats.get(&id) {
            let _ = seat.orders.send(order);
        }
    }
}

fn lock(part: &Mutex<Part>) -> MutexGuard<'_, Part> {
    // In a release build a panic ends the process, so no lock is poisoned.
    part.lock().unwrap_or_else(PoisonError::into_inner)
}

fn wall() -> Now {
    Now(UnixTime::of(SystemTime::now()))
}

/// The judgement of a request by its headers alone.
#[derive(Debug)]
pub(crate) struct HeadersJudged {
    pub(crate) step: Step,
    pub(crate) answer: Option<Answer>,
    pub(crate) facts: Option<Facts>,
}

impl HeadersJudged {
    const NOT: Self = Self { step: Step::Pause, answer: None, facts: None };
}
