//! Counters and gauges, all defined when the plugin starts and never from request data. Envoy shows
//! them with the prefix `wasmcustom.`.
//!
//! One set for a VM: the host makes a new id for every definition, so a push must not define again.

use std::cell::{Cell, OnceCell, RefCell};
use std::fmt::Display;

use proxy_wasm::hostcalls;
use proxy_wasm::types::MetricType;
use zonegate::gate::{Clock, Mode, Reason};
use zonegate::roll_call;
use zonegate::streams::Cut;
use zonegate::token::KeySet;

use super::host;

thread_local! {
    static METRICS: OnceCell<Metrics> = const { OnceCell::new() };
}

/// The metrics of this VM.
pub(super) struct Metrics {
    allowed: Metric,
    denied: Vec<(Reason, Metric)>,
    would_deny: Vec<(Reason, Metric)>,
    cut: Vec<(Cut, Metric)>,
    streams_open: Metric,
    /// Streams that are open in this VM.
    open: Cell<u64>,
    vm: u64,
    config_accepted: Metric,
    config_rejected: Metric,
    config_keys: Metric,
    config_revocations: Metric,
    kids: RefCell<Vec<(String, Metric)>>,
}

/// One metric; `None` where the host would not define it.
#[derive(Clone, Copy)]
struct Metric(Option<u32>);

/// Runs `f` on the metrics of this VM.
pub(super) fn metrics<T>(f: impl FnOnce(&Metrics) -> T) -> T {
    METRICS.with(|cell| f(cell.get_or_init(Metrics::define)))
}

impl Metrics {
    fn define() -> Self {
        Self {
            allowed: Metric::counter("zonegate.allowed"),
            denied: by_name("zonegate.denied", &Reason::ALL),
            would_deny: by_name("zonegate.would_deny", &Reason::ALL),
            cut: by_name("zonegate.streams.cut", &Cut::ALL),
            streams_open: Metric::gauge("zonegate.streams.open"),
            open: Cell::new(0),
            vm: host::vm_number(),
            config_accepted: Metric::counter("zonegate.config.accepted"),
            config_rejected: Metric::counter("zonegate.config.rejected"),
            config_keys: Metric::gauge("zonegate.config.keys"),
            config_revocations: Metric::gauge("zonegate.config.revocations"),
            kids: RefCell::default(),
        }
    }

    /// A configuration is in force in this VM.
    pub(super) fn configured(&self, keys: &KeySet, revocations: usize) {
        self.config_keys.set(keys.iter().count());
        self.config_revocations.set(revocations);
        let mut kids = self.kids.borrow_mut();
        for (kid, _) in keys.iter() {
            if !kids.iter().any(|(known, _)| known == kid) {
                let name = format!("zonegate.kid.{}.allowed", stat_name(kid));
                kids.push((kid.to_owned(), Metric::counter(&name)));
            }
        }
    }

    /// A new configuration is in force, in the gateway as a whole.
    pub(super) fn accepted(&self) {
        self.config_accepted.add(1);
    }

    /// A configuration was refused.
    pub(super) fn rejected(&self) {
        self.config_rejected.add(1);
    }

    /// A request passes, by the key of this kid if by one.
    pub(super) fn allowed(&self, kid: Option<&str>) {
        self.allowed.add(1);
        if let Some(kid) = kid {
            let kids = self.kids.borrow();
            kids.iter().filter(|(known, _)| known == kid).for_each(|(_, metric)| metric.add(1));
        }
    }

    /// A request is refused, or would be in enforce mode.
    pub(super) fn denied(&self, mode: Mode, reason: Reason) {
        match mode {
            Mode::Enforce => add_to(&self.denied, reason),
            Mode::Shadow => add_to(&self.would_deny, reason),
        }
    }

    /// An open stream is cut.
    pub(super) fn cut(&self, why: Cut) {
        add_to(&self.cut, why);
    }

    /// An allowed stream begins.
    pub(super) fn stream_opened(&self) {
        self.open.set(self.open.get().saturating_add(1));
    }

    /// An allowed stream has ended.
    pub(super) fn stream_closed(&self) {
        self.open.set(self.open.get().saturating_sub(1));
    }

    /// Brings the gauge of open streams up to date, at every tick: a VM that fails cannot take back
    /// what it has added, so another one must.
    pub(super) fn report_open(&self, clock: Clock) {
        let Ok(now) = clock.now() else { return };
        match roll_call::report(&host::RollCallAtHost, self.vm, self.open.get(), now) {
            0 => {}
            change => self.streams_open.add(change),
        }
    }
}

fn by_name<T: Copy + Display>(prefix: &str, all: &[T]) -> Vec<(T, Metric)> {
    all.iter().map(|one| (*one, Metric::counter(&format!("{prefix}.{one}")))).collect()
}

fn add_to<T: PartialEq>(metrics: &[(T, Metric)], wanted: T) {
    if let Some((_, metric)) = metrics.iter().find(|(one, _)| *one == wanted) {
        metric.add(1);
    }
}

impl Metric {
    fn counter(name: &str) -> Self {
        Self(hostcalls::define_metric(MetricType::Counter, name).ok())
    }

    fn gauge(name: &str) -> Self {
        Self(hostcalls::define_metric(MetricType::Gauge, name).ok())
    }

    fn add(self, offset: i64) {
        // A metric that cannot be counted must not stop a request.
        let _ = self.0.map(|id| hostcalls::increment_metric(id, offset));
    }

    fn set(self, value: usize) {
        let value = u64::try_from(value).unwrap_or(u64::MAX);
        let _ = self.0.map(|id| hostcalls::record_metric(id, value));
    }
}

/// A kid in the characters that every stats sink takes.
fn stat_name(kid: &str) -> String {
    let plain = |rune: char| rune.is_ascii_alphanumeric() || matches!(rune, '-' | '_');
    kid.chars().map(|rune| if plain(rune) { rune } else { '_' }).collect()
}
