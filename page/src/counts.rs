//! The metrics of a gateway that the page shows.
//!
//! In: a look-up of the values of metrics. Out: [`Counts`]. A missing metric is 0: a filter defines its metrics when it
//! takes its first policy.

use std::collections::BTreeMap;

use zonegate::gate::{Mode, Reason};
use zonegate::metrics::{Counter, Gauge, Metric, Within};

use crate::InForce;

/// The counts of a gateway.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// Refusals since the gateway started, and those in shadow mode, without zeros.
    pub denied: BTreeMap<(Mode, Reason), u64>,
    /// Streams open now.
    pub open: u64,
    /// Streams that wait for their first message or body.
    pub held: u64,
    /// Open streams that passed only because of shadow mode.
    pub shadowed: u64,
    /// Open streams whose token expires within a day, a week, a month.
    pub expiring: [u64; 3],
    /// Keys and revoked ids of the policy in force.
    pub holds: (u64, u64),
    /// Policies that were refused since the gateway started.
    pub rejected: u64,
    /// The use of keys, by the label of a key.
    pub by_key: BTreeMap<String, KeyUse>,
}

/// The use of a key.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct KeyUse {
    /// Open streams whose token the key signed.
    pub open: u64,
    /// Connections that were allowed by the key since the gateway started.
    pub allowed: u64,
}

impl Counts {
    /// Reads the metrics, and the use of the keys of `policy`.
    pub fn read(policy: Option<&InForce>, value: impl Fn(&Metric) -> Option<u64>) -> Self {
        let gauge = |gauge| value(&Metric::Gauge(gauge)).unwrap_or_default();
        let counter = |counter| value(&Metric::Counter(counter)).unwrap_or_default();
        let denied = [Mode::Enforce, Mode::Shadow].into_iter().flat_map(|mode| {
            Reason::ALL.map(|reason| ((mode, reason), counter(Counter::Denied(mode, reason))))
        });
        let used = |label: &str| KeyUse {
            open: gauge(Gauge::OpenByKey(label.into())),
            allowed: counter(Counter::AllowedByKey(label.into())),
        };
        let keys = policy.into_iter().flat_map(|policy| &policy.keys);
        Self {
            denied: denied.filter(|(_, count)| *count > 0).collect(),
            open: gauge(Gauge::Open),
            held: gauge(Gauge::Held),
            shadowed: gauge(Gauge::Shadowed),
            expiring: Within::ALL.map(|within| gauge(Gauge::Expiring(within))),
            holds: (gauge(Gauge::ConfigKeys), gauge(Gauge::ConfigRevocations)),
            rejected: counter(Counter::ConfigRejected),
            by_key: keys.map(|key| (key.label.clone(), used(&key.label))).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_those_of_the_metrics() {
        let counts = Counts::read(None, |metric| match metric.name().as_str() {
            "zonegate.denied.expired" => Some(7),
            "zonegate.denied.revoked" => Some(0),
            "zonegate.would_deny.revoked" => Some(2),
            "zonegate.streams.open" => Some(5),
            "zonegate.tokens.expiring.7d" => Some(3),
            "zonegate.config.keys" => Some(1),
            _ => None,
        });
        let denied = [((Mode::Enforce, Reason::Expired), 7), ((Mode::Shadow, Reason::Revoked), 2)];
        let wanted = Counts {
            denied: denied.into(),
            open: 5,
            expiring: [0, 3, 0],
            holds: (1, 0),
            ..Counts::default()
        };
        assert_eq!(counts, wanted);
    }
}
