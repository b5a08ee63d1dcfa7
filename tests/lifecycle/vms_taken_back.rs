//! Configurations that Envoy takes back, and earlier ones that it takes up again, with several VMs.

use zonegate::lifecycle::{Effect, PolicyNumber, StreamId};
use zonegate::metrics::{Change, Gauge, Metric};

use crate::vm_host::{Shared, Vm, revoking};

/// Each VM ticks this many times.
fn tick(vms: &mut [&mut Vm<'_>], times: usize) -> Vec<Effect> {
    let mut effects = Vec::new();
    for _ in 0..times {
        effects.extend(vms.iter_mut().flat_map(|vm| vm.tick(100)));
    }
    effects
}

/// By LDS: this module with A, another module with B, and then a listener with this module and C, which Envoy refuses
/// after it has asked the VMs. The listener of A is still being drained.
#[test]
fn a_push_that_is_taken_back_leaves_the_policy_of_another_module_in_force() {
    let shared = Shared::default();
    let (mut main, mut worker) = (Vm::new(&shared, 1), Vm::new(&shared, 2));
    let [a, b, c] = ["id-3", "id-1", "id-1,id-2"].map(revoking);
    main.given(a.clone());
    let under_a = worker.given(a);
    worker.opens("other");
    tick(&mut [&mut main, &mut worker], 1);
    let mut new = [3, 4].map(|number| Vm::of_module(2, &shared, number));
    new.iter_mut().for_each(|vm| _ = vm.given(b.clone()));
    let [new_main, new_worker] = &mut new;
    tick(&mut [new_main, new_worker, &mut main, &mut worker], 3);
    new_worker.opens("other");
    assert_eq!(worker.refuses("good", Some(under_a)).as_deref(), Some("revoked"));
    Vm::new(&shared, 9).asked_in_vain(c.clone(), &mut Vec::new());
    main.asked_in_vain(c.clone(), &mut Vec::new());
    worker.asked_in_vain(c, &mut Vec::new());
    for _ in 0..3 {
        assert_eq!(worker.refuses("good", Some(under_a)).as_deref(), Some("revoked"));
        // A revokes this one, and B does not.
        assert_eq!(new_worker.says("short"), None);
        tick(&mut [&mut main, new_main, new_worker, &mut worker], 100);
    }
}

/// By LDS: A, B, A again to the byte; then B's listener is drained. Between the last two, Envoy may refuse a listener with
/// another module.
#[test]
fn a_refused_listener_of_another_module_does_not_hide_that_the_host_went_back() {
    for with_refused in [false, true] {
        let shared = Shared::default();
        let (mut main, mut worker) = (Vm::new(&shared, 1), Vm::new(&shared, 2));
        let [a, b] = ["id-1", "id-2"].map(revoking);
        main.given(a.clone());
        let under_a = worker.given(a.clone());
        worker.opens("short");
        tick(&mut [&mut main, &mut worker], 1);
        let drained = main.given(b.clone());
        worker.given(b);
        let open = worker.opens("good");
        tick(&mut [&mut main, &mut worker], 1);
        // Only a new VM is asked. The others have their root contexts of A.
        Vm::new(&shared, 8).asked_in_vain(a, &mut Vec::new());
        if with_refused {
            Vm::of_module(2, &shared, 9).asked_in_vain(revoking("id-9"), &mut Vec::new());
        }
        tick(&mut [&mut main, &mut worker], 1);
        main.dropped(drained);
        let effects = tick(&mut [&mut main, &mut worker], 60);
        assert!(effects.contains(&Effect::Cut(open)), "{with_refused}");
        assert_eq!(worker.refuses("other", Some(under_a)), None, "B revokes it");
    }
}

/// A configuration that revokes `id-1` followed by this name, and many other ids: less than 1 MiB of text, more than
/// 1 MiB of memory.
fn many(name: &str) -> Vec<u8> {
    let ids: Vec<String> = (0..60_000).map(|at| format!("{name}{at:06}")).collect();
    revoking(&format!("id-1{name},{}", ids.join(",")))
}

/// By ECDS: Envoy takes up a root context again whose policy was dropped to save memory.
#[test]
fn a_host_that_goes_back_to_a_policy_that_was_not_kept_begins_streams_under_it() {
    let shared = Shared::default();
    let (mut main, mut worker) = (Vm::new(&shared, 1), Vm::new(&shared, 2));
    let mut before: Option<PolicyNumber> = None;
    let mut give = |main: &mut Vm<'_>, name: &str| {
        let number = main.given(many(name));
        if let Some(before) = before.replace(number) {
            main.dropped(before);
        }
    };
    give(&mut main, "a");
    let under_a = worker.given(many("a"));
    let open = worker.opens("other");
    for name in ["b", "c", "d"] {
        give(&mut main, name);
        worker.given(many(name));
        worker.opens("other");
        tick(&mut [&mut main, &mut worker], 1);
    }
    assert!(!worker.gateway.lifecycle.has(under_a), "the limit has changed");
    give(&mut main, "a");
    let effects = tick(&mut [&mut main, &mut worker], 2);
    assert!(!effects.contains(&Effect::Cut(open)));
    assert_eq!(worker.refuses("other", Some(under_a)), None);
}

fn shown(effects: &[Effect]) -> Option<u64> {
    effects.iter().rev().find_map(|effect| match effect {
        Effect::Change(Metric::Gauge(Gauge::ConfigRevocations), Change::Set(count)) => Some(*count),
        _ => None,
    })
}

#[test]
fn the_gauges_of_the_policy_show_the_one_in_force() {
    // After a push that is taken back.
    for streams in 0..2 {
        let (shared, mut effects) = (Shared::default(), Vec::new());
        let (mut main, mut worker) = (Vm::new(&shared, 1), Vm::new(&shared, 2));
        for vm in [&mut main, &mut worker] {
            vm.given_with(revoking("id-1"), &mut effects);
            effects.extend(vm.tick(100));
        }
        let _open: Vec<StreamId> = (0..streams).map(|_| worker.opens("other")).collect();
        for vm in [&mut main, &mut worker] {
            vm.asked_in_vain(revoking("id-1,id-2,id-3"), &mut effects);
        }
        effects.extend(tick(&mut [&mut main, &mut worker], 2));
        assert_eq!(shown(&effects), Some(1), "{streams} streams");
    }
    // After an old listener has started a VM anew.
    let (shared, mut effects) = (Shared::default(), Vec::new());
    let (mut main, mut anew) = (Vm::new(&shared, 1), Vm::new(&shared, 2));
    for configuration in [revoking(""), revoking("id-1,id-2,id-3")] {
        main.given_with(configuration, &mut effects);
        effects.extend(main.tick(100));
    }
    anew.given_with(revoking(""), &mut effects);
    let _ = anew.says("other");
    effects.extend(tick(&mut [&mut main, &mut anew], 2));
    assert_eq!(shown(&effects), Some(3));
}
