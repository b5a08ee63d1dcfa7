//! Counters and gauges, all defined when a configuration is taken and never from request data. Envoy
//! shows them with the prefix `wasmcustom.`.
//!
//! One set for a VM: the host makes a new id for every definition, so a push must not define again.

use std::cell::RefCell;
use std::collections::BTreeMap;

use proxy_wasm::hostcalls;
use proxy_wasm::types::MetricType;
use zonegate::metrics::{Labels, Metric};

/// The metrics of a VM. One that the host would not define is not there, and is not counted: that must
/// not stop a request.
#[derive(Default)]
pub(super) struct Metrics(RefCell<BTreeMap<Metric, u32>>);

impl Metrics {
    /// Defines what is not defined yet, with what these labels add.
    pub(super) fn define(&self, labels: &Labels) {
        let mut known = self.0.borrow_mut();
        for metric in Metric::all(labels) {
            let kind = match metric {
                Metric::Counter(_) => MetricType::Counter,
                Metric::Gauge(_) => MetricType::Gauge,
            };
            if !known.contains_key(&metric)
                && let Ok(id) = hostcalls::define_metric(kind, &metric.name())
            {
                known.insert(metric, id);
            }
        }
    }

    pub(super) fn add(&self, metric: &Metric, change: i64) {
        let _ = self.0.borrow().get(metric).map(|id| hostcalls::increment_metric(*id, change));
    }

    pub(super) fn set(&self, metric: &Metric, value: usize) {
        let value = u64::try_from(value).unwrap_or(u64::MAX);
        let _ = self.0.borrow().get(metric).map(|id| hostcalls::record_metric(*id, value));
    }
}
