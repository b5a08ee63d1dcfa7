//! The gate and golang-jwt, in both releases that Kuma has used, judge the same tokens, and the gate and Go read the
//! same keys: a hundred thousand of each.
//!
//! `ZONEGATE_CASES` sets the number of cases, `ZONEGATE_SEED` the seed. Needs Go; without Go, the tests print that they
//! were skipped. With `make test-kuma` the real kuma-cp judges as many cases.
#![allow(clippy::unwrap_used, clippy::panic)] // a test may panic
#![allow(clippy::indexing_slicing, clippy::string_slice, clippy::arithmetic_side_effects)]

#[allow(dead_code)] // the recorded streams need more of it
#[path = "../dataplane_vectors/kuma.rs"]
mod dataplane_kuma;
#[allow(dead_code)]
#[path = "../dataplane_vectors/stream.rs"]
mod dataplane_stream;
mod engine;
mod golang_jwt;
mod issued;
mod keys;
mod kuma_cp;
mod recorded_streams;
mod streams;

use std::str::FromStr;
use std::thread;
use std::time::{Duration, Instant};

use dataplane_kuma::Excuse;
use engine::cases::Surroundings;
use engine::{Jwt, LooserRow, Plan, Row, Summary, run};
use golang_jwt::{GoKeys, GoStreams, GolangJwt};
use keys::KeyRow;
use kuma_cp::KumaCp;
use streams::StreamRow;
use zonegate_testkit::kuma::{HOW_TO, Home};

const CASES: usize = 100_000;
const WORKERS: u64 = 2;

#[test]
fn the_gate_is_never_looser_than_golang_jwt_and_stricter_only_where_the_table_says_so() {
    let Some(summary) = run_against_golang_jwt(Jwt::V5) else { return };
    assert!(summary.looser.is_empty(), "{:?}", summary.looser);
}

/// Kuma 2.9 and 2.10.
#[test]
fn the_gate_differs_from_golang_jwt_v4_only_where_the_tables_say_so() {
    let Some(summary) = run_against_golang_jwt(Jwt::V4) else { return };
    let unneeded: Vec<_> =
        LooserRow::ALL.into_iter().filter(|row| !summary.looser.contains_key(row)).collect();
    assert!(
        unneeded.is_empty() || summary.judged < CASES,
        "rows that no case needed: {unneeded:?}"
    );
}

/// `None` if there is no Go.
fn run_against_golang_jwt(jwt: Jwt) -> Option<Summary> {
    let Some(program) = golang_jwt::build().unwrap() else {
        println!(
            "skipped: the differential test against golang-jwt (no Go to build tests/kuma with)"
        );
        return None;
    };
    let cases = from_environment("ZONEGATE_CASES").unwrap_or(CASES);
    let seed = from_environment("ZONEGATE_SEED").unwrap_or_else(rand::random::<u64>);
    println!("{cases} cases; the same again with ZONEGATE_SEED={seed}");
    let start = Instant::now();
    let summary = thread::scope(|scope| {
        let workers: Vec<_> = (0..WORKERS)
            .map(|worker| {
                let plan = plan(cases, seed, worker);
                let mut oracle = GolangJwt::start(&program, jwt).unwrap();
                scope.spawn(move || run(plan, &mut oracle).unwrap())
            })
            .collect();
        let mut summary = Summary::default();
        workers.into_iter().for_each(|worker| summary.add(worker.join().unwrap()));
        summary
    });
    println!("{} in {:.0?}: {} accepted", summary.judged, start.elapsed(), summary.accepted);
    println!("stricter: {:?}, looser: {:?}", summary.rows, summary.looser);
    assert!(summary.differences.is_empty(), "{}", differences(&summary, seed));
    // If most tokens were refused for one plain reason, the run would show little.
    assert!(summary.accepted * 10 > cases, "few cases are good: {}", summary.accepted);
    let rows = Row::ALL.into_iter().filter(|row| row.is_of(jwt));
    let unneeded: Vec<_> = rows.filter(|row| !summary.rows.contains_key(row)).collect();
    assert!(unneeded.is_empty() || cases < CASES, "rows that no case needed: {unneeded:?}");
    Some(summary)
}

#[test]
fn the_gate_reads_keys_as_go_does_and_refuses_more_only_where_the_table_says_so() {
    let Some(program) = golang_jwt::build().unwrap() else {
        println!("skipped: the differential test of keys (no Go to build tests/kuma with)");
        return;
    };
    let cases = from_environment("ZONEGATE_CASES").unwrap_or(CASES);
    let seed = from_environment("ZONEGATE_SEED").unwrap_or_else(rand::random::<u64>);
    println!("{cases} keys; the same again with ZONEGATE_SEED={seed}");
    let share = cases.div_ceil(usize::try_from(WORKERS).unwrap());
    let start = Instant::now();
    let summary = thread::scope(|scope| {
        let read = |worker: u64| {
            let mut go = GoKeys::start(&program).unwrap();
            keys::run(share, seed.wrapping_add(worker), &mut go).unwrap()
        };
        let workers: Vec<_> =
            (0..WORKERS).map(|worker| scope.spawn(move || read(worker))).collect();
        let mut summary = keys::Summary::default();
        workers.into_iter().for_each(|worker| summary.add(worker.join().unwrap()));
        summary
    });
    let keys::Summary { judged, accepted, verified, rows, refused, differences } = summary;
    println!("{judged} in {:.0?}: {accepted} taken, {verified} verify", start.elapsed());
    println!("refused: {refused:#?}\nstricter: {rows:?}");
    let texts: Vec<_> = differences.iter().map(ToString::to_string).collect();
    assert!(texts.is_empty(), "ZONEGATE_SEED={seed}\n{}", texts.join("\n\n"));
    assert!(accepted * 10 > judged, "few keys are good: {accepted}");
    assert!(verified * 2 > accepted, "few good keys verify: {verified}");
    let unneeded: Vec<_> = KeyRow::ALL.into_iter().filter(|row| !rows.contains_key(row)).collect();
    assert!(unneeded.is_empty() || cases < CASES, "rows that no key needed: {unneeded:?}");
}

/// Fewer streams are enough: a stream has fewer places for an edit.
const STREAMS: usize = 20_000;

#[test]
fn the_gate_lets_no_dataplane_in_that_kuma_would_refuse_but_for_what_only_kuma_knows() {
    let Some(program) = golang_jwt::build().unwrap() else {
        println!("skipped: the differential test of streams (no Go to build tests/kuma with)");
        return;
    };
    let cases = from_environment("ZONEGATE_CASES").unwrap_or(STREAMS);
    let seed = from_environment("ZONEGATE_SEED").unwrap_or_else(rand::random::<u64>);
    println!("{cases} streams; the same again with ZONEGATE_SEED={seed}");
    let share = cases.div_ceil(usize::try_from(WORKERS).unwrap());
    let keys = serde_json::json!(streams::keys());
    let start = Instant::now();
    let summary = thread::scope(|scope| {
        let judge = |worker: u64| {
            let mut kuma = GoStreams::start(&program, &keys).unwrap();
            streams::run(share, seed.wrapping_add(worker), &mut kuma).unwrap()
        };
        let workers: Vec<_> =
            (0..WORKERS).map(|worker| scope.spawn(move || judge(worker))).collect();
        let mut summary = streams::Summary::default();
        workers.into_iter().for_each(|worker| summary.add(worker.join().unwrap()));
        summary
    });
    let streams::Summary { judged, accepted, steps, rows, excuses, differences } = summary;
    println!("{judged} in {:.0?}: {accepted} accepted; {steps:?}", start.elapsed());
    println!("stricter: {rows:?}\nfor the control plane to refuse: {excuses:?}");
    let texts: Vec<_> = differences.iter().map(ToString::to_string).collect();
    assert!(texts.is_empty(), "ZONEGATE_SEED={seed}\n{}", texts.join("\n\n"));
    assert!(accepted * 10 > judged, "few streams are good: {accepted}");
    let unneeded: Vec<_> =
        StreamRow::ALL.into_iter().filter(|row| !rows.contains_key(row)).collect();
    assert!(unneeded.is_empty() || cases < STREAMS, "rows that no stream needed: {unneeded:?}");
    let unneeded: Vec<_> =
        Excuse::ALL.into_iter().filter(|excuse| !excuses.contains_key(excuse)).collect();
    assert!(unneeded.is_empty() || cases < STREAMS, "excuses without a case: {unneeded:?}");
}

/// Texts of `zone-token-revocations`, and the percentage of cases for each. The id of a good token is `id1`.
const REVOKED: [(&str, usize); 6] =
    [("", 70), ("id2,id3\n", 15), ("id2, id1", 5), ("id1", 4), ("id1,", 3), ("\n", 3)];

#[test]
#[ignore = "needs KUMA_HOME: make test-kuma"]
fn the_gate_is_never_looser_than_kuma_and_stricter_only_where_the_table_says_so() {
    let home = Home::from_environment().unwrap().unwrap_or_else(|| panic!("{HOW_TO}"));
    let cases = from_environment("ZONEGATE_CASES").unwrap_or(CASES);
    let seed = from_environment("ZONEGATE_SEED").unwrap_or_else(rand::random::<u64>);
    println!("{cases} cases; the same again with ZONEGATE_SEED={seed}");
    let mut control_plane = KumaCp::start(&home).unwrap();
    let (start, mut summary) = (Instant::now(), Summary::default());
    for (phase, (text, percent)) in (0..).zip(REVOKED) {
        control_plane.revoke(text).unwrap();
        let cases = (cases * percent).div_ceil(100);
        let plan = |worker| Plan {
            surroundings: Surroundings::Fixed,
            now: kuma_cp::now,
            ..plan(cases, seed, phase * WORKERS + worker)
        };
        thread::scope(|scope| {
            let ask = |plan| run(plan, &mut control_plane.ask().unwrap()).unwrap();
            let workers: Vec<_> =
                (0..WORKERS).map(|worker| scope.spawn(move || ask(plan(worker)))).collect();
            workers.into_iter().for_each(|worker| summary.add(worker.join().unwrap()));
        });
    }
    let Summary { judged, accepted, left_out, .. } = summary;
    println!("{judged} in {:.0?}: {accepted} accepted, {left_out} left out", start.elapsed());
    println!("stricter: {:?}, looser: {:?}", summary.rows, summary.looser);
    assert!(summary.differences.is_empty(), "{}", differences(&summary, seed));
    assert!(accepted * 10 > judged, "few cases are good: {accepted}");
    assert!(left_out * 10 < judged, "many cases are left out: {left_out}");
}

#[test]
fn every_row_stands_in_the_page_on_checks() {
    let page = include_str!("../../docs/checks.md");
    let rows = Row::ALL.map(Row::text).into_iter().chain(KeyRow::ALL.map(KeyRow::text));
    let texts = rows.chain(LooserRow::ALL.map(LooserRow::text));
    let texts = texts.chain(StreamRow::ALL.map(StreamRow::text));
    let texts = texts.chain(Excuse::ALL.map(Excuse::text));
    for text in texts {
        assert!(page.contains(&format!("\n| {text} |")), "{text}");
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
