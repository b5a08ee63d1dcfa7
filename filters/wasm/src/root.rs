//! The root context: one for each configuration, on every worker and on the main thread.
//!
//! In: configurations and ticks. Out: stream contexts that begin under them.

use std::sync::Arc;

use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{BufferType, ContextType};

use super::host::{self, Envoy};
use super::stream::Stream;
use super::vm_state;
use zonegate::lifecycle::{PolicyNumber, StreamId};
use zonegate::vm_gateway::CALL_PERIOD;

/// The root context.
pub(super) struct Root {
    id: u32,
    gateway: Option<Arc<str>>,
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
        let configuration = host::configuration(BufferType::VmConfiguration);
        let chosen = host::ENVOY.choose(&configuration);
        match &chosen {
            Ok(backend) => vm_state::start(backend, &configuration),
            Err(problem) => log::error!("zonegate: VM configuration refused: {problem}"),
        }
        chosen.is_ok()
    }

    /// `false` refuses the configuration: at its start Envoy then does not start, and on a push it keeps the previous
    /// configuration.
    fn on_configure(&mut self, _: usize) -> bool {
        // Each root context has a timer of its own, which ends with it.
        let _ = hostcalls::set_tick_period(CALL_PERIOD);
        let bytes = host::configuration(BufferType::PluginConfiguration);
        #[cfg(zonegate_fault)]
        let bytes = super::fault_injection::configuration(bytes);
        let gateway = host::plugin_name();
        let configured = vm_state::event(&gateway, self.id, |inner, effects| {
            inner.on_configuration(&Envoy, bytes, host::now(), effects)
        });
        (self.gateway, self.number) = (Some(gateway), configured.number);
        self.number.is_some()
    }

    fn on_tick(&mut self) {
        if let Some(gateway) = &self.gateway {
            let now = host::now();
            vm_state::event(gateway, self.id, |inner, effects| inner.on_tick(&Envoy, now, effects));
        }
    }

    fn create_http_context(&self, id: u32) -> Option<Box<dyn HttpContext>> {
        let gateway = self.gateway.clone()?;
        Some(Box::new(Stream { id: StreamId(id), gateway, under: self.number }))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        if let (Some(gateway), Some(number)) = (&self.gateway, self.number) {
            vm_state::event(gateway, self.id, |inner, _| {
                inner.on_configuration_dropped(&Envoy, number);
            });
        }
    }
}
