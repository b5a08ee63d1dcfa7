//! Random pushes of three configurations, and random orders in which Envoy's threads take and drop them. Once nothing
//! is pushed any more, the last push must be in force on each worker.
//!
//! Envoy is a model here, after `source/extensions/common/wasm`: a push is an object that lives until every thread has
//! taken a later push. On each thread a configuration has one root context, which lives as long as a push or a stream
//! needs it. Envoy reuses a root context that lives, and does not tell the VM.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use proptest::prelude::*;
use proptest::test_runner::{Config as ProptestConfig, TestRunner};
use zonegate::lifecycle::{Effect, PolicyNumber, StreamId};

use crate::vm_host::{Shared, Vm, long, revoking};

/// The id that each configuration revokes, and the name of the token with this id.
const IDS: [(&str, &str); 3] = [("id-1", "good"), ("id-2", "other"), ("id-3", "short")];
/// Envoy's main thread, and workers.
const THREADS: usize = 3;
const MAIN: usize = 0;

#[derive(Debug, Clone)]
enum Event {
    /// A configuration is pushed; the main thread takes it at once.
    Push(usize),
    /// Envoy asks the VM of the main thread, and then refuses the configuration.
    Refused(usize),
    /// The VM of the main thread refuses a configuration.
    Bad,
    /// A thread does the next thing that waits for it.
    Step(usize),
    /// 100 ms pass for a thread.
    Tick(usize),
    /// A stream begins on a worker, with the token that a configuration revokes.
    Open(usize, usize),
    /// The oldest stream of a worker ends.
    End(usize),
}

#[derive(Debug, Clone, Copy)]
enum Waiting {
    Take(usize),
    Drop(usize),
}

struct Root {
    number: PolicyNumber,
    pushes: BTreeSet<usize>,
    streams: usize,
}

struct Thread<'a> {
    vm: Vm<'a>,
    waiting: VecDeque<Waiting>,
    /// By configuration.
    roots: BTreeMap<usize, Root>,
    /// The push under which new streams begin.
    push: Option<usize>,
    /// Open streams, each with the configuration under which it began, and the configuration that revokes its token.
    open: Vec<(StreamId, usize, usize)>,
}

struct Envoy<'a> {
    threads: Vec<Thread<'a>>,
    /// The configuration of each push.
    pushes: Vec<usize>,
    /// How many pushes were dropped.
    dropped: usize,
    /// The configuration that revokes an id.
    text: fn(&str) -> Vec<u8>,
}

impl Thread<'_> {
    fn take(&mut self, push: usize, configuration: usize, text: fn(&str) -> Vec<u8>) {
        self.push = Some(push);
        if let Some(root) = self.roots.get_mut(&configuration) {
            root.pushes.insert(push);
            return;
        }
        let mut effects = Vec::new();
        let number = self.vm.given_with(text(IDS[configuration].0), &mut effects);
        let root = Root { number, pushes: [push].into(), streams: 0 };
        self.roots.insert(configuration, root);
        self.perform(&effects);
    }

    fn release(&mut self, configuration: usize, release: impl FnOnce(&mut Root)) {
        let Some(root) = self.roots.get_mut(&configuration) else { return };
        release(root);
        if root.pushes.is_empty() && root.streams == 0 {
            let number = root.number;
            self.roots.remove(&configuration);
            self.vm.dropped(number);
        }
    }

    fn tick(&mut self) {
        let effects = self.vm.tick(100);
        self.perform(&effects);
    }

    fn perform(&mut self, effects: &[Effect]) {
        for effect in effects {
            if let Effect::Cut(stream) = effect {
                let place = self.open.iter().position(|(id, ..)| id == stream).unwrap();
                self.end(place);
            }
        }
    }

    fn end(&mut self, place: usize) {
        let (stream, configuration, _) = self.open.remove(place);
        self.vm.gateway.lifecycle.on_end(stream);
        self.release(configuration, |root| root.streams -= 1);
    }
}

impl<'a> Envoy<'a> {
    fn new(shared: &'a Shared, text: fn(&str) -> Vec<u8>) -> Self {
        let thread = |number| Thread {
            vm: Vm::new(shared, number),
            waiting: VecDeque::new(),
            roots: BTreeMap::new(),
            push: None,
            open: Vec::new(),
        };
        let threads = (1..).take(THREADS).map(thread).collect();
        Self { threads, pushes: Vec::new(), dropped: 0, text }
    }

    fn on(&mut self, event: &Event) {
        match *event {
            Event::Push(configuration) => self.push(configuration),
            // If the main thread has a root context for the configuration, Envoy does not ask the VM.
            Event::Refused(configuration) => {
                if !self.threads[MAIN].roots.contains_key(&configuration) {
                    let text = (self.text)(IDS[configuration].0);
                    self.threads[MAIN].vm.asked_in_vain(text, &mut Vec::new());
                }
            }
            Event::Bad => self.threads[MAIN].vm.asked_in_vain(b"{".to_vec(), &mut Vec::new()),
            Event::Step(thread) => drop(self.step(thread)),
            Event::Tick(thread) => self.threads[thread].tick(),
            Event::Open(worker, token) => self.open(worker, token),
            Event::End(worker) => {
                let thread = &mut self.threads[worker];
                if !thread.open.is_empty() {
                    thread.end(0);
                }
            }
        }
    }

    fn push(&mut self, configuration: usize) {
        let push = self.pushes.len();
        self.pushes.push(configuration);
        self.threads[MAIN].take(push, configuration, self.text);
        for worker in &mut self.threads[1..] {
            worker.waiting.push_back(Waiting::Take(push));
        }
    }

    /// Does the next thing that waits for a thread. Returns whether there was one.
    fn step(&mut self, thread: usize) -> bool {
        let thread = &mut self.threads[thread];
        match thread.waiting.pop_front() {
            None => return false,
            Some(Waiting::Take(push)) => thread.take(push, self.pushes[push], self.text),
            Some(Waiting::Drop(push)) => {
                thread.release(self.pushes[push], |root| _ = root.pushes.remove(&push));
            }
        }
        // If every thread has taken a later push, each thread drops the earlier pushes, when its turn comes.
        let oldest = self.threads.iter().map(|thread| thread.push).min().flatten().unwrap_or(0);
        for push in self.dropped..oldest {
            for thread in &mut self.threads {
                thread.waiting.push_back(Waiting::Drop(push));
            }
        }
        self.dropped = self.dropped.max(oldest);
        true
    }

    fn open(&mut self, worker: usize, token: usize) {
        let thread = &mut self.threads[worker];
        let Some(push) = thread.push else { return };
        let configuration = self.pushes[push];
        let under = thread.roots[&configuration].number;
        if let Some(stream) = thread.vm.asks(IDS[token].1, Some(under)) {
            assert_ne!(
                token, configuration,
                "a token is let in that the configuration of the stream revokes"
            );
            thread.roots.get_mut(&configuration).unwrap().streams += 1;
            thread.open.push((stream, configuration, token));
        }
    }

    /// Nothing is pushed any more, and time passes.
    fn settle(&mut self) {
        for _ in 0..30 {
            for thread in 0..THREADS {
                while self.step(thread) {}
                self.threads[thread].tick();
            }
        }
    }

    fn assert_the_last_push_is_in_force(&mut self) {
        let Some(last) = self.pushes.last().copied() else { return };
        for thread in &mut self.threads[1..] {
            let open = thread.open.iter().filter(|(_, _, token)| *token == last).count();
            assert_eq!(open, 0, "streams are open with a token that the last push revokes");
            let under = Some(thread.roots[&last].number);
            for (token, (_, name)) in IDS.iter().enumerate() {
                let refused = thread.vm.refuses(name, under);
                assert_eq!(refused.as_deref(), (token == last).then_some("revoked"), "{name}");
            }
        }
    }
}

fn event() -> impl Strategy<Value = Event> {
    let (configuration, thread, worker) = (0..IDS.len(), 0..THREADS, 1..THREADS);
    prop_oneof![
        8 => configuration.clone().prop_map(Event::Push),
        1 => configuration.clone().prop_map(Event::Refused),
        1 => Just(Event::Bad),
        16 => thread.clone().prop_map(Event::Step),
        8 => thread.prop_map(Event::Tick),
        6 => (worker.clone(), configuration).prop_map(|(worker, token)| Event::Open(worker, token)),
        2 => worker.prop_map(Event::End),
    ]
}

fn assert_the_last_of(events: &[Event], text: fn(&str) -> Vec<u8>) {
    let shared = Shared::default();
    let mut envoy = Envoy::new(&shared, text);
    events.iter().for_each(|event| envoy.on(event));
    envoy.settle();
    envoy.assert_the_last_push_is_in_force();
}

fn in_any_order(cases: u32, text: fn(&str) -> Vec<u8>) {
    let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
    let events = proptest::collection::vec(event(), 1..120);
    let judged = TestRunner::new(config).run(&events, |events| {
        assert_the_last_of(&events, text);
        Ok(())
    });
    judged.unwrap_or_else(|error| panic!("{error}"));
}

/// Each of these orders once left an earlier push in force.
#[test]
fn in_orders_that_once_failed_the_last_push_is_in_force_in_the_end() {
    use Event::{Open, Push, Refused, Step, Tick};
    // A late worker finds a push before the host gives it.
    #[rustfmt::skip]
    let found_early = [
        Push(0), Push(0), Push(0), Push(1), Push(1), Step(1), Step(1), Step(1), Push(1), Step(2), Step(2), Push(1),
        Step(2), Open(1, 1), Step(0), Step(0), Push(1), Push(1), Push(2), Step(2), Open(1, 1), Step(1), Step(0),
        Push(0), Push(0), Tick(0), Tick(1),
    ];
    // The main thread is left with an earlier configuration.
    let left_alone = [Push(2), Push(0), Refused(1), Push(1), Push(0)];
    let left_alone_in_force = [Push(0), Refused(2), Push(2), Push(0)];
    for events in [&found_early[..], &left_alone, &left_alone_in_force] {
        assert_the_last_of(events, revoking);
    }
}

fn orders() -> u32 {
    std::env::var("ZONEGATE_ORDERS").map_or(150, |orders| orders.parse().unwrap())
}

#[test]
fn in_any_order_the_last_push_is_in_force_in_the_end() {
    in_any_order(orders(), revoking);
}

/// Configurations that are too large to be published.
#[test]
fn in_any_order_the_last_long_push_is_in_force_in_the_end() {
    in_any_order(orders() / 30, long);
}
