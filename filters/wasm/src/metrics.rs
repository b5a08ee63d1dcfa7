//! Counters and gauges, defined when a configuration is taken and never from request data. A gauge of another VM is defined
//! when it changes: its name is from a configuration of that VM. Envoy shows them with the prefix `wasmcustom.`.
//!
//! One set for a VM: the host makes a new id for every definition, so a push must not define again.

use std::cell::RefCell;

use proxy_wasm::hostcalls;
use proxy_wasm::types::MetricType;
use zonegate::metrics::{Change, Labels, Metric, MetricIds};

thread_local! {
    static IDS: RefCell<MetricIds<u32>> = RefCell::default();
}

/// Defines the metrics with these labels that are not defined yet.
pub(super) fn define(labels: &Labels) {
    IDS.with_borrow_mut(|ids| ids.define(labels, define_one));
}

/// Changes a metric.
pub(super) fn change(metric: &Metric, change: Change) {
    let id = IDS.with_borrow_mut(|ids| ids.of_or_define(metric, define_one));
    let Some(id) = id else { return };
    let _ = match change {
        Change::Count => hostcalls::increment_metric(id, 1),
        Change::Add(by) => hostcalls::increment_metric(id, by),
        Change::Set(value) => hostcalls::record_metric(id, value),
    };
}

fn define_one(metric: &Metric, name: &str) -> Option<u32> {
    let kind = match metric {
        Metric::Counter(_) => MetricType::Counter,
        Metric::Gauge(_) => MetricType::Gauge,
    };
    hostcalls::define_metric(kind, name).ok()
}
