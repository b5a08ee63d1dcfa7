//! The gate and golang-jwt judge the same tokens, a hundred thousand of them.
//!
//! `ZONEGATE_CASES` says how many, `ZONEGATE_SEED` which ones. Needs Go; without it, it says that it
//! was skipped.
#![allow(clippy::unwrap_used, clippy::panic)] // a test may panic
#![allow(clippy::indexing_slicing, clippy::string_slice, clippy::arithmetic_side_effects)]

mod engine;
mod golang_jwt;

use std::str::FromStr;
use std::thread;
use std::time::{Duration, Instant};

use engine::cases::Surroundings;
use engine::{Plan, Row, Summary, run};
use golang_jwt::GolangJwt;

const CASES: usize = 100_000;
const WORKERS: u64 = 2;

#[test]
fn the_gate_is_never_looser_than_golang_jwt_and_stricter_only_where_the_table_says_so() {
    let Some(program) = golang_jwt::build().unwrap() else {
        println!(
            "skipped: the differential test against golang-jwt (no Go to build tests/kuma with)"
        );
        return;
    };
    let cases = from_environment("ZONEGATE_CASES").unwrap_or(CASES);
    let seed = from_environment("ZONEGATE_SEED").unwrap_or_else(rand::random::<u64>);
    println!("{cases} cases; the same again with ZONEGATE_SEED={seed}");
    let start = Instant::now();
    let summary = thread::scope(|scope| {
        let workers: Vec<_> = (0..WORKERS)
            .map(|worker| {
                let plan = plan(cases, seed, worker);
                let program = &program;
                scope.spawn(move || run(plan, &mut GolangJwt::start(program).unwrap()).unwrap())
            })
            .collect();
        let mut summary = Summary::default();
        workers.into_iter().for_each(|worker| summary.add(worker.join().unwrap()));
        summary
    });
    println!("{} in {:.0?}: {} accepted", summary.judged, start.elapsed(), summary.accepted);
    println!("stricter: {:?}", summary.rows);
    assert!(summary.differences.is_empty(), "{}", differences(&summary, seed));
    // Were most of them refused for one plain reason, the run would show little.
    assert!(summary.accepted * 10 > cases, "few cases are good: {}", summary.accepted);
    let unneeded: Vec<_> =
        Row::ALL.into_iter().filter(|row| !summary.rows.contains_key(row)).collect();
    assert!(unneeded.is_empty() || cases < CASES, "rows that no case needed: {unneeded:?}");
}

#[test]
fn every_row_stands_in_the_readme() {
    let readme = include_str!("../../README.md");
    for row in Row::ALL {
        assert!(readme.contains(&format!("\n| {} |", row.text())), "{row:?}");
    }
}

fn plan(cases: usize, seed: u64, worker: u64) -> Plan {
    let share = cases.div_ceil(usize::try_from(WORKERS).unwrap());
    Plan {
        cases: share,
        seed: seed.wrapping_add(worker),
        surroundings: Surroundings::Varied,
        now: || Duration::new(1_800_000_000, 500_000_000),
    }
}

fn from_environment<T: FromStr>(name: &str) -> Option<T> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text}: not a whole number")))
}

fn differences(summary: &Summary, seed: u64) -> String {
    let texts: Vec<_> = summary.differences.iter().map(ToString::to_string).collect();
    format!("ZONEGATE_SEED={seed}\n{}", texts.join("\n\n"))
}
