//! The root context: one for each configuration, on every worker and on the main thread.
//!
//! In: configurations and ticks. Out: stream contexts that begin under them.

use std::rc::Rc;

use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::ContextType;

use super::host::{self, Envoy};
use super::stream::Stream;
use super::vm_state::{self, Gateway};
use zonegate::lifecycle::PolicyNumber;
use zonegate::vm_gateway::TICK;

/// The root context.
pub(super) struct Root {
    id: u32,
    gateway: Option<Rc<Gateway>>,
    number: Option<PolicyNumber>,
}

impl Root {
    pub(super) fn new(id: u32) -> Self {
        Self { id, gateway: None, number: None }
    }
}

impl Context for Root {}

impl RootContext for Root {
    /// `false` refuses the VM configuration: the filter is not loaded.
    fn on_vm_start(&mut self, _: usize) -> bool {
        let started = vm_state::start(&host::vm_configuration());
        if let Err(problem) = started {
            log::error!("zonegate: VM configuration refused: {problem}");
        }
        started.is_ok()
    }

    /// `false` refuses the configuration: at start Envoy does not start, on a push it keeps the
    /// previous one.
    fn on_configure(&mut self, _: usize) -> bool {
        // Each root context has a timer of its own, which ends with it.
        let _ = hostcalls::set_tick_period(TICK);
        let bytes = host::plugin_configuration();
        #[cfg(zonegate_fault)]
        let bytes = super::fault_injection::configuration(bytes);
        let gateway = vm_state::gateway(host::plugin_name());
        let configured = gateway.event(self.id, |gateway, effects| {
            gateway.on_configuration(&Envoy, bytes, host::now(), effects)
        });
        self.number = configured.number;
        self.gateway = Some(gateway);
        configured.number.is_some()
    }

    fn on_tick(&mut self) {
        if let Some(gateway) = &self.gateway {
            gateway.event(self.id, |gateway, effects| {
                gateway.on_tick(vm_state::number(), &Envoy, host::now(), effects);
            });
        }
    }

    fn create_http_context(&self, id: u32) -> Option<Box<dyn HttpContext>> {
        let gateway = Rc::clone(self.gateway.as_ref()?);
        Some(Box::new(Stream::new(id, gateway, self.number)))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        if let (Some(gateway), Some(number)) = (&self.gateway, self.number) {
            gateway.event(self.id, |gateway, _| gateway.on_configuration_dropped(number));
        }
    }
}
