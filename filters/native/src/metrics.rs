//! Counters and gauges, all defined when a configuration is taken and never from request data. Envoy
//! shows them with the prefix `dynamicmodulescustom.`.
//!
//! In: metrics, and the configuration that defines them. Out: Envoy's numbers for them. Configurations
//! that define the same name share one counter.

use std::collections::HashMap;

use rustc_hash::FxBuildHasher;
use zonegate::lifecycle::Gauges;
use zonegate::metrics::{Gauge, Labels, Metric};

use crate::abi::{Change, Host};

/// The numbers of the metrics of one configuration. One that Envoy would not define is not there, and is
/// not counted: that must not stop a request.
#[derive(Debug, Default)]
pub(crate) struct MetricIds {
    ids: HashMap<Metric, usize, FxBuildHasher>,
    panics: Option<usize>,
}

impl MetricIds {
    /// Defines all metrics, with what these labels add.
    pub(crate) fn define(host: Host<'_>, labels: &Labels) -> Self {
        let ids = Metric::all(labels).into_iter().filter_map(|metric| {
            let id = match &metric {
                Metric::Counter(counter) => host.define_counter(&counter.name()),
                Metric::Gauge(gauge) => host.define_gauge(&gauge.name()),
            };
            Some((metric, id?))
        });
        Self { ids: ids.collect(), panics: host.define_counter(PANICS) }
    }

    /// Envoy's number of a metric.
    pub(crate) fn id(&self, metric: &Metric) -> Option<usize> {
        self.ids.get(metric).copied()
    }

    /// Envoy's number of the counter of panics.
    pub(crate) fn panics(&self) -> Option<usize> {
        self.panics
    }
}

/// Hooks that failed. There is nothing of it in wasm, where Envoy counts the VMs that failed.
const PANICS: &str = "zonegate.panics";

/// By how much the gauges of streams changed, each of which may be shared with others.
pub(crate) fn gauge_changes(before: Gauges, now: Gauges) -> impl Iterator<Item = (Metric, Change)> {
    let change = |before: u64, now: u64| now.cast_signed().saturating_sub(before.cast_signed());
    let changes = [
        (Gauge::Open, change(before.open, now.open)),
        (Gauge::Held, change(before.held, now.held)),
        (Gauge::Shadowed, change(before.shadowed, now.shadowed)),
    ];
    let changed = changes.into_iter().filter(|(_, change)| *change != 0);
    changed.map(|(gauge, change)| (Metric::Gauge(gauge), Change::Add(change)))
}
