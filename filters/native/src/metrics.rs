//! Counters and gauges, all defined when a configuration is taken and never from request data. Envoy
//! shows them with the prefix `dynamicmodulescustom.`.
//!
//! In: metrics, and the configuration that defines them. Out: Envoy's numbers for them. Configurations
//! that define the same name share one counter.

use zonegate::metrics::{self, Labels, Metric};

use crate::abi::Host;

/// The numbers of the metrics of one configuration.
#[derive(Debug, Default)]
pub(crate) struct MetricIds {
    ids: metrics::MetricIds<usize>,
    panics: Option<usize>,
}

impl MetricIds {
    /// Defines all metrics with these labels.
    pub(crate) fn define(host: Host<'_>, labels: &Labels) -> Self {
        let mut ids = metrics::MetricIds::default();
        ids.define(labels, |metric, name| match metric {
            Metric::Counter(_) => host.define_counter(name),
            Metric::Gauge(_) => host.define_gauge(name),
        });
        Self { ids, panics: host.define_counter(PANICS) }
    }

    /// Envoy's number of a metric.
    pub(crate) fn of(&self, metric: &Metric) -> Option<usize> {
        self.ids.of(metric)
    }

    /// Envoy's number of the counter of panics.
    pub(crate) fn panics(&self) -> Option<usize> {
        self.panics
    }
}

/// Hooks that failed. In wasm there is no such counter, because Envoy counts the VMs that failed.
const PANICS: &str = "zonegate.panics";
