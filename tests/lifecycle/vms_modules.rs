//! One gateway in the VMs of two modules of one host: an upgrade, its way back, and the streams of the previous module.
//!
//! A VM without streams stands for that of Envoy's main thread.

use zonegate::lifecycle::Effect;

use crate::vm_host::{Shared, Vm, long, revoking};

const REVOKED: Option<&str> = Some("revoked");
const UNAVAILABLE: Option<&str> = Some("policy_unavailable");

/// The VM of the module before is given nothing any more.
#[test]
fn a_vm_that_is_given_no_more_takes_what_others_are_given() {
    let shared = Shared::default();
    let (mut before, mut new) = (Vm::new(&shared, 1), Vm::of_module(2, &shared, 2));
    before.given(revoking("id-1"));
    new.given(revoking("id-2"));
    before.tick(100);
    assert_eq!(before.says("other"), None, "it does not stand yet");
    new.tick(100);
    before.tick(100);
    assert_eq!(before.says("other").as_deref(), REVOKED);
    assert_eq!(before.says("good").as_deref(), REVOKED, "a stream there must satisfy both");
}

/// A VM waits for a configuration that is too large to be published. It lets nothing in meanwhile, nor later.
#[test]
fn a_vm_that_cannot_follow_lets_nothing_in() {
    let shared = Shared::default();
    let (mut before, mut new) = (Vm::new(&shared, 1), Vm::of_module(2, &shared, 2));
    before.given(revoking(""));
    let open = before.opens("other");
    new.given(long("id-1"));
    new.tick(100);
    for (milliseconds, is_cut) in [(100, false), (29_900, false), (100, true), (60_000, false)] {
        let effects = before.tick(milliseconds);
        assert_eq!(effects.contains(&Effect::Cut(open)), is_cut, "{milliseconds}");
        assert_eq!(before.says("other").as_deref(), UNAVAILABLE);
    }
    // A worker that was only late is given it after all.
    let mut late = Vm::of_module(2, &shared, 3);
    late.given(long("id-1"));
    assert_eq!(late.says("good").as_deref(), REVOKED);
    assert_eq!(late.says("other"), None);
}

/// An upgrade: every VM is new, and so is the configuration.
#[test]
fn a_new_vm_trusts_what_it_was_given_once_that_is_confirmed() {
    for [before, after] in [
        [revoking("id-1"), revoking("id-2")],
        [long("id-1"), long("id-2")],
        [long("id-1"), revoking("id-2")],
    ] {
        let shared = Shared::default();
        let mut old = Vm::new(&shared, 1);
        old.given(before);
        old.tick(100);
        let (mut main, mut worker) = (Vm::of_module(2, &shared, 2), Vm::of_module(2, &shared, 3));
        main.given(after.clone());
        worker.given(after);
        assert!(worker.says("good").is_some() && worker.says("other").is_some());
        main.tick(100);
        worker.tick(100);
        assert_eq!(worker.says("good"), None);
        assert_eq!(worker.says("other").as_deref(), REVOKED);
    }
}

/// Back to module and configuration as they were: the VMs of the first module are new again. The module between may
/// have the same sources: Envoy also makes new VMs for another VM identifier or environment.
#[test]
fn a_module_and_its_configuration_that_come_back_are_a_push() {
    for (module_between, is_confirmed) in [(1, true), (1, false), (2, true), (2, false)] {
        let shared = Shared::default();
        let mut first = Vm::new(&shared, 1);
        first.given(revoking("id-1"));
        let mut second = Vm::of_module(module_between, &shared, 2);
        if is_confirmed {
            first.tick(100);
        }
        second.given(revoking("id-2"));
        if is_confirmed {
            second.tick(100);
        }
        let open = second.opens("good");
        let mut again = Vm::new(&shared, 3);
        again.given(revoking("id-1"));
        let is_cut = (0..5).any(|_| {
            again.tick(100);
            second.tick(100).contains(&Effect::Cut(open))
        });
        assert!(is_cut, "{module_between} {is_confirmed}");
        assert_eq!(again.says("other"), None, "{module_between} {is_confirmed}");
    }
}

/// The policy of a new module, found early by a VM of the previous module, stays in force there.
#[test]
fn a_vm_of_the_previous_module_keeps_the_policy_of_the_new_module() {
    for back_to in ["id-3", "id-1"] {
        let shared = Shared::default();
        let mut before = Vm::new(&shared, 1);
        let first = before.given(revoking("id-1"));
        before.given(revoking("id-2"));
        before.tick(100);
        // The bytes of the second round are those that the previous module had first.
        let mut new = Vm::of_module(2, &shared, 2);
        new.given(revoking(back_to));
        new.tick(100);
        before.tick(100);
        before.dropped(first);
        // It takes no memory, unless it is the policy in force.
        assert_eq!(before.gateway.lifecycle.has(first), back_to == "id-1");
        before.tick(100);
        new.tick(100);
        let revoked = if back_to == "id-1" { "good" } else { "short" };
        assert_eq!(before.says(revoked).as_deref(), REVOKED, "{back_to}");
        assert_eq!(new.says(revoked).as_deref(), REVOKED, "{back_to}");
        assert_eq!(new.says("other"), None, "the policy of the previous module is not in force");
    }
}
