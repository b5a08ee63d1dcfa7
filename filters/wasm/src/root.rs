//! The root context: one for each configuration, on every worker and on the main thread.
//!
//! In: the plugin configuration and ticks. Out: stream contexts that judge by it.

use std::rc::Rc;
use std::time::Duration;

use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::ContextType;
use zonegate::config::{Config, ConfigError};
use zonegate::gate::Policy;
use zonegate::{log_line, roll_call};

use super::host;
use super::metrics::metrics;
use super::stream::Stream;
use super::{crypto, shared, waiting};

/// How often held and open streams are looked at.
const TICK: Duration = Duration::from_millis(100);

/// The root context.
pub(super) struct Root {
    gateway: Rc<str>,
    policy: Option<Rc<Policy>>,
}

impl Default for Root {
    fn default() -> Self {
        Self { gateway: "".into(), policy: None }
    }
}

impl Context for Root {}

impl RootContext for Root {
    /// `false` refuses the VM configuration: the filter is not loaded.
    fn on_vm_start(&mut self, _: usize) -> bool {
        match crypto::choose(&host::vm_configuration().unwrap_or_default()) {
            Ok(()) => true,
            Err(problem) => {
                log::error!("zonegate: VM configuration refused: {problem}");
                false
            }
        }
    }

    /// `false` refuses the configuration: at start Envoy does not start, on a push it keeps the
    /// previous one. Envoy asks a new VM on its main thread first, and then those of the workers; one
    /// that then says no is left without the filter. So there the previous policy goes on.
    fn on_configure(&mut self, _: usize) -> bool {
        match self.configure() {
            Ok(()) => true,
            Err(error) => {
                metrics(|metrics| metrics.rejected());
                log::error!("zonegate: configuration refused: {error}");
                self.policy = shared::in_force(&self.gateway);
                self.policy.is_some()
            }
        }
    }

    fn on_tick(&mut self) {
        let clock = host::clock();
        waiting::deny_overdue(clock);
        shared::cut_due(clock);
        metrics(|metrics| metrics.report_open(clock));
    }

    fn create_http_context(&self, id: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Stream::new(id, Rc::clone(&self.gateway), self.policy.clone())))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

impl Root {
    fn configure(&mut self) -> Result<(), ConfigError> {
        self.gateway = host::plugin_name().into();
        let bytes = host::plugin_configuration().unwrap_or_default();
        #[cfg(zonegate_fault)]
        let bytes = super::fault::configuration(bytes);
        let config = Config::from_host(bytes, crypto::verification())?;
        if host::is_news(&self.gateway, shared::count(&self.gateway)) {
            log::info!("{}", log_line::accepted(&config, crypto::arithmetic()));
            for warning in &config.warnings {
                log::warn!("zonegate: configuration: {warning}");
            }
            metrics(|metrics| metrics.accepted());
        }
        let Config { policy, warnings: _ } = config;
        metrics(|metrics| metrics.configured(&policy.keys, policy.revocations.ids()));
        let policy = Rc::new(policy);
        shared::put_in_force(&self.gateway, &policy, host::clock());
        self.policy = Some(policy);
        roll_call::begin(&host::RollCallAtHost);
        // Without ticks a silent stream would be held for ever, but it would still not pass.
        let _ = hostcalls::set_tick_period(TICK);
        Ok(())
    }
}
