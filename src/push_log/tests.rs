//! One log in several VMs: who speaks of a push, and who finds it.
#![allow(clippy::unwrap_used)] // a test may panic

use std::cell::RefCell;

use super::record::{ENTRY, KNOWN};
use super::*;
use crate::shared_data::tests::Host;

const NOW: Duration = Duration::from_secs(10);

fn none(_: Content) -> bool {
    false
}

fn log() -> PushLog {
    PushLog::new("g", 1)
}

#[test]
fn one_vm_speaks_of_each_push_also_of_one_that_was_there_before() {
    let host = Host::default();
    let (mut main, mut fast, mut slow) = (log(), log(), log());
    for configuration in [b"a", b"b", b"a", b"b"] {
        assert!(main.take(&host, &Push::of(configuration)));
        assert!(!fast.take(&host, &Push::of(configuration)));
    }
    // A VM that is new is given what was given last, or something new.
    assert!(!slow.take(&host, &Push::of(b"b")));
    assert!(slow.take(&host, &Push::of(b"c")));
    assert!(!main.take(&host, &Push::of(b"c")) && !fast.take(&host, &Push::of(b"c")));
    assert_eq!([main.given(), fast.given(), slow.given()], [5; 3]);
}

#[test]
fn two_vms_at_once_speak_once() {
    let host = Host::default();
    log().take(&host, &Push::of(b"before"));
    host.meanwhile.set(Some(|host| {
        let mut other = log();
        other.take(host, &Push::of(b"before"));
        assert!(other.take(host, &Push::of(b"a")));
    }));
    let mut ours = log();
    ours.dropped = 1;
    assert!(!ours.take(&host, &Push::of(b"a")));
}

#[test]
fn many_pushes_take_no_more_room_than_some() {
    let host = Host::default();
    let mut vm = log();
    for index in 0..1_000_u32 {
        assert!(vm.take(&host, &Push::of(&index.to_le_bytes())));
    }
    let data = host.data.borrow();
    assert_eq!(data.get("zonegate.g.pushes").unwrap().0.len(), KNOWN * ENTRY);
    assert_eq!(vm.given(), 1_000);
}

#[test]
fn a_vm_that_is_given_no_more_finds_what_others_are_given() {
    let host = Host::default();
    let (mut before, mut new) = (log(), log());
    before.take(&host, &Push::of(b"a"));
    new.take(&host, &Push::of(b"a"));
    assert_eq!(before.newer(&host, NOW, none), None);
    new.take(&host, &Push::of(b"b"));
    // Not before it stands.
    assert_eq!(before.newer(&host, NOW, none), None);
    new.confirm(&host);
    assert_eq!(before.newer(&host, NOW, none), Some(Newer::Configuration(b"b".to_vec())));
    assert_eq!(before.newer(&host, NOW, none), None);
    // It is given after all: nothing that others do not know.
    assert!(!before.take(&host, &Push::of(b"b")));
    assert_eq!(before.newer(&host, NOW, none), None);
    // Of another gateway nothing is found.
    assert_eq!(PushLog::new("other", 1).newer(&host, NOW, none), None);
}

#[test]
fn one_that_is_too_large_is_waited_for_and_then_unknown() {
    let host = Host::default();
    let (mut before, mut late, mut new) = (log(), log(), log());
    for vm in [&mut new, &mut before, &mut late] {
        vm.take(&host, &Push::of(b"a"));
    }
    let large = vec![b'x'; PUBLISHED_BYTES + 1];
    new.take(&host, &Push::of(&large));
    new.confirm(&host);
    for vm in [&mut before, &mut late] {
        let just_before = NOW + LATE - Duration::from_millis(1);
        assert_eq!(vm.newer(&host, NOW, none), Some(Newer::Awaited));
        assert_eq!(vm.newer(&host, just_before, none), Some(Newer::Awaited));
    }
    assert!(!late.take(&host, &Push::of(&large)));
    assert_eq!(late.newer(&host, NOW + LATE, none), None);
    assert_eq!(before.newer(&host, NOW + LATE, none), Some(Newer::Unknown));
    assert_eq!(before.newer(&host, NOW + LATE, none), None);
}

/// However large it is, one that the VM still has is found at once.
#[test]
fn one_that_is_given_again_is_known() {
    let host = Host::default();
    let (mut main, mut worker) = (log(), log());
    let large = vec![b'x'; PUBLISHED_BYTES + 1];
    for configuration in [&large[..], b"b"] {
        assert!(main.take(&host, &Push::of(configuration)));
        assert!(!worker.take(&host, &Push::of(configuration)));
    }
    assert!(main.take(&host, &Push::of(&large)));
    main.confirm(&host);
    let content = Content::of(&large);
    let found = worker.newer(&host, NOW, |known| known == content);
    assert_eq!(found, Some(Newer::Known(content)));
    assert_eq!(worker.newer(&host, NOW, none), None);
}

#[test]
fn what_was_refused_here_is_not_taken_from_others() {
    let host = Host::default();
    let (mut main, mut worker) = (log(), log());
    main.take(&host, &Push::of(b"a"));
    worker.take(&host, &Push::of(b"a"));
    main.take(&host, &Push::of(b"b"));
    worker.refuse(&host);
    main.confirm(&host);
    assert_eq!(worker.newer(&host, NOW, none), None);
    main.take(&host, &Push::of(b"c"));
    main.confirm(&host);
    assert_eq!(worker.newer(&host, NOW, none), Some(Newer::Configuration(b"c".to_vec())));
}

/// Two VMs confirm at the same time: the later configuration is published.
#[test]
fn a_vm_that_confirms_late_does_not_replace_a_later_configuration() {
    let host = Host::default();
    let mut early = log();
    early.take(&host, &Push::of(b"a"));
    host.meanwhile.set(Some(|host| {
        let mut late = log();
        late.take(host, &Push::of(b"b"));
        late.confirm(host);
    }));
    early.confirm(&host);
    assert_eq!(log().newest(&host).unwrap().1.as_deref(), Some(&b"b"[..]));
}

/// Another module was given something else meanwhile.
#[test]
fn what_was_given_before_another_module_is_a_new_push() {
    let host = Host::default();
    let (mut first, mut second) = (log(), PushLog::new("g", 2));
    assert!(!first.is_found());
    assert!(first.take(&host, &Push::of(b"a")));
    assert!(second.take(&host, &Push::of(b"b")));
    assert!(first.take(&host, &Push::of(b"a")));
    assert_eq!(first.given(), 3);
}

#[test]
fn what_is_the_last_entry_already_is_not_recorded_again() {
    let host = Host::default();
    let (mut vm, push) = (log(), Push::of(b"a"));
    vm.take(&host, &push);
    assert_eq!(vm.settle(&host, &push), Settled::NotYet);
    vm.confirm(&host);
    assert_eq!(vm.settle(&host, &push), Settled::Yes);
    assert_eq!((vm.given(), vm.record.entries(&host).len()), (1, 1));
}

#[test]
fn only_what_stands_is_published() {
    let host = Host::default();
    let mut vm = log();
    let (mut a, c) = (Push::of(b"a"), Push::of(b"c"));
    a.forget_bytes();
    vm.take(&host, &a);
    vm.confirm(&host);
    assert_eq!(vm.newest(&host), Some((a.content(), None)));
    vm.take(&host, &Push::of(b"b"));
    vm.leave_unconfirmed();
    vm.confirm(&host);
    assert_eq!(vm.newest(&host), Some((a.content(), None)));
    vm.take(&host, &c);
    assert!(vm.forget(&host, 2));
    vm.confirm(&host);
    assert_eq!(vm.newest(&host), Some((a.content(), None)));
}

/// Between this VM's look at the confirmed push and its own confirmation, another VM confirms an earlier one.
#[test]
fn the_later_of_two_pushes_that_are_confirmed_at_once_is_confirmed() {
    struct Racing {
        inner: Host,
        other: RefCell<Option<PushLog>>,
    }
    impl SharedData for Racing {
        fn get(&self, key: &str) -> Option<(Vec<u8>, u32)> {
            let seen = self.inner.get(key);
            if key.ends_with("confirmed")
                && let Some(mut other) = self.other.take()
            {
                other.confirm(&self.inner);
            }
            seen
        }

        fn set(&self, key: &str, bytes: &[u8], version: Option<u32>) -> bool {
            self.inner.set(key, bytes, version)
        }
    }
    let host = Host::default();
    let (mut other, mut vm, b) = (log(), PushLog::new("g", 2), Push::of(b"b"));
    other.take(&host, &Push::of(b"a"));
    vm.take(&host, &b);
    let racing = Racing { inner: host, other: RefCell::new(Some(other)) };
    vm.confirm(&racing);
    assert_eq!(vm.newest(&racing).map(|(content, _)| content), Some(b.content()));
}
