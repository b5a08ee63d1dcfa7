//! The goals of the measurement.
//!
//! In: results. Out: for each goal the measured value and whether it holds. A goal whose scenario was
//! not run is left out.

use serde::{Deserialize, Serialize};

use crate::chain::{JWT, JWT_CACHE, NATIVE, NO_FILTER, ZONEGATE, ZONEGATE_CRATE};
use crate::requests::{native_with_list, rbac_name, with_list};
use crate::results::{ADDED, CPU, Results};

/// One goal, measured.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Goal {
    pub(crate) what: String,
    /// The largest value that meets the goal.
    pub(crate) limit: f64,
    pub(crate) unit: String,
    /// The value by the medians of all rounds.
    pub(crate) measured: f64,
    /// The value by the minima of all rounds, which have less noise of the machine.
    pub(crate) at_best: f64,
    pub(crate) met: bool,
}

impl Goal {
    fn new(what: &str, limit: f64, unit: &str, measured: f64, at_best: f64) -> Self {
        let (what, unit) = (what.to_owned(), unit.to_owned());
        Self { what, limit, unit, measured, at_best, met: measured <= limit }
    }
}

/// A goal: the added cost of zonegate in a scenario is at most `limit` times that of a subject in the same or another
/// scenario.
struct Ratio {
    what: &'static str,
    scenario: &'static str,
    limit: f64,
    /// Scenario and subject.
    of: (&'static str, &'static str),
}

const RATIOS: &[Ratio] = &[
    Ratio { what: "every token new", scenario: "a", limit: 0.80, of: ("a", JWT) },
    Ratio { what: "the same tokens", scenario: "b", limit: 0.85, of: ("b", JWT_CACHE) },
    Ratio { what: "garbage", scenario: "c garbage", limit: 1.0, of: ("c garbage", JWT) },
    Ratio {
        what: "unknown kid",
        scenario: "c unknown kid",
        limit: 0.55,
        of: ("c unknown kid", JWT),
    },
    Ratio {
        what: "bad signature",
        scenario: "c bad signature",
        limit: 0.80,
        of: ("c bad signature", JWT),
    },
    Ratio {
        what: "expired, seen before",
        scenario: "c expired",
        limit: 0.35,
        of: ("c expired", JWT),
    },
    Ratio {
        what: "revoked, seen before",
        scenario: "c revoked",
        limit: 0.35,
        of: ("c expired", JWT),
    },
];

/// The goals of the dynamic module: name, scenario, limit, and subject to compare with. An RBAC list has a thousand
/// ids.
const NATIVE_RATIOS: &[(&str, &str, f64, Against)] = &[
    ("every token new", "a", 0.75, Against::Named(JWT)),
    ("every token new, cache filling", "a", 0.62, Against::Named(JWT_CACHE)),
    ("the same tokens", "b", 0.60, Against::Named(JWT_CACHE)),
    ("the same tokens", "b", 0.13, Against::Rbac),
    ("garbage", "c garbage", 0.40, Against::Named(JWT)),
    ("unknown kid", "c unknown kid", 0.12, Against::Named(JWT)),
    ("bad signature", "c bad signature", 0.45, Against::Named(JWT)),
    ("expired, seen before", "c expired", 0.15, Against::Named(JWT)),
    ("revoked, seen before", "c revoked", 0.15, Against::Rbac),
];

/// The subject with which the dynamic module is compared.
#[derive(Clone, Copy)]
enum Against {
    Named(&'static str),
    Rbac,
}

/// The goals whose scenarios are in `results`.
pub(crate) fn judge(results: &Results) -> Vec<Goal> {
    let mut goals: Vec<Goal> = RATIOS.iter().filter_map(|ratio| ratio.judge(results)).collect();
    goals.extend(NATIVE_RATIOS.iter().filter_map(|(what, scenario, limit, against)| {
        let subject = match against {
            Against::Named(name) => (*name).to_owned(),
            Against::Rbac => rbac_name(1_000),
        };
        let ratio = |of: fn(&Results, &str, &str) -> Option<f64>| {
            Some(of(results, scenario, NATIVE)? / of(results, scenario, &subject)?)
        };
        let (what, unit) = (format!("native: {what}"), format!("× {subject}"));
        Some(Goal::new(&what, *limit, &unit, ratio(added)?, ratio(added_at_best)?))
    }));
    goals.extend(of_dataplanes(results));
    goals.extend(of_lists(results, "1,000,000 revoked ids", with_list));
    goals.extend(of_lists(results, "native: 1,000,000 revoked ids", native_with_list));
    goals.extend(of_messages(results));
    goals.extend(without_host_crypto(results));
    let callbacks = results.machine.response_callbacks.len() as f64;
    goals.push(Goal::new("responses", 0.0, "callbacks into the VM", callbacks, callbacks));
    let kilobytes = results.machine.module_bytes as f64 / 1000.0;
    goals.push(Goal::new("the module's size", 600.0, "KB", kilobytes, kilobytes));
    goals
}

/// The cost of a dataplane token compared with a zone token: the gate also reads the resource of its holder.
fn of_dataplanes(results: &Results) -> Vec<Goal> {
    let goals = [
        ("new", "a", ZONEGATE),
        ("same", "b", ZONEGATE),
        ("new", "a", NATIVE),
        ("same", "b", NATIVE),
    ];
    let goal = |(of, zone_tokens, subject): (&str, &str, &str)| {
        let dataplane_tokens = format!("i {of}");
        let ratio = |cost: fn(&Results, &str, &str) -> Option<f64>| {
            Some(cost(results, &dataplane_tokens, subject)? / cost(results, zone_tokens, subject)?)
        };
        let what = format!("{subject}: dataplane tokens, {of}");
        Some(Goal::new(&what, 1.0, "× zone tokens", ratio(added)?, ratio(added_at_best)?))
    };
    goals.into_iter().filter_map(goal).collect()
}

fn of_lists(results: &Results, what: &str, name: fn(usize) -> String) -> Option<Goal> {
    let (none, million) = (name(0), name(1_000_000));
    let ratio = |of: fn(&Results, &str, &str) -> Option<f64>| {
        Some(of(results, "d", &million)? / of(results, "d", &none)?)
    };
    let (median, best) = (ratio(added)?, ratio(added_at_best)?);
    Some(Goal::new(what, 1.05, "× 0 ids", median, best))
}

fn of_messages(results: &Results) -> Option<Goal> {
    let id = "e requests, small";
    let median = added(results, id, ZONEGATE)?;
    let best = added_at_best(results, id, ZONEGATE)?;
    Some(Goal::new("a message to the control plane", 2.0, "µs", median, best))
}

fn without_host_crypto(results: &Results) -> Option<Goal> {
    let median = added(results, "a", ZONEGATE_CRATE)?;
    let best = added_at_best(results, "a", ZONEGATE_CRATE)?;
    Some(Goal::new("every token new, no host crypto", 450.0, "µs", median, best))
}

impl Ratio {
    fn judge(&self, results: &Results) -> Option<Goal> {
        let (scenario, subject) = self.of;
        let unit = match scenario == self.scenario {
            true => format!("× {subject}"),
            false => format!("× {subject}, {}", scenario.trim_start_matches("c ")),
        };
        let ratio = |of: fn(&Results, &str, &str) -> Option<f64>| {
            Some(of(results, self.scenario, ZONEGATE)? / of(results, scenario, subject)?)
        };
        Some(Goal::new(self.what, self.limit, &unit, ratio(added)?, ratio(added_at_best)?))
    }
}

fn added(results: &Results, scenario: &str, subject: &str) -> Option<f64> {
    results.value(scenario, subject, ADDED).map(|value| value.median)
}

/// The least CPU time of a subject, minus the least of the chain without a filter.
fn added_at_best(results: &Results, scenario: &str, subject: &str) -> Option<f64> {
    let least = |subject| results.value(scenario, subject, CPU).map(|value| value.min);
    Some(least(subject)? - least(NO_FILTER)?)
}
