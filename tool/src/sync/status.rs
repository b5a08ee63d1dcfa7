//! The status of a sync for other programs and people: metrics, whether it is ready, whether it still polls, and the
//! page.
//!
//! In: the result of each poll. Out: Prometheus' text, two flags, and HTML. Nothing secret is counted: the number of
//! keys and ids, not the ids.

use std::sync::Mutex;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::error_kind::ErrorKind;
use super::shown::Shown;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ErrorLabels {
    kind: ErrorKind,
}

type Seconds = Gauge<f64, AtomicU64>;

/// The results of a sync so far.
#[derive(Debug)]
pub struct Status {
    registry: Registry,
    polls: Counter,
    changes: Counter,
    errors: Family<ErrorLabels, Counter>,
    failures: Gauge,
    last_success: Seconds,
    last_change: Seconds,
    keys: Gauge,
    revocations: Gauge,
    turning: Mutex<Turning>,
    shown: Shown,
}

#[derive(Debug)]
struct Turning {
    is_ready: bool,
    due: Option<Instant>,
}

/// The tolerance for a late poll on a busy machine.
const LATE: Duration = Duration::from_secs(60);

impl Default for Status {
    fn default() -> Self {
        let errors = Family::<ErrorLabels, Counter>::default();
        for kind in ErrorKind::ALL {
            // All kinds exist from the start, so that an alert sees the first failure as an increase.
            drop(errors.get_or_create(&ErrorLabels { kind }));
        }
        let mut status = Self {
            registry: Registry::with_prefix("zonegate_sync"),
            polls: Counter::default(),
            changes: Counter::default(),
            errors,
            failures: Gauge::default(),
            last_success: Seconds::default(),
            last_change: Seconds::default(),
            keys: Gauge::default(),
            revocations: Gauge::default(),
            turning: Mutex::new(Turning { is_ready: false, due: None }),
            shown: Shown::default(),
        };
        status.register();
        status
    }
}

impl Status {
    fn register(&mut self) {
        let registry = &mut self.registry;
        registry.register("polls", "How often the control plane was asked", self.polls.clone());
        registry.register("changes", "How often the file was replaced", self.changes.clone());
        registry.register("errors", "Polls that failed, by kind", self.errors.clone());
        registry.register(
            "consecutive_failures",
            "Polls that failed since one did not",
            self.failures.clone(),
        );
        registry.register(
            "last_success_timestamp_seconds",
            "When the file was last known to be current, 0 if never",
            self.last_success.clone(),
        );
        registry.register(
            "last_change_timestamp_seconds",
            "When the file was last replaced, 0 if never",
            self.last_change.clone(),
        );
        registry.register("keys", "Public keys in the file", self.keys.clone());
        registry.register("revocations", "Revoked ids in the file", self.revocations.clone());
    }

    /// Counts a poll that begins.
    pub fn polling(&self) {
        self.polls.inc();
    }

    /// Counts a successful poll: the file is current.
    pub fn succeeded(&self, keys: usize, revocations: usize, changed: bool) {
        self.failures.set(0);
        self.last_success.set(now());
        if changed {
            self.changes.inc();
            self.last_change.set(now());
        }
        self.keys.set(i64::try_from(keys).unwrap_or(i64::MAX));
        self.revocations.set(i64::try_from(revocations).unwrap_or(i64::MAX));
        self.shown.current();
        self.turning().is_ready = true;
    }

    /// Counts a failed poll, with this reason.
    pub fn failed(&self, kind: ErrorKind, why: &str) {
        self.errors.get_or_create(&ErrorLabels { kind }).inc();
        self.failures.inc();
        self.shown.failed(why);
    }

    /// Sets the time within which the next poll must end.
    pub fn expect(&self, within: Duration) {
        self.turning().due = Instant::now().checked_add(within);
    }

    /// Whether the file has been current since this process started.
    pub fn is_ready(&self) -> bool {
        self.turning().is_ready
    }

    /// Whether polls still follow one another in time.
    pub fn is_turning(&self) -> bool {
        let late = |due: Instant| Instant::now().saturating_duration_since(due) > LATE;
        !self.turning().due.is_some_and(late)
    }

    /// All metrics, as OpenMetrics text.
    pub fn metrics(&self) -> String {
        let mut text = String::new();
        // Writing to a String does not fail.
        let _ = encode(&mut text, &self.registry);
        text
    }

    /// The page, as HTML.
    pub fn page(&self) -> String {
        self.shown.html()
    }

    pub(super) fn shown(&self) -> &Shown {
        &self.shown
    }

    /// A panic cannot leave the value half changed, so a poisoned lock is safe to use.
    fn turning(&self) -> std::sync::MutexGuard<'_, Turning> {
        self.turning.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::arithmetic_side_effects)] // a test may panic
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_there_from_the_start_under_its_own_name() {
        let text = Status::default().metrics();
        for kind in ErrorKind::ALL {
            let line = format!("zonegate_sync_errors_total{{kind=\"{kind}\"}} 0\n");
            assert_eq!(text.matches(&line).count(), 1, "{line}{text}");
        }
    }

    #[test]
    fn alerts_and_dashboard_ask_for_what_there_is() {
        let alerts = include_str!("../../../examples/prometheus/alerts.yaml");
        let dashboard = include_str!("../../../examples/prometheus/dashboard.json");
        let asked = [alerts, dashboard].concat();
        let asked = asked.split(|rune: char| !rune.is_ascii_alphanumeric() && rune != '_');
        let asked: Vec<&str> = asked.filter(|word| word.starts_with("zonegate_sync_")).collect();
        assert!(asked.len() >= 6, "{asked:?}");
        let status = Status::default();
        status.succeeded(1, 0, true);
        let text = status.metrics();
        for name in asked {
            let there = text.lines().any(|line| line.split(['{', ' ']).next() == Some(name));
            assert!(there, "no {name} in\n{text}");
        }
    }

    #[test]
    fn a_turn_is_counted() {
        let status = Status::default();
        assert!(!status.is_ready());
        status.polling();
        status.failed(ErrorKind::Tls, "");
        assert!(!status.is_ready());
        status.succeeded(2, 3, true);
        assert!(status.is_ready());
        status.succeeded(2, 3, false);
        status.failed(ErrorKind::Tls, "");
        assert!(status.is_ready(), "the last good file is still there");
        let text = status.metrics();
        for line in [
            "zonegate_sync_polls_total 1",
            "zonegate_sync_changes_total 1",
            "zonegate_sync_errors_total{kind=\"tls\"} 2",
            "zonegate_sync_consecutive_failures 1",
            "zonegate_sync_keys 2",
            "zonegate_sync_revocations 3",
        ] {
            assert!(text.lines().any(|seen| seen == line), "{line} is not in\n{text}");
        }
    }

    #[test]
    fn a_turn_that_does_not_come_is_noticed() {
        let status = Status::default();
        assert!(status.is_turning());
        status.expect(Duration::from_secs(10));
        assert!(status.is_turning());
        let long_ago = Instant::now().checked_sub(LATE + Duration::from_secs(1)).unwrap();
        status.turning().due = Some(long_ago);
        assert!(!status.is_turning());
    }
}
