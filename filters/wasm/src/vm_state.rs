//! The state that all contexts of one VM share: its gateways, each with its connections. It outlives a push, which
//! makes a new root context in the same VM.

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use super::{effects, host};
use zonegate::lifecycle::Effect;
use zonegate::token::{RSA_CRATE, SignatureBackend};
use zonegate::vm::Vm;
use zonegate::vm_gateway::VmGateway;

/// The identity of this module: other sources, or another profile, have another one.
const MODULE: u64 = u64::from_le_bytes(*include_bytes!(concat!(env!("OUT_DIR"), "/identity")));

thread_local! {
    static VM: RefCell<Vm> = RefCell::new(Vm::new(host::vm_number(), MODULE, &RSA_CRATE));
    /// The buffer for effects, kept for the next call.
    static EFFECTS: Cell<Vec<Effect>> = Cell::default();
}

/// Starts the VM: chooses the backend that verifies signatures.
pub(super) fn start(backend: &'static SignatureBackend, vm_configuration: &[u8]) {
    VM.with_borrow_mut(|vm| vm.start(backend, vm_configuration));
}

/// Passes an event to this gateway, in a callback of context `current`, and performs the effects.
pub(super) fn event<T>(
    gateway: &Arc<str>,
    current: u32,
    event: impl FnOnce(&mut VmGateway, &mut Vec<Effect>) -> T,
) -> T {
    let mut effects = EFFECTS.take();
    // The VM is free again before effects are performed: they may lead to other events.
    let result = VM.with_borrow_mut(|vm| event(vm.gateway(gateway), &mut effects));
    effects::perform(&mut effects, current);
    EFFECTS.set(effects);
    result
}
