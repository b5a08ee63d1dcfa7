//! One gateway in several VMs of one host: who is given what, who hears of what, and when.
//!
//! The VMs share what [`Shared`] keeps, as Envoy's do. A VM without streams stands for that of Envoy's main
//! thread.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use zonegate::gate::{ADS_SOTW, Now, UnixTime};
use zonegate::lifecycle::{Clocks, Effect, PolicyNumber, Request, Step, StreamId};
use zonegate::log_line::LogLine;
use zonegate::push_log::LEFT_BYTES;
use zonegate::shared_data::SharedData;
use zonegate::token::RSA_CRATE;
use zonegate::vm_gateway::VmGateway;

use crate::host::{KEY, START, Shown, bytes, head, token};

/// Shared data as Envoy has it (proxy-wasm-cpp-host: `src/shared_data.cc`).
#[derive(Default)]
pub(crate) struct Shared(RefCell<BTreeMap<String, (Vec<u8>, u32)>>);

impl SharedData for Shared {
    fn get(&self, key: &str) -> Option<(Vec<u8>, u32)> {
        self.0.borrow().get(key).cloned()
    }

    fn set(&self, key: &str, bytes: &[u8], version: Option<u32>) -> bool {
        let mut all = self.0.borrow_mut();
        let known = all.get(key).map(|(_, version)| *version);
        if version.is_some() && known.is_some() && known != version {
            return false;
        }
        all.insert(key.to_owned(), (bytes.to_vec(), known.unwrap_or(0) + 1));
        true
    }
}

/// A configuration that revokes these ids.
pub(crate) fn revoking(ids: &str) -> Vec<u8> {
    let keys = json!([{ "kid": "1", "key": KEY.public_key_pem() }]);
    let config: Value = json!({ "zone": "east", "publicKeys": keys, "revocations": ids });
    config.to_string().into_bytes()
}

/// A configuration that revokes `id`, and is too large to be published for other VMs.
fn long(id: &str) -> Vec<u8> {
    revoking(&format!("{id},{}", "x".repeat(LEFT_BYTES)))
}

pub(crate) struct Vm<'a> {
    shared: &'a Shared,
    pub(crate) gateway: VmGateway,
    milliseconds: u64,
    streams: u32,
    /// Of the configuration that was given last.
    under: Option<PolicyNumber>,
}

impl<'a> Vm<'a> {
    pub(crate) fn new(shared: &'a Shared, number: u64) -> Self {
        let gateway = VmGateway::new("gateway", number, &RSA_CRATE);
        Self { shared, gateway, milliseconds: 0, streams: 0, under: None }
    }

    fn now(&self) -> Clocks {
        let wall = Now(Some(UnixTime::from_secs(START)));
        Clocks { wall, monotonic: Duration::from_millis(self.milliseconds) }
    }

    fn given(&mut self, configuration: Vec<u8>) -> PolicyNumber {
        self.given_with(configuration, &mut Vec::new())
    }

    pub(crate) fn given_with(
        &mut self,
        configuration: Vec<u8>,
        effects: &mut Vec<Effect>,
    ) -> PolicyNumber {
        let now = self.now();
        let configured = self.gateway.on_configuration(self.shared, configuration, now, effects);
        self.under = configured.number;
        self.under.unwrap()
    }

    /// The host begins no more streams under this configuration.
    pub(crate) fn dropped(&mut self, number: PolicyNumber) {
        self.gateway.on_configuration_dropped(self.shared, number);
    }

    pub(crate) fn tick(&mut self, milliseconds: u64) -> Vec<Effect> {
        self.milliseconds += milliseconds;
        let (now, mut effects) = (self.now(), Vec::new());
        self.gateway.on_tick(self.shared, now, &mut effects);
        effects
    }

    /// The reason for which a stream with this token is refused that begins under `under`.
    pub(crate) fn refuses(&mut self, name: &str, under: Option<PolicyNumber>) -> Option<String> {
        self.streams += 1;
        let text = token(name);
        let request = Request {
            stream: StreamId(self.streams),
            under,
            head: head(ADS_SOTW, &text),
            request_id: b"",
            header_bytes: 0,
            is_end: false,
        };
        let mut effects = Vec::new();
        let step = self.gateway.lifecycle.on_headers(&request, self.now().wall, &mut effects);
        assert_eq!(step, Step::Pause, "nothing is let in before its first message");
        let refused = effects.iter().find_map(|effect| match effect {
            Effect::Facts(_, facts) => facts.reason.map(|reason| reason.to_string()),
            _ => None,
        });
        self.gateway.lifecycle.on_end(StreamId(self.streams));
        refused
    }

    /// Opens a stream with this token, under the configuration that was given last.
    fn opens(&mut self, name: &str) -> StreamId {
        self.asks(name, self.under).expect("it is refused")
    }

    /// A stream begins with this token, under `under`. `None` where it is refused.
    pub(crate) fn asks(&mut self, name: &str, under: Option<PolicyNumber>) -> Option<StreamId> {
        self.streams += 1;
        let (id, text, mut effects) = (StreamId(self.streams), token(name), Vec::new());
        let request = Request {
            stream: id,
            under,
            head: head(ADS_SOTW, &text),
            request_id: b"",
            header_bytes: 0,
            is_end: false,
        };
        let (life, clock) = (&mut self.gateway.lifecycle, Now(Some(UnixTime::from_secs(START))));
        let _ = life.on_headers(&request, clock, &mut effects);
        let message = bytes("ingress");
        let step = life.on_body(id, &Shown(&message), false, &|| clock, &mut effects);
        if step == Step::Continue {
            return Some(id);
        }
        life.on_end(id);
        None
    }

    /// As [`Self::refuses`], under the configuration that was given last.
    fn says(&mut self, name: &str) -> Option<String> {
        self.refuses(name, self.under)
    }
}

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

/// The VM of the module before is given nothing any more.
#[test]
fn a_vm_that_is_given_no_more_takes_what_others_are_given() {
    let shared = Shared::default();
    let (mut before, mut new) = (Vm::new(&shared, 1), Vm::new(&shared, 2));
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
    let (mut before, mut new) = (Vm::new(&shared, 1), Vm::new(&shared, 2));
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
    let mut late = Vm::new(&shared, 3);
    late.given(long("id-1"));
    assert_eq!(late.says("good").as_deref(), REVOKED);
    assert_eq!(late.says("other"), None);
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
        let (mut main, mut worker) = (Vm::new(&shared, 2), Vm::new(&shared, 3));
        main.given(after.clone());
        worker.given(after);
        assert!(worker.says("good").is_some() && worker.says("other").is_some());
        main.tick(100);
        worker.tick(100);
        assert_eq!(worker.says("good"), None);
        assert_eq!(worker.says("other").as_deref(), REVOKED);
    }
}

/// Back to module and configuration as they were: the VMs of the first module are new again.
#[test]
fn a_module_and_its_configuration_that_come_back_are_a_push() {
    let shared = Shared::default();
    let mut first = Vm::new(&shared, 1);
    first.given(revoking("id-1"));
    first.tick(100);
    let mut second = Vm::new(&shared, 2);
    second.given(revoking("id-2"));
    second.tick(100);
    let open = second.opens("good");
    let mut again = Vm::new(&shared, 3);
    again.given(revoking("id-1"));
    again.tick(100);
    assert!(second.tick(100).contains(&Effect::Cut(open)));
    assert_eq!(again.says("other"), None);
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
