//! The measured values, as `results.json` has them.
//!
//! In: one value a round. Out: median, minimum and maximum. [`crate::goals`] judges the values.

use serde::{Deserialize, Serialize};

use crate::goals::Goal;
use crate::machine::Machine;

/// One run.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Results {
    pub(crate) machine: Machine,
    pub(crate) settings: Settings,
    pub(crate) scenarios: Vec<Scenario>,
    pub(crate) goals: Vec<Goal>,
}

/// The length of the measurement.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Settings {
    /// How often each Envoy was started anew.
    pub(crate) lives: usize,
    /// How often each subject had its turn, in each life.
    pub(crate) rounds: usize,
    /// Requests in one turn.
    pub(crate) requests: usize,
    /// Requests before the first turn.
    pub(crate) warm_up: usize,
}

/// One scenario.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Scenario {
    pub(crate) id: String,
    pub(crate) title: String,
    pub(crate) rows: Vec<Row>,
}

/// The values of one subject.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Row {
    pub(crate) subject: String,
    pub(crate) values: Vec<Value>,
}

/// One quantity, over all rounds.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Value {
    /// The name, with the unit.
    pub(crate) name: String,
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
    /// Round by round.
    pub(crate) rounds: Vec<f64>,
}

/// CPU of Envoy for one operation.
pub(crate) const CPU: &str = "CPU µs";
/// The same, less that of the chain without a filter in the same round.
pub(crate) const ADDED: &str = "added µs";
/// The part of the CPU time that the service takes.
pub(crate) const SERVICE: &str = "in the service";
/// The time within which half of all answers came.
pub(crate) const P50: &str = "p50 µs";
/// The time within which 99 of 100 answers came.
pub(crate) const P99: &str = "p99 µs";
/// Resident memory of Envoy after the last round of a life.
pub(crate) const RESIDENT: &str = "RSS MiB";

/// Memory for one open stream.
pub(crate) const EACH: &str = "KiB a stream";
/// The same, less that of the chain without a filter.
pub(crate) const EACH_ADDED: &str = "added KiB";
/// The time until all proxies were back.
pub(crate) const BACK: &str = "all back, ms";
/// The time until Envoy was ready.
pub(crate) const READY: &str = "ready ms";
/// The CPU time until Envoy was ready.
pub(crate) const READY_CPU: &str = "CPU ms";
/// Memory of one more worker.
pub(crate) const WORKER: &str = "MiB a worker";

impl Value {
    pub(crate) fn new(name: &str, rounds: Vec<f64>) -> Self {
        let mut sorted = rounds.clone();
        sorted.sort_by(f64::total_cmp);
        let first = sorted.first().copied().unwrap_or(f64::NAN);
        let last = sorted.last().copied().unwrap_or(f64::NAN);
        Self { name: name.to_owned(), median: median(&sorted), min: first, max: last, rounds }
    }
}

fn median(sorted: &[f64]) -> f64 {
    match (sorted.len(), sorted.len() / 2) {
        (0, _) => f64::NAN,
        (length, half) if length % 2 == 1 => sorted[half],
        (_, half) => f64::midpoint(sorted[half - 1], sorted[half]),
    }
}

/// The rounds of all lives together. A subject that takes no part in a life has fewer rounds.
pub(crate) fn merge(lives: Vec<Vec<Scenario>>) -> Vec<Scenario> {
    let mut all: Vec<Scenario> = Vec::new();
    for scenario in lives.into_iter().flatten() {
        match all.iter_mut().find(|known| known.id == scenario.id) {
            Some(known) => scenario.rows.into_iter().for_each(|row| known.add(row)),
            None => all.push(scenario),
        }
    }
    all
}

impl Scenario {
    fn add(&mut self, row: Row) {
        match self.rows.iter_mut().find(|known| known.subject == row.subject) {
            Some(known) => row.values.into_iter().for_each(|value| known.add(value)),
            None => self.rows.push(row),
        }
    }
}

impl Row {
    fn add(&mut self, more: Value) {
        match self.values.iter_mut().find(|known| known.name == more.name) {
            Some(known) => {
                *known = Value::new(&more.name, [&*known.rounds, &more.rounds].concat());
            }
            None => self.values.push(more),
        }
    }

    pub(crate) fn value(&self, name: &str) -> Option<&Value> {
        self.values.iter().find(|value| value.name == name)
    }
}

impl Results {
    /// A quantity of one subject in one scenario.
    pub(crate) fn value(&self, scenario: &str, subject: &str, name: &str) -> Option<&Value> {
        let scenario = self.scenarios.iter().find(|one| one.id == scenario)?;
        scenario.rows.iter().find(|row| row.subject == subject)?.value(name)
    }
}
