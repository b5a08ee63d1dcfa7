//! One gateway in several VMs of one host: who is given what, who hears of what, and when.
//!
//! A VM without streams stands for that of Envoy's main thread.

use zonegate::lifecycle::Effect;
use zonegate::log_line::LogLine;
use zonegate::metrics::{Change, Counter, Gauge, Labels, Metric};

use crate::vm_host::{Shared, Vm, long, revoking};

const REVOKED: Option<&str> = Some("revoked");
const UNAVAILABLE: Option<&str> = Some("policy_unavailable");

/// Envoy reuses the root contexts of a worker, but configures a new one on its main thread.
#[test]
fn a_worker_hears_that_the_host_went_back_however_large_the_policy_is() {
    for [a, b] in [[revoking("id-1"), revoking("id-2")], [long("id-1"), long("id-2")]] {
        let shared = Shared::default();
        let (mut main, mut worker) = (Vm::new(&shared, 1), Vm::new(&shared, 2));
        main.given(a.clone());
        let first = worker.given(a.clone());
        main.given(b.clone());
        worker.given(b);
        assert_eq!(worker.says("other").as_deref(), REVOKED);
        main.tick(100);
        worker.tick(100);
        main.given(a);
        // The main thread publishes a configuration only after a tick.
        worker.tick(100);
        assert_eq!(worker.refuses("other", Some(first)).as_deref(), REVOKED);
        main.tick(100);
        worker.tick(100);
        assert_eq!(worker.refuses("other", Some(first)), None);
        assert_eq!(worker.refuses("good", Some(first)).as_deref(), REVOKED);
    }
}

/// Envoy also reuses a root context of its main thread, if the last push comes before that root context is dropped
/// there. Then Envoy drops all other root contexts, in any order.
#[test]
fn a_worker_hears_which_configuration_alone_is_left_on_the_main_thread() {
    for [left, first, second] in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]]
    {
        let shared = Shared::default();
        let (mut main, mut worker) = (Vm::new(&shared, 1), Vm::new(&shared, 2));
        let (mut of_main, mut of_worker) = (Vec::new(), Vec::new());
        let ids = ["id-1", "id-2", "id-3"];
        let last = ids.len() - 1;
        // The one that is left revokes id-1, the token "good".
        for index in 0..ids.len() {
            let id = ids[(index + ids.len() - left) % ids.len()];
            of_main.push(main.given(revoking(id)));
            of_worker.push(worker.given(revoking(id)));
        }
        let open = (left != last).then(|| worker.opens("good"));
        main.tick(100);
        worker.tick(100);
        main.dropped(of_main[first]);
        let mut effects = main.tick(100);
        main.dropped(of_main[second]);
        effects.extend(main.tick(100));
        let went_back = effects.contains(&Effect::Log(Box::new(LogLine::WentBack)));
        assert_eq!(went_back, left != last, "{left} {first} {second}");
        let cut = worker.tick(100);
        assert!(
            open.is_none_or(|open| cut.contains(&Effect::Cut(open))),
            "{left} {first} {second}"
        );
        let under = Some(of_worker[left]);
        assert_eq!(worker.refuses("good", under).as_deref(), REVOKED);
        assert_eq!(worker.refuses("other", under), None, "{left} {first} {second}");
        assert_eq!(worker.refuses("short", under), None, "{left} {first} {second}");
    }
}

/// A stream of an old listener starts a VM anew, with an old configuration.
#[test]
fn a_new_vm_does_not_trust_what_nobody_has_confirmed() {
    for (newest, of_others) in [(revoking("id-1"), None), (long("id-1"), UNAVAILABLE)] {
        let shared = Shared::default();
        let mut main = Vm::new(&shared, 1);
        for configuration in [revoking("id-2"), newest.clone()] {
            main.given(configuration);
            main.tick(100);
        }
        let mut anew = Vm::new(&shared, 2);
        let old = anew.given(revoking("id-2"));
        for _ in 0..50 {
            assert!(anew.says("good").is_some(), "the newest policy revokes it");
            assert_eq!(anew.says("short").as_deref(), of_others);
            anew.tick(100);
            main.tick(100);
        }
        // The VM is given the configuration of the new listener when a stream begins there.
        let new = anew.given(newest);
        assert_eq!(anew.refuses("good", Some(new)).as_deref(), REVOKED);
        assert_eq!(anew.refuses("short", Some(new)), None);
        assert_eq!(anew.refuses("other", Some(old)).as_deref(), REVOKED);
    }
}

/// A worker that has no streams yet, and is late.
#[test]
fn a_late_confirmation_does_not_bring_back_an_earlier_policy() {
    let shared = Shared::default();
    let (mut main, mut late) = (Vm::new(&shared, 1), Vm::new(&shared, 2));
    late.given(revoking("id-1"));
    for configuration in [revoking("id-1"), revoking("id-2")] {
        main.given(configuration);
        main.tick(100);
    }
    late.tick(100);
    assert_eq!(late.says("other").as_deref(), REVOKED);
    let mut anew = Vm::new(&shared, 3);
    anew.given(revoking("id-2"));
    assert_eq!(anew.says("good"), None);
}

/// Envoy asks a VM, and then refuses the whole for another reason.
#[test]
fn no_vm_takes_a_configuration_that_envoy_refused_after_all() {
    let shared = Shared::default();
    let (mut main, mut worker) = (Vm::new(&shared, 1), Vm::new(&shared, 2));
    for vm in [&mut main, &mut worker] {
        vm.given(revoking("id-1"));
        vm.tick(100);
    }
    let refused = main.given(revoking("id-2"));
    main.dropped(refused);
    for _ in 0..3 {
        main.tick(100);
        worker.tick(100);
    }
    assert_eq!(worker.says("other"), None);
    assert_eq!(worker.says("good").as_deref(), REVOKED);
}

/// How often a VM that is given a configuration counts it as an accepted push.
fn accepted(vm: &mut Vm<'_>, id: &str) -> usize {
    let mut effects = Vec::new();
    vm.given_with(revoking(id), &mut effects);
    let counted = Effect::Change(Metric::Counter(Counter::ConfigAccepted), Change::Count);
    effects.iter().filter(|effect| **effect == counted).count()
}

/// A worker that drops a configuration and takes the next one right after that tells nobody of the one between.
#[test]
fn a_late_worker_does_not_bring_back_an_earlier_policy() {
    let shared = Shared::default();
    let (mut main, mut late) = (Vm::new(&shared, 1), Vm::new(&shared, 2));
    let mut given = Vec::new();
    for id in ["id-1", "id-2"] {
        main.given(revoking(id));
        given.push(late.given(revoking(id)));
    }
    main.given(revoking("id-1"));
    main.tick(100);
    late.dropped(given[0]);
    assert_eq!(accepted(&mut late, "id-1"), 0, "it is counted twice");
    late.tick(100);
    main.tick(100);
    for vm in [&mut main, &mut late] {
        assert_eq!(vm.says("good").as_deref(), REVOKED);
        assert_eq!(vm.says("other"), None);
    }
}

/// Two pushes come before the workers take the first: the VM of a worker is new, and late.
#[test]
fn a_new_vm_that_is_late_records_no_push_again() {
    let shared = Shared::default();
    let (mut main, mut late) = (Vm::new(&shared, 1), Vm::new(&shared, 2));
    for id in ["id-1", "id-2"] {
        assert_eq!(accepted(&mut main, id), 1);
    }
    assert_eq!(accepted(&mut late, "id-1"), 0);
    late.tick(100);
    main.tick(100);
    assert_eq!(accepted(&mut late, "id-2"), 0);
    late.tick(100);
    for vm in [&mut main, &mut late] {
        assert_eq!(vm.says("other").as_deref(), REVOKED);
        assert_eq!(vm.says("good"), None);
    }
}

/// Envoy gives a push, and before it is confirmed another one, which Envoy takes back at once.
#[test]
fn a_push_that_is_taken_back_leaves_the_one_before_to_be_confirmed() {
    let shared = Shared::default();
    let mut main = Vm::new(&shared, 1);
    main.given(revoking("id-1"));
    main.tick(100);
    main.given(revoking("id-2"));
    main.asked_in_vain(revoking("id-3"), &mut Vec::new());
    let mut worker = Vm::new(&shared, 2);
    main.tick(100);
    worker.given(revoking("id-2"));
    assert_eq!(worker.says("other").as_deref(), REVOKED);
    assert_eq!(worker.says("good"), None);
    assert_eq!(worker.says("short"), None, "the push that was taken back is not in force");
}

/// Each configuration may ask for ticks.
#[test]
fn calls_that_come_soon_after_a_tick_belong_to_it() {
    let shared = Shared::default();
    let (mut main, mut worker) = (Vm::new(&shared, 1), Vm::new(&shared, 2));
    for vm in [&mut main, &mut worker] {
        vm.given(revoking("id-1"));
        vm.tick(100);
    }
    main.given(revoking("id-2"));
    for (milliseconds, revoked) in [(0, None), (89, None), (1, REVOKED)] {
        main.tick(milliseconds);
        worker.tick(100);
        assert_eq!(worker.says("other").as_deref(), revoked, "{milliseconds}");
    }
}

/// Each end of a stream takes some of the stack of the host.
#[test]
fn no_callback_ends_more_streams_than_the_host_can() {
    let shared = Shared::default();
    let mut worker = Vm::new(&shared, 1);
    worker.given(revoking(""));
    worker.tick(100);
    for _ in 0..1_000 {
        worker.opens("other");
    }
    let cuts =
        |effects: &[Effect]| effects.iter().filter(|one| matches!(one, Effect::Cut(_))).count();
    let mut effects = Vec::new();
    worker.given_with(revoking("id-2"), &mut effects);
    let mut all = cuts(&effects);
    // Cuts are spread over half a second.
    for milliseconds in (20..=600).step_by(20) {
        let ended = cuts(&worker.tick(20));
        assert!(ended <= 64, "{ended} at once");
        all += ended;
        assert!(milliseconds < 600 || all == 1_000, "{all} have ended");
    }
}

/// The host learns the names of metrics, and how many keys and ids there are.
#[test]
fn a_policy_in_force_defines_and_shows_what_it_holds() {
    let shared = Shared::default();
    let (mut before, mut new) = (Vm::new(&shared, 1), Vm::of_module(2, &shared, 2));
    let mut given = Vec::new();
    before.given_with(revoking("id-1,id-2"), &mut given);
    new.given(revoking("id-1,id-2,id-3"));
    new.tick(100);
    for (effects, revoked) in [(given, 2), (before.tick(100), 3)] {
        let defines = |effect: &Effect| matches!(effect, Effect::Define(labels) if *labels != Labels::default());
        assert!(effects.iter().any(defines), "{effects:?}");
        for (gauge, value) in [(Gauge::ConfigKeys, 1), (Gauge::ConfigRevocations, revoked)] {
            let shown = Effect::Change(Metric::Gauge(gauge), Change::set(value));
            assert!(effects.contains(&shown), "{shown:?} is not in {effects:?}");
        }
    }
}

/// Envoy leaves a worker without the filter that refuses a configuration.
#[test]
fn a_vm_that_refuses_a_configuration_continues_with_the_one_before() {
    let shared = Shared::default();
    let mut vm = Vm::new(&shared, 1);
    vm.given(revoking("id-1"));
    vm.given(b"{".to_vec());
    assert_eq!(vm.says("good").as_deref(), REVOKED);
    assert_eq!(vm.says("other"), None);
}

/// Another VM of the module was given an earlier configuration again, which the host then drops here.
#[test]
fn what_was_found_is_not_in_force_beside_the_only_configuration_left() {
    let shared = Shared::default();
    let (mut main, mut other) = (Vm::new(&shared, 1), Vm::new(&shared, 2));
    let [first, second, left] = ["id-1", "id-2", "id-3"].map(|id| main.given(revoking(id)));
    main.tick(100);
    other.given(revoking("id-1"));
    other.tick(100);
    main.tick(100);
    main.dropped(first);
    main.dropped(second);
    main.tick(100);
    assert_eq!(main.refuses("good", Some(left)), None);
    assert_eq!(main.refuses("short", Some(left)).as_deref(), REVOKED);
}
