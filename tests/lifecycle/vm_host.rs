//! A VM with one gateway, and the data that the VMs of one host share, as Envoy has them.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use zonegate::gate::{ADS_SOTW, Now, UnixTime};
use zonegate::lifecycle::{Clocks, Effect, PolicyNumber, Request, Step, StreamId};
use zonegate::push_log::PUBLISHED_BYTES;
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
pub(crate) fn long(id: &str) -> Vec<u8> {
    revoking(&format!("{id},{}", "x".repeat(PUBLISHED_BYTES)))
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
        Self::of_module(1, shared, number)
    }

    pub(crate) fn of_module(module: u64, shared: &'a Shared, number: u64) -> Self {
        let gateway = VmGateway::new("gateway", number, module, &RSA_CRATE);
        Self { shared, gateway, milliseconds: 0, streams: 0, under: None }
    }

    fn now(&self) -> Clocks {
        let wall = Now(Some(UnixTime::from_secs(START)));
        Clocks { wall, monotonic: Duration::from_millis(self.milliseconds) }
    }

    pub(crate) fn given(&mut self, configuration: Vec<u8>) -> PolicyNumber {
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

    /// Envoy asks this VM, which has another root context for the configuration, and drops that one at once: the VM
    /// refuses the configuration, or Envoy does.
    pub(crate) fn asked_in_vain(&mut self, configuration: Vec<u8>, effects: &mut Vec<Effect>) {
        let now = self.now();
        let configured = self.gateway.on_configuration(self.shared, configuration, now, effects);
        if let Some(number) = configured.number {
            self.dropped(number);
        }
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
    pub(crate) fn opens(&mut self, name: &str) -> StreamId {
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
    pub(crate) fn says(&mut self, name: &str) -> Option<String> {
        self.refuses(name, self.under)
    }
}
