//! What is counted, and under which names.
//!
//! In: what happened. Out: counters and gauges by their names, the same in every form of the gate, and what
//! becomes of them. All of them can be listed when a configuration is taken: none comes from request data.

mod stream_gauges;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use rustc_hash::FxBuildHasher;

use crate::gate::{Mode, Policy, Reason};
use crate::hash;
use crate::lifecycle::Cut;
pub use stream_gauges::{StreamGauges, Within, of_streams};

/// What is counted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Counter {
    /// A request passes by a token.
    Allowed,
    /// A request passes by a token that the key of this label signed: the kid, behind its mesh or its kind
    /// where it is none of a zone token.
    AllowedByKey(Arc<str>),
    /// A request passes unchecked, by a switch of the configuration.
    Unchecked,
    /// A request is refused, or would be.
    Denied(Mode, Reason),
    /// An open stream is cut.
    Cut(Cut),
    /// What became of a request that says it is of this zone's control plane.
    Zone(Arc<str>, ZoneOutcome),
    /// A configuration was put in force.
    ConfigAccepted,
    /// A configuration was refused.
    ConfigRejected,
}

/// What became of a request of a zone's control plane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ZoneOutcome {
    /// It passes by the zone's token.
    Allowed,
    /// It is refused, or would be.
    Denied(Mode),
}

/// What is shown as it is now.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Gauge {
    /// Streams that were let in and have not ended.
    Open,
    /// Streams that wait for their first message, or their body.
    Held,
    /// Streams that passed in shadow mode and would be refused in enforce mode.
    Shadowed,
    /// Open streams whose token was signed by the key of this label, which may have been removed since.
    OpenByKey(Arc<str>),
    /// Open streams whose token expires soon, or has expired.
    Expiring(Within),
    /// Keys of the policy in force.
    ConfigKeys,
    /// Revoked ids of the policy in force.
    ConfigRevocations,
    /// When the token that last let this zone's control plane in expires, in seconds since 1970. 0 if no token did, or if
    /// the token does not expire.
    ZoneTokenExpiresAt(Arc<str>),
}

/// What a policy adds to the names of metrics.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Labels {
    /// Labels of keys.
    pub keys: BTreeSet<Box<str>>,
    /// Zones that are counted.
    pub zones: BTreeSet<Box<str>>,
}

/// A counter or a gauge.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Metric {
    /// Only grows.
    Counter(Counter),
    /// Goes up and down.
    Gauge(Gauge),
}

/// What becomes of a counter or a gauge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// A counter counts one more.
    Count,
    /// A gauge that several share changes by this much.
    Add(i64),
    /// A gauge is set.
    Set(u64),
}

impl Change {
    /// A gauge shows how many there are.
    pub fn set(count: usize) -> Self {
        Self::Set(u64::try_from(count).unwrap_or(u64::MAX))
    }
}

/// What the gauges of a configuration show where this policy is in force.
pub fn of_policy(policy: &Policy) -> [(Metric, Change); 2] {
    [
        (Metric::Gauge(Gauge::ConfigKeys), Change::set(policy.issuers.keys().count())),
        (Metric::Gauge(Gauge::ConfigRevocations), Change::set(policy.issuers.revoked_ids())),
    ]
}

/// The ids under which a host knows the metrics. A metric that the host refused to define has no id and is not counted,
/// because that must not stop a request.
#[derive(Debug)]
pub struct MetricIds<Id>(HashMap<Metric, Id, FxBuildHasher>);

impl<Id> Default for MetricIds<Id> {
    fn default() -> Self {
        Self(HashMap::default())
    }
}

impl<Id: Copy> MetricIds<Id> {
    /// Defines every metric that there can be with these labels, through the host. A metric that is defined already is
    /// left out.
    pub fn define(&mut self, labels: &Labels, define: impl Fn(&Metric, &str) -> Option<Id>) {
        for metric in Metric::all(labels) {
            if !self.0.contains_key(&metric)
                && let Some(id) = define(&metric, &metric.name())
            {
                self.0.insert(metric, id);
            }
        }
    }

    /// The id of a metric, which is defined first if need be. (A VM may have to take back what a VM counted that has
    /// failed, under a label of an earlier policy.)
    pub fn of_or_define(
        &mut self,
        metric: &Metric,
        define: impl FnOnce(&Metric, &str) -> Option<Id>,
    ) -> Option<Id> {
        if let Some(id) = self.of(metric) {
            return Some(id);
        }
        let id = define(metric, &metric.name())?;
        self.0.insert(metric.clone(), id);
        Some(id)
    }

    /// The id of a metric.
    pub fn of(&self, metric: &Metric) -> Option<Id> {
        self.0.get(metric).copied()
    }
}

impl Metric {
    /// Every metric that there can be with these labels, once.
    pub fn all(labels: &Labels) -> Vec<Self> {
        let counters = Counter::all(labels).into_iter().map(Self::Counter);
        counters.chain(Gauge::all(labels).into_iter().map(Self::Gauge)).collect()
    }

    /// Its name.
    pub fn name(&self) -> String {
        match self {
            Self::Counter(counter) => counter.name(),
            Self::Gauge(gauge) => gauge.name(),
        }
    }
}

impl Counter {
    /// Every counter that there can be with these labels, once.
    pub fn all(labels: &Labels) -> Vec<Self> {
        let mut all =
            vec![Self::Allowed, Self::Unchecked, Self::ConfigAccepted, Self::ConfigRejected];
        for mode in [Mode::Enforce, Mode::Shadow] {
            all.extend(Reason::ALL.map(|reason| Self::Denied(mode, reason)));
        }
        all.extend(Cut::ALL.map(Self::Cut));
        all.extend(labels.keys.iter().map(|label| Self::AllowedByKey((**label).into())));
        for zone in &labels.zones {
            let zone: Arc<str> = (**zone).into();
            all.extend(ZoneOutcome::ALL.map(|outcome| Self::Zone(Arc::clone(&zone), outcome)));
        }
        all
    }

    /// Its name.
    pub fn name(&self) -> String {
        match self {
            Self::Allowed => "zonegate.allowed".to_owned(),
            Self::AllowedByKey(label) => format!("zonegate.kid.{}.allowed", stat_name(label)),
            Self::Unchecked => "zonegate.unchecked".to_owned(),
            Self::Denied(Mode::Enforce, reason) => format!("zonegate.denied.{reason}"),
            Self::Denied(Mode::Shadow, reason) => format!("zonegate.would_deny.{reason}"),
            Self::Cut(why) => format!("zonegate.streams.cut.{why}"),
            Self::Zone(zone, outcome) => {
                format!("zonegate.zone.{}.{}", stat_name(zone), outcome.as_str())
            }
            Self::ConfigAccepted => "zonegate.config.accepted".to_owned(),
            Self::ConfigRejected => "zonegate.config.rejected".to_owned(),
        }
    }
}

impl ZoneOutcome {
    /// Every outcome, once.
    pub const ALL: [Self; 3] =
        [Self::Allowed, Self::Denied(Mode::Enforce), Self::Denied(Mode::Shadow)];

    fn as_str(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Denied(Mode::Enforce) => "denied",
            Self::Denied(Mode::Shadow) => "would_deny",
        }
    }
}

impl Gauge {
    /// Every gauge that there can be with these labels, once.
    pub fn all(labels: &Labels) -> Vec<Self> {
        let mut all = vec![Self::Open, Self::Held, Self::Shadowed];
        all.extend([Self::ConfigKeys, Self::ConfigRevocations]);
        all.extend(Within::ALL.map(Self::Expiring));
        all.extend(labels.keys.iter().map(|label| Self::OpenByKey((**label).into())));
        all.extend(labels.zones.iter().map(|zone| Self::ZoneTokenExpiresAt((**zone).into())));
        all
    }

    /// Its name.
    pub fn name(&self) -> String {
        let name = match self {
            Self::ZoneTokenExpiresAt(zone) => {
                return format!("zonegate.zone.{}.token_expires_at", stat_name(zone));
            }
            Self::OpenByKey(label) => return format!("zonegate.kid.{}.open", stat_name(label)),
            Self::Expiring(within) => {
                return format!("zonegate.tokens.expiring.{}", within.as_str());
            }
            Self::Open => "zonegate.streams.open",
            Self::Held => "zonegate.streams.held",
            Self::Shadowed => "zonegate.streams.shadowed",
            Self::ConfigKeys => "zonegate.config.keys",
            Self::ConfigRevocations => "zonegate.config.revocations",
        };
        name.to_owned()
    }
}

impl Labels {
    /// Those of a policy.
    pub fn of(policy: &Policy) -> Self {
        Self {
            keys: set(policy.issuers.keys().map(|(label, _)| label.into())),
            zones: set(policy.counted_zones().map(|zone| (**zone).into())),
        }
    }
}

/// The label of a key, or a zone, in the characters that every stats sink takes. Other characters become `_`, and a few
/// digits of a hash at the end keep two such labels apart.
fn stat_name(label: &str) -> String {
    let is_plain =
        |rune: char| rune.is_ascii_alphanumeric() || matches!(rune, '-' | '_' | '/' | '*');
    if label.chars().all(is_plain) {
        return label.to_owned();
    }
    let plain: String = label.chars().map(|rune| if is_plain(rune) { rune } else { '_' }).collect();
    format!("{plain}-{:08x}", hash::of(label.as_bytes()) >> 32)
}

/// Collected one by one: `collect` would bring a sort of texts into the module.
fn set(texts: impl Iterator<Item = Box<str>>) -> BTreeSet<Box<str>> {
    let mut set = BTreeSet::new();
    set.extend(texts);
    set
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    fn keys(labels: &[&str]) -> Labels {
        Labels { keys: labels.iter().map(|label| Box::from(*label)).collect(), ..Labels::default() }
    }

    /// A host that takes every definition as a new metric, as Envoy does for wasm.
    #[test]
    fn each_metric_is_defined_once_by_its_name() {
        let (mut ids, defined) = (MetricIds::default(), RefCell::new(Vec::new()));
        let define = |_: &Metric, name: &str| {
            let mut defined = defined.borrow_mut();
            defined.push(name.to_owned());
            Some(defined.len() - 1)
        };
        ids.define(&keys(&["1"]), define);
        ids.define(&keys(&["1", "2"]), define);
        let names = defined.borrow();
        assert_eq!(BTreeSet::from_iter(names.iter()).len(), names.len(), "{names:?}");
        for metric in Metric::all(&keys(&["1", "2"])) {
            let name = ids.of(&metric).and_then(|id| names.get(id));
            assert_eq!(name, Some(&metric.name()));
        }
        assert_eq!(ids.of(&Metric::Counter(Counter::AllowedByKey("3".into()))), None);
    }

    /// Such as the gauge of a key that the present policy does not have.
    #[test]
    fn a_metric_that_is_not_defined_yet_is_defined_when_it_changes() {
        let mut ids = MetricIds::default();
        let gauge = Metric::Gauge(Gauge::OpenByKey("1".into()));
        assert_eq!(ids.of_or_define(&gauge, |_, _| None), None);
        let named = |_: &Metric, name: &str| (name == "zonegate.kid.1.open").then_some(7);
        assert_eq!(ids.of_or_define(&gauge, named), Some(7));
        assert_eq!(ids.of_or_define(&gauge, |_, _| Some(8)), Some(7));
        assert_eq!(ids.of(&gauge), Some(7));
    }

    /// It is asked for again with the next configuration.
    #[test]
    fn a_metric_that_the_host_does_not_define_is_not_counted() {
        let (mut ids, open) = (MetricIds::default(), Metric::Gauge(Gauge::Open));
        ids.define(&Labels::default(), |metric, _| (*metric != open).then_some(1));
        assert_eq!(ids.of(&open), None);
        assert_eq!(ids.of(&Metric::Gauge(Gauge::Held)), Some(1));
        ids.define(&Labels::default(), |_, _| Some(2));
        assert_eq!(ids.of(&open), Some(2));
        assert_eq!(ids.of(&Metric::Gauge(Gauge::Held)), Some(1));
    }

    #[test]
    fn no_two_metrics_share_a_name() {
        let labels = ["1", "default/1", "*/1", "a.b", "a b", "a_b", "a-b", "é", "è", ""];
        let all: BTreeSet<Box<str>> = labels.map(Box::from).into();
        let labels = Labels { keys: all.clone(), zones: all };
        let all = Metric::all(&labels);
        let names: BTreeSet<String> = all.iter().map(Metric::name).collect();
        assert_eq!(names.len(), all.len(), "{names:?}");
        let is_plain =
            |byte| matches!(byte, b'-' | b'_' | b'.' | b'/' | b'*' | b'a'..=b'z' | b'0'..=b'9');
        assert!(names.iter().all(|name| name.bytes().all(is_plain)), "{names:?}");
        assert!(names.contains("zonegate.kid.a_b.allowed"), "{names:?}");
        assert!(names.contains("zonegate.kid.default/1.open"), "{names:?}");
        assert!(names.contains("zonegate.tokens.expiring.30d"), "{names:?}");
        assert!(names.contains("zonegate.zone.a_b.would_deny"), "{names:?}");
        assert!(names.contains("zonegate.zone.a-b.token_expires_at"), "{names:?}");
    }
}
