//! What all contexts of one VM share: its gateways, each with the life of its connections, and its
//! metrics. It outlives a push, which makes a new root context in the same VM.
//!
//! A gateway is known by the name of its plugin, so two filters in one Envoy must have two names.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use super::effects;
use super::host;
use super::metrics::Metrics;
use zonegate::lifecycle::Effect;
use zonegate::token::{RSA_CRATE, SignatureBackend};
use zonegate::vm_gateway::VmGateway;

thread_local! {
    static VM: Vm = Vm::new();
}

struct Vm {
    number: u64,
    backend: Cell<&'static SignatureBackend>,
    metrics: Rc<Metrics>,
    gateways: RefCell<Vec<Rc<Gateway>>>,
}

/// A gateway, as far as this VM serves it.
pub(super) struct Gateway {
    name: String,
    inner: RefCell<VmGateway>,
    metrics: Rc<Metrics>,
}

impl Vm {
    fn new() -> Self {
        let (number, backend) = (host::vm_number(), Cell::new(&RSA_CRATE));
        Self { number, backend, metrics: Rc::default(), gateways: RefCell::default() }
    }
}

/// Chooses how signatures are verified, for as long as the VM lives: by the text of the VM
/// configuration, which is empty or `crypto=crate`.
///
/// # Errors
/// Any other text.
pub(super) fn start(vm_configuration: &[u8]) -> Result<(), &'static str> {
    let backend = match vm_configuration.trim_ascii() {
        b"" => host::ENVOY.or_rsa_crate(),
        b"crypto=crate" => &RSA_CRATE,
        _ => return Err("the only text it may have is crypto=crate"),
    };
    VM.with(|vm| vm.backend.set(backend));
    Ok(())
}

/// The number of this VM.
pub(super) fn number() -> u64 {
    VM.with(|vm| vm.number)
}

/// The gateway of this name.
pub(super) fn gateway(name: String) -> Rc<Gateway> {
    VM.with(|vm| {
        let mut gateways = vm.gateways.borrow_mut();
        if let Some(known) = gateways.iter().find(|one| one.name == name) {
            return Rc::clone(known);
        }
        let inner = RefCell::new(VmGateway::new(&name, vm.backend.get()));
        let new = Rc::new(Gateway { name, inner, metrics: Rc::clone(&vm.metrics) });
        gateways.push(Rc::clone(&new));
        new
    })
}

impl Gateway {
    /// Hands over an event, in a callback of context `current`, and does what follows from it.
    pub(super) fn event<T>(
        &self,
        current: u32,
        event: impl FnOnce(&mut VmGateway, &mut Vec<Effect>) -> T,
    ) -> T {
        let mut effects = Vec::new();
        // The gateway is free again before effects are performed: they may lead to other events.
        let result = event(&mut self.inner.borrow_mut(), &mut effects);
        effects::perform(effects, current, &self.metrics);
        result
    }
}
