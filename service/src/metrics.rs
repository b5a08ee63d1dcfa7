//! The metrics, and their text for Prometheus, with the names and labels of the filter's metrics.
//!
//! In: changes. Out: text. The core decides when to count.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Mutex, MutexGuard, PoisonError};

use zonegate::metrics::{Change, Labels, Metric};
use zonegate_page::{Counts, InForce};

/// The counters and gauges of the process.
#[derive(Debug)]
pub(crate) struct Metrics(Mutex<BTreeMap<Metric, u64>>);

/// The part of a name before a label, the parts that may follow the label, and the name of the label. As in
/// `envoy/gateway.yaml`.
const LABELLED: [(&str, &[&str], &str); 6] = [
    ("zonegate.denied.", &[""], "reason"),
    ("zonegate.would_deny.", &[""], "reason"),
    ("zonegate.streams.cut.", &[""], "why"),
    ("zonegate.kid.", &[".allowed", ".open"], "kid"),
    ("zonegate.tokens.expiring.", &[""], "within"),
    ("zonegate.zone.", &[".allowed", ".denied", ".would_deny", ".token_expires_at"], "zone"),
];

impl Default for Metrics {
    /// Defines all metrics but those of keys and zones.
    fn default() -> Self {
        let metrics = Self(Mutex::default());
        metrics.define(&Labels::default());
        metrics
    }
}

impl Metrics {
    /// Defines the metrics with these labels; each begins at 0.
    pub(crate) fn define(&self, labels: &Labels) {
        let mut values = self.values();
        for metric in Metric::all(labels) {
            values.entry(metric).or_insert(0);
        }
    }

    /// Changes a metric, if it is defined.
    pub(crate) fn change(&self, metric: &Metric, change: Change) {
        if let Some(value) = self.values().get_mut(metric) {
            *value = match change {
                Change::Count => value.saturating_add(1),
                Change::Add(by) => value.saturating_add_signed(by),
                Change::Set(to) => to,
            };
        }
    }

    /// The counts that the page shows while this policy is in force.
    pub(crate) fn counts(&self, policy: Option<&InForce>) -> Counts {
        let values = self.values();
        Counts::read(policy, |metric| values.get(metric).copied())
    }

    /// All metrics, in Prometheus' text format.
    pub(crate) fn text(&self) -> String {
        let mut families: BTreeMap<String, (&str, String)> = BTreeMap::new();
        for (metric, value) in self.values().iter() {
            let kind = match metric {
                Metric::Counter(_) => "counter",
                Metric::Gauge(_) => "gauge",
            };
            let (family, label) = shown(&metric.name());
            let (_, lines) = families.entry(family.clone()).or_insert((kind, String::new()));
            // Writing to a String does not fail.
            let _ = match label {
                Some((name, label)) => writeln!(lines, "{family}{{{name}=\"{label}\"}} {value}"),
                None => writeln!(lines, "{family} {value}"),
            };
        }
        let mut text = String::new();
        for (family, (kind, lines)) in families {
            let _ = write!(text, "# TYPE {family} {kind}\n{lines}");
        }
        text
    }

    fn values(&self) -> MutexGuard<'_, BTreeMap<Metric, u64>> {
        // No operation under this lock can leave a metric half changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The name of a metric for Prometheus, and its label.
fn shown(name: &str) -> (String, Option<(&'static str, String)>) {
    for (before, behind, label) in LABELLED {
        let Some(rest) = name.strip_prefix(before) else { continue };
        for end in behind {
            if let Some(value) = rest.strip_suffix(end) {
                let family = format!("{}{end}", before.trim_end_matches('.')).replace('.', "_");
                return (family, Some((label, value.to_owned())));
            }
        }
    }
    (name.replace('.', "_"), None)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a test may panic
mod tests {
    use zonegate::gate::{Mode, Reason};
    use zonegate::metrics::{Counter, Gauge};

    use super::*;

    #[test]
    fn names_and_labels_are_those_of_a_filter() {
        for (name, wanted) in [
            ("zonegate.allowed", "zonegate_allowed"),
            ("zonegate.denied.expired", "zonegate_denied reason=expired"),
            ("zonegate.would_deny.revoked", "zonegate_would_deny reason=revoked"),
            ("zonegate.streams.cut.key_removed", "zonegate_streams_cut why=key_removed"),
            ("zonegate.streams.open", "zonegate_streams_open"),
            ("zonegate.kid.default/1.allowed", "zonegate_kid_allowed kid=default/1"),
            ("zonegate.kid.1.open", "zonegate_kid_open kid=1"),
            ("zonegate.tokens.expiring.7d", "zonegate_tokens_expiring within=7d"),
            ("zonegate.zone.east.denied", "zonegate_zone_denied zone=east"),
            ("zonegate.zone.east.token_expires_at", "zonegate_zone_token_expires_at zone=east"),
            ("zonegate.config.accepted", "zonegate_config_accepted"),
        ] {
            let (family, label) = shown(name);
            let label = label.map(|(name, value)| format!(" {name}={value}")).unwrap_or_default();
            assert_eq!(format!("{family}{label}"), wanted);
        }
    }

    #[test]
    fn what_was_counted_is_shown() {
        let metrics = Metrics::default();
        let denied = Metric::Counter(Counter::Denied(Mode::Enforce, Reason::Expired));
        metrics.change(&denied, Change::Count);
        metrics.change(&denied, Change::Count);
        metrics.change(&Metric::Gauge(Gauge::Open), Change::Set(7));
        let kid = Metric::Counter(Counter::AllowedByKey("1".into()));
        metrics.change(&kid, Change::Count);
        metrics.define(&Labels { keys: ["1".into()].into(), ..Labels::default() });
        let text = metrics.text();
        for line in [
            "# TYPE zonegate_denied counter",
            "zonegate_denied{reason=\"expired\"} 2",
            "zonegate_denied{reason=\"revoked\"} 0",
            "# TYPE zonegate_streams_open gauge",
            "zonegate_streams_open 7",
            // It was not defined yet when it was counted.
            "zonegate_kid_allowed{kid=\"1\"} 0",
        ] {
            assert!(text.lines().any(|seen| seen == line), "{line}:\n{text}");
        }
        let types = text.lines().filter(|line| line.starts_with("# TYPE zonegate_denied "));
        assert_eq!(types.count(), 1);
    }
}
