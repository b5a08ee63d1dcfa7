//! Random orders of events against the real library, by a host that stands in for Envoy.
//!
//! In: the library (`ZONEGATE_NATIVE`), a seed and a number of events. Out: properties that must always hold: a stream
//! is answered at most once, no callback names a filter that is gone, no token passes that the newest policy revokes,
//! and when all streams have ended the gauges are zero. `make test` runs a few thousand events; `make fuzz` runs more,
//! under AddressSanitizer if there is a nightly Rust.
//!
//! At random, the host destroys a stream inside the call that answers or resets it, as Envoy 1.38 and 1.39 do.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test may panic
#![allow(clippy::indexing_slicing, clippy::arithmetic_side_effects, missing_docs)]

mod callbacks;
mod host;
mod library;
mod play;

use play::Play;

/// The number of events of a run, unless `ZONEGATE_FUZZ_EVENTS` sets it.
const EVENTS: u64 = 20_000;

#[test]
fn no_order_of_events_breaks_what_is_promised() {
    let number = |name: &str, default: u64| {
        std::env::var(name).ok().map_or(default, |text| text.parse().expect(name))
    };
    let seed = number("ZONEGATE_FUZZ_SEED", 1);
    let events = number("ZONEGATE_FUZZ_EVENTS", EVENTS);
    println!("ZONEGATE_FUZZ_SEED={seed} ZONEGATE_FUZZ_EVENTS={events}");
    let mut play = Play::new(seed);
    for _ in 0..events {
        play.event();
    }
    let seen = play.end();
    println!("{seen:?}");
    assert!(seen.passed > events / 100 && seen.refused > events / 100, "{seen:?}");
    assert!(seen.cut > 0 && seen.pushes > 0 && seen.rejected > 0, "{seen:?}");
}
