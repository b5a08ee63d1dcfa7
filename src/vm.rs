//! The gateways of one VM of a host. They outlive the configurations that the host gives.
//!
//! In: names. Out: gateways. The work of a gateway is in [`vm_gateway`](crate::vm_gateway).
//!
//! A gateway is known by its name, so two filters in one host must have two names.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::hash;
use crate::token::SignatureBackend;
use crate::vm_gateway::VmGateway;

/// The gateways of one VM.
#[derive(Debug)]
pub struct Vm {
    number: u64,
    module: u64,
    /// The hash of the VM configuration.
    configuration: u64,
    backend: &'static SignatureBackend,
    gateways: BTreeMap<Arc<str>, VmGateway>,
}

impl Vm {
    /// A VM without gateways. No other VM has the same `number`; the VMs of one module have the same `module`.
    pub fn new(number: u64, module: u64, backend: &'static SignatureBackend) -> Self {
        Self { number, module, configuration: 0, backend, gateways: BTreeMap::new() }
    }

    /// Chooses what verifies signatures for the gateways to come. VMs of the same module that have another
    /// `vm_configuration` are taken for VMs of another module, as Envoy takes them.
    pub fn start(&mut self, backend: &'static SignatureBackend, vm_configuration: &[u8]) {
        self.backend = backend;
        self.configuration = hash::of(vm_configuration);
    }

    /// The gateway of this name. It is made when it is first asked for.
    pub fn gateway(&mut self, name: &Arc<str>) -> &mut VmGateway {
        self.gateways.entry(Arc::clone(name)).or_insert_with(|| {
            let number = self.number ^ hash::of(name.as_bytes());
            let module = self.module ^ self.configuration;
            VmGateway::new(name, number, module, self.backend)
        })
    }
}
