//! Counters and gauges, all defined when a configuration is taken and never from request data. Envoy
//! shows them with the prefix `wasmcustom.`.
//!
//! One set for a VM: the host makes a new id for every definition, so a push must not define again.

use std::cell::RefCell;
use std::collections::BTreeMap;

use proxy_wasm::hostcalls;
use proxy_wasm::types::MetricType;

use zonegate::metrics::{Counter, Gauge};

/// The metrics of a VM. One that the host would not define is not there, and is not counted: that must
/// not stop a request.
#[derive(Default)]
pub(super) struct Metrics {
    counters: RefCell<BTreeMap<Counter, u32>>,
    gauges: RefCell<BTreeMap<Gauge, u32>>,
}

impl Metrics {
    /// Defines what is not defined yet, with counters for these kids.
    pub(super) fn define(&self, kids: &[Box<str>]) {
        let mut counters = self.counters.borrow_mut();
        for counter in Counter::all(kids.iter().map(|kid| &**kid)) {
            if !counters.contains_key(&counter)
                && let Ok(id) = hostcalls::define_metric(MetricType::Counter, &counter.name())
            {
                counters.insert(counter, id);
            }
        }
        let mut gauges = self.gauges.borrow_mut();
        for gauge in Gauge::ALL {
            if !gauges.contains_key(&gauge)
                && let Ok(id) = hostcalls::define_metric(MetricType::Gauge, gauge.name())
            {
                gauges.insert(gauge, id);
            }
        }
    }

    pub(super) fn count(&self, counter: &Counter) {
        let _ = self.counters.borrow().get(counter).map(|id| hostcalls::increment_metric(*id, 1));
    }

    pub(super) fn add(&self, gauge: Gauge, change: i64) {
        let _ = self.gauges.borrow().get(&gauge).map(|id| hostcalls::increment_metric(*id, change));
    }

    pub(super) fn set(&self, gauge: Gauge, value: usize) {
        let value = u64::try_from(value).unwrap_or(u64::MAX);
        let _ = self.gauges.borrow().get(&gauge).map(|id| hostcalls::record_metric(*id, value));
    }
}
