//! What is counted, and under which names.
//!
//! In: what happened. Out: the names of counters and gauges, the same in every form of the gate. All of
//! them can be listed when a configuration is taken: none comes from request data.

use std::sync::Arc;

use crate::gate::{Mode, Reason};
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
    /// A configuration was put in force.
    ConfigAccepted,
    /// A configuration was refused.
    ConfigRejected,
}

/// What is shown as it is now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
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
    /// Every metric that there can be with keys of these labels, once.
    pub fn all<'a>(labels: impl Iterator<Item = &'a str>) -> Vec<Self> {
        let counters = Counter::all(labels).into_iter().map(Self::Counter);
        counters.chain(Gauge::ALL.map(Self::Gauge)).collect()
    }

    /// Its name.
    pub fn name(&self) -> String {
        match self {
            Self::Counter(counter) => counter.name(),
            Self::Gauge(gauge) => gauge.name().to_owned(),
        }
    }
}

impl Counter {
    /// Every counter that there can be with keys of these labels, once.
    pub fn all<'a>(labels: impl Iterator<Item = &'a str>) -> Vec<Self> {
        let mut all =
            vec![Self::Allowed, Self::Unchecked, Self::ConfigAccepted, Self::ConfigRejected];
        for mode in [Mode::Enforce, Mode::Shadow] {
            all.extend(Reason::ALL.map(|reason| Self::Denied(mode, reason)));
        }
        all.extend(Cut::ALL.map(Self::Cut));
        all.extend(labels.map(|label| Self::AllowedByKey(label.into())));
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
            Self::ConfigAccepted => "zonegate.config.accepted".to_owned(),
            Self::ConfigRejected => "zonegate.config.rejected".to_owned(),
        }
    }
}

impl Gauge {
    /// Every gauge, once.
    pub const ALL: [Self; 5] =
        [Self::Open, Self::Held, Self::Shadowed, Self::ConfigKeys, Self::ConfigRevocations];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Open => "zonegate.streams.open",
            Self::Held => "zonegate.streams.held",
            Self::Shadowed => "zonegate.streams.shadowed",
            Self::ConfigKeys => "zonegate.config.keys",
            Self::ConfigRevocations => "zonegate.config.revocations",
        }
    }
}

/// The label of a key in the characters that every stats sink takes. One that has others is told apart from its like
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
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_two_counters_share_a_name() {
        let labels = ["1", "default/1", "*/1", "a.b", "a b", "a_b", "a-b", "é", "è", ""];
        let all = Counter::all(labels.into_iter());
        let names: BTreeSet<String> = all.iter().map(Counter::name).collect();
        assert_eq!(names.len(), all.len(), "{names:?}");
        let is_plain =
            |byte| matches!(byte, b'-' | b'_' | b'.' | b'/' | b'*' | b'a'..=b'z' | b'0'..=b'9');
        assert!(names.iter().all(|name| name.bytes().all(is_plain)), "{names:?}");
        assert!(names.contains("zonegate.kid.a_b.allowed"), "{names:?}");
    }
}
