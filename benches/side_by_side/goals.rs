//! What is to be reached.
//!
//! In: results. Out: for each goal the measured value and whether it holds. A goal whose scenario was
//! not run is left out.

use serde::{Deserialize, Serialize};

use crate::chain::{JWT, JWT_CACHE, ZONEGATE};
use crate::results::{ADDED, Results, Value};

/// One goal, measured.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Goal {
    pub(crate) what: String,
    /// At most.
    pub(crate) limit: f64,
    pub(crate) unit: String,
    pub(crate) measured: f64,
    pub(crate) met: bool,
}

impl Goal {
    fn new(what: &str, limit: f64, unit: &str, measured: f64) -> Self {
        let (what, unit) = (what.to_owned(), unit.to_owned());
        Self { what, limit, unit, measured, met: measured <= limit }
    }
}

/// The added cost of zonegate in a scenario, at most `limit` times that of a subject in another.
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

/// The goals that the scenarios of `results` can tell of.
pub(crate) fn judge(results: &Results) -> Vec<Goal> {
    let mut goals: Vec<Goal> = RATIOS.iter().filter_map(|ratio| ratio.judge(results)).collect();
    let kilobytes = results.machine.module_bytes as f64 / 1000.0;
    goals.push(Goal::new("the module's size", 600.0, "KB", kilobytes));
    goals
}

impl Ratio {
    fn judge(&self, results: &Results) -> Option<Goal> {
        let added = |scenario, subject| results.value(scenario, subject, ADDED);
        let (subject, other) = (self.of.1, added(self.of.0, self.of.1)?);
        let unit = match self.of.0 == self.scenario {
            true => format!("× {subject}"),
            false => format!("× {subject}, {}", self.of.0.trim_start_matches("c ")),
        };
        let ratio = ratio(added(self.scenario, ZONEGATE)?, other);
        Some(Goal::new(self.what, self.limit, &unit, ratio))
    }
}

fn ratio(one: &Value, other: &Value) -> f64 {
    one.median / other.median
}
