//! Random listeners of two modules, and random orders in which they are served, refused and drained. Once time has passed,
//! no token that the last listener revokes opens a stream anywhere, and the last listener lets in what it does not revoke.
//!
//! Envoy is a model here, with LDS: a push is a listener with a configuration of one module. It serves at once, and the one
//! before is drained: streams still begin under it, on old connections. Envoy may also refuse a listener after it has
//! asked VMs. No two configurations are the same bytes, as in everything that the tool writes. Each module has a VM on the
//! main thread, and one on a worker.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::test_runner::{Config as ProptestConfig, TestRunner};
use zonegate::lifecycle::{Effect, PolicyNumber, StreamId};

use crate::vm_host::{Shared, Vm, revoking};

/// The id that each configuration revokes, and the name of the token with this id.
const IDS: [(&str, &str); 3] = [("id-1", "good"), ("id-2", "other"), ("id-3", "short")];
const MODULES: usize = 2;
const MAIN: usize = 0;
const WORKER: usize = 1;

#[derive(Debug, Clone)]
enum Event {
    /// A listener of a module serves, with a configuration that revokes an id.
    Push(usize, usize),
    /// Envoy refuses listeners of a module after it has asked the VMs. They are dropped in this order, or in reverse.
    Refused(usize, Vec<usize>, bool),
    /// The oldest listener that is drained is dropped.
    Drained,
    /// 100 ms pass for a VM of a module.
    Tick(usize, usize),
    /// A stream begins under one of the listeners, with the token that a configuration revokes.
    Open(usize, usize),
    /// The oldest stream of a worker's VM ends.
    End(usize),
}

struct Listener {
    module: usize,
    /// The id that it revokes.
    revoked: usize,
    numbers: [PolicyNumber; 2],
}

struct Envoy<'a> {
    shared: &'a Shared,
    /// Of each module, the VMs of main thread and worker, once it is loaded.
    vms: BTreeMap<usize, [Vm<'a>; 2]>,
    /// The last one serves, the others are drained.
    listeners: Vec<Listener>,
    /// The open streams of each module, with the id of the token.
    open: BTreeMap<usize, Vec<(StreamId, usize)>>,
    generation: usize,
}

impl<'a> Envoy<'a> {
    fn new(shared: &'a Shared) -> Self {
        let (vms, listeners, open) = (BTreeMap::new(), Vec::new(), BTreeMap::new());
        Self { shared, vms, listeners, open, generation: 0 }
    }

    fn text(&mut self, revoked: usize) -> Vec<u8> {
        self.generation += 1;
        revoking(&format!("{},generation-{}", IDS[revoked].0, self.generation))
    }

    fn vms(&mut self, module: usize) -> &mut [Vm<'a>; 2] {
        let shared = self.shared;
        self.vms.entry(module).or_insert_with(|| {
            let vm =
                |thread: u64| Vm::of_module(1 + module as u64, shared, 10 * module as u64 + thread);
            [vm(1), vm(2)]
        })
    }

    fn perform(&mut self, module: usize, effects: &[Effect]) {
        for effect in effects {
            if let Effect::Cut(id) = effect {
                self.vms(module)[WORKER].gateway.lifecycle.on_end(*id);
                self.open.entry(module).or_default().retain(|(open, _)| open != id);
            }
        }
    }

    fn give(&mut self, module: usize, revoked: usize) -> [PolicyNumber; 2] {
        let text = self.text(revoked);
        let mut effects = Vec::new();
        let numbers = self.vms(module).each_mut().map(|vm| {
            effects.clear();
            vm.given_with(text.clone(), &mut effects)
        });
        // Those of the worker are the last.
        self.perform(module, &effects);
        numbers
    }

    fn drop_numbers(&mut self, module: usize, numbers: [PolicyNumber; 2]) {
        for (vm, number) in self.vms(module).iter_mut().zip(numbers) {
            vm.dropped(number);
        }
    }

    fn on(&mut self, event: &Event) {
        match event {
            Event::Push(module, revoked) => {
                let numbers = self.give(*module, *revoked);
                self.listeners.push(Listener { module: *module, revoked: *revoked, numbers });
            }
            Event::Refused(module, all, in_order) => {
                // Only of a module that is loaded: a VM that nothing keeps is gone at once.
                if !self.vms.contains_key(module) {
                    return;
                }
                let mut refused: Vec<_> =
                    all.iter().map(|revoked| self.give(*module, *revoked)).collect();
                if !in_order {
                    refused.reverse();
                }
                for numbers in refused {
                    self.drop_numbers(*module, numbers);
                }
            }
            Event::Drained => {
                if self.listeners.len() > 1 {
                    let Listener { module, numbers, .. } = self.listeners.remove(0);
                    self.drop_numbers(module, numbers);
                }
            }
            Event::Tick(module, thread) => self.tick(*module, *thread),
            Event::Open(listener, token) => self.open(*listener, *token),
            Event::End(module) => {
                let open = self.open.entry(*module).or_default();
                if !open.is_empty() {
                    let (id, _) = open.remove(0);
                    self.vms(*module)[WORKER].gateway.lifecycle.on_end(id);
                }
            }
        }
    }

    fn tick(&mut self, module: usize, thread: usize) {
        if self.vms.contains_key(&module) {
            let effects = self.vms(module)[thread].tick(100);
            if thread == WORKER {
                self.perform(module, &effects);
            }
        }
    }

    fn open(&mut self, listener: usize, token: usize) {
        let Some(place) = self.listeners.len().checked_sub(1 + listener) else { return };
        let Listener { module, numbers, revoked } = self.listeners[place];
        if let Some(id) = self.vms(module)[WORKER].asks(IDS[token].1, Some(numbers[WORKER])) {
            assert_ne!(token, revoked, "a token is let in that the listener of the stream revokes");
            self.open.entry(module).or_default().push((id, token));
        }
    }

    /// Nothing is pushed any more, and time passes.
    fn settle(&mut self) {
        for _ in 0..60 {
            for module in 0..MODULES {
                for thread in [MAIN, WORKER] {
                    self.tick(module, thread);
                }
            }
        }
    }

    fn assert_the_last_listener_is_in_force(&mut self) {
        let Some(last) = self.listeners.last() else { return };
        let (serves, revoked) = (last.module, last.revoked);
        for (module, open) in &self.open {
            let is_open = open.iter().any(|(_, token)| *token == revoked);
            assert!(!is_open, "a stream of module {module} is open with a revoked token");
        }
        let numbers: Vec<_> = self.listeners.iter().map(|one| (one.module, one.numbers)).collect();
        for (module, numbers) in &numbers {
            let refused = self.vms(*module)[WORKER].refuses(IDS[revoked].1, Some(numbers[WORKER]));
            assert!(refused.is_some(), "module {module} lets in a revoked token");
        }
        let Some((_, numbers)) = numbers.last() else { return };
        for (token, (_, name)) in IDS.iter().enumerate() {
            let refused = self.vms(serves)[WORKER].refuses(name, Some(numbers[WORKER]));
            assert_eq!(refused.as_deref(), (token == revoked).then_some("revoked"), "{name}");
        }
    }
}

fn event() -> impl Strategy<Value = Event> {
    let (module, id, thread) = (0..MODULES, 0..IDS.len(), MAIN..=WORKER);
    let refused = (module.clone(), proptest::collection::vec(id.clone(), 1..3), any::<bool>());
    prop_oneof![
        4 => (module.clone(), id.clone()).prop_map(|(module, id)| Event::Push(module, id)),
        3 => refused.prop_map(|(module, ids, in_order)| Event::Refused(module, ids, in_order)),
        2 => Just(Event::Drained),
        12 => (module.clone(), thread).prop_map(|(module, thread)| Event::Tick(module, thread)),
        6 => (0..3_usize, id).prop_map(|(listener, token)| Event::Open(listener, token)),
        1 => module.prop_map(Event::End),
    ]
}

fn assert_the_last_of(events: &[Event]) {
    let shared = Shared::default();
    let mut envoy = Envoy::new(&shared);
    events.iter().for_each(|event| envoy.on(event));
    envoy.settle();
    envoy.assert_the_last_listener_is_in_force();
}

/// After each of these orders, an earlier listener was once in force somewhere.
#[test]
fn in_orders_that_once_failed_the_last_listener_is_in_force_in_the_end() {
    use Event::{Push, Refused, Tick};
    let refused = |module, ids: &[usize], in_order| Refused(module, ids.to_vec(), in_order);
    let taken_back_twice = [Push(0, 0), Push(1, 1), Push(0, 0), refused(1, &[0, 0], false)];
    let taken_back_in_order = [Push(1, 0), Push(0, 1), refused(1, &[0, 0], true)];
    let within_a_tick = [
        Push(0, 0),
        Push(0, 0),
        Push(1, 0),
        Push(0, 1),
        refused(0, &[0], false),
        refused(0, &[0], false),
        refused(1, &[0], false),
        Tick(1, MAIN),
    ];
    for events in [&taken_back_twice[..], &taken_back_in_order, &within_a_tick] {
        assert_the_last_of(events);
    }
}

#[test]
fn in_any_order_the_last_listener_of_two_modules_is_in_force_in_the_end() {
    let cases = std::env::var("ZONEGATE_ORDERS").map_or(150, |orders| orders.parse().unwrap());
    let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
    let events = proptest::collection::vec(event(), 1..60);
    let judged = TestRunner::new(config).run(&events, |events| {
        assert_the_last_of(&events);
        Ok(())
    });
    judged.unwrap_or_else(|error| panic!("{error}"));
}
