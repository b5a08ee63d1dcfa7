//! What is counted, and under which names.
//!
//! In: what happened. Out: the names of counters and gauges, the same in every form of the gate. All of
//! them can be listed when a configuration is taken: none comes from request data.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::gate::{Mode, Policy, Reason};
use crate::hash;
use crate::lifecycle::Cut;

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
    /// Keys of the policy in force.
    ConfigKeys,
    /// Revoked ids of the policy in force.
    ConfigRevocations,
    /// When the token expires that let this zone's control plane in last, in seconds since 1970; 0 where none
    /// did, or where the token does not expire.
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
        let mut all =
            vec![Self::Open, Self::Held, Self::Shadowed, Self::ConfigKeys, Self::ConfigRevocations];
        all.extend(labels.zones.iter().map(|zone| Self::ZoneTokenExpiresAt((**zone).into())));
        all
    }

    /// Its name.
    pub fn name(&self) -> String {
        let name = match self {
            Self::ZoneTokenExpiresAt(zone) => {
                return format!("zonegate.zone.{}.token_expires_at", stat_name(zone));
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
            keys: policy.issuers.keys().map(|(label, _)| label.into()).collect(),
            zones: policy.counted_zones().map(|zone| (**zone).into()).collect(),
        }
    }
}

/// The label of a key, or a zone, in the characters that every stats sink takes. One that has others is told apart from its like
/// by a few digits at its end.
fn stat_name(label: &str) -> String {
    let is_plain =
        |rune: char| rune.is_ascii_alphanumeric() || matches!(rune, '-' | '_' | '/' | '*');
    if label.chars().all(is_plain) {
        return label.to_owned();
    }
    let plain: String = label.chars().map(|rune| if is_plain(rune) { rune } else { '_' }).collect();
    format!("{plain}-{:08x}", hash::of(label.as_bytes()) >> 32)
}

#[cfg(test)]
mod tests {
    use super::*;

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
        assert!(names.contains("zonegate.zone.a_b.would_deny"), "{names:?}");
        assert!(names.contains("zonegate.zone.a-b.token_expires_at"), "{names:?}");
    }
}
