//! Properties that hold for any order of events: pieces, pushes, ticks, ends and clocks.
//!
//! [`model`](super::model) lists them. `ZONEGATE_STEPS=1000000` sets the number of steps; the default is 60,000.

use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config as ProptestConfig, TestRunner};

use crate::host::path;
use crate::model::{Event, Model, PATHS, PIECES, POLICIES, STREAMS, TOKENS};

/// The approximate number of steps of one story.
const LENGTH: usize = 60;

fn event() -> impl Strategy<Value = Event> {
    // Good tokens and whole messages are more frequent, so that most streams get far.
    let token =
        prop_oneof![3 => select(vec!["good", "other", "short"]), 1 => select(TOKENS.to_vec())];
    let place = prop_oneof![
        5 => Just("headers"),
        2 => Just("bootstrap"),
        1 => select(PATHS.to_vec()),
    ];
    let piece = prop_oneof![
        4 => select(PIECES[..4].to_vec()),
        1 => select(PIECES[2..10].to_vec()),
        2 => select(PIECES[10..].to_vec()),
    ];
    let under = prop_oneof![4 => Just(0_usize), 1 => 1..4_usize];
    prop_oneof![
        3 => (0..POLICIES.len()).prop_map(Event::Push),
        1 => (0..4_usize).prop_map(Event::Drop),
        1 => prop_oneof![4 => Just(Event::Await), 1 => Just(Event::Lose)],
        8 => (0..STREAMS, place, token, under, 0..60_000_usize).prop_map(
            |(stream, at, token, under, header_bytes)| {
                Event::Begin { stream, path: path(at), token, under, header_bytes }
            }
        ),
        10 => (0..STREAMS, piece, prop::bool::weighted(0.3)).prop_map(|(stream, piece, is_end)| {
            Event::Body { stream, piece, is_end }
        }),
        1 => (0..STREAMS).prop_map(Event::Trailers),
        3 => (0..STREAMS).prop_map(Event::End),
        6 => select(vec![1_u64, 50, 100, 100, 100, 400, 1_000]).prop_map(Event::Tick),
        1 => prop_oneof![
            select(vec![-3_600_i64, 3_600, 5, -5]).prop_map(Some),
            Just(None),
        ].prop_map(Event::Now),
    ]
}

#[test]
fn in_any_order_of_events() {
    let steps = std::env::var("ZONEGATE_STEPS").map_or(60_000, |steps| steps.parse().unwrap());
    let cases = u32::try_from(steps / LENGTH).unwrap();
    let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
    let story = prop::collection::vec(event(), LENGTH / 2..LENGTH * 3 / 2);
    let most = prop_oneof![2 => Just(usize::MAX), 1 => 1..3_usize];
    let run = |(most, events): (usize, Vec<Event>)| {
        let mut model = Model::ending_at_most(most);
        events.iter().for_each(|event| model.happen(event));
        model.end_all();
        Ok(())
    };
    TestRunner::new(config).run(&(most, story), run).unwrap_or_else(|failure| panic!("{failure}"));
}
