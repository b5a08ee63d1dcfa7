//! Random orders of events against the real library, by a host that stands in for Envoy.
//!
//! In: the library (`ZONEGATE_NATIVE`), a seed and a number of events. Out: what must hold whatever comes:
//! a stream is answered once at most, no callback names a filter that is gone, nothing passes that the
//! newest policy revokes, and when all streams have ended the gauges are zero. `make test` runs a few
//! thousand events; `make fuzz` runs more, under AddressSanitizer where there is a nightly Rust.
//!
//! The host ends a stream inside the call that answers or resets it where its dice say so: Envoy 1.38 and
//! 1.39 do.
#![allow(unsafe_code)] // it is a host of C functions
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test may panic
#![allow(clippy::indexing_slicing, clippy::arithmetic_side_effects, missing_docs)]

mod callbacks;
mod host;
mod library;
mod play;

use play::Play;

/// How many events a run has, unless `ZONEGATE_FUZZ_EVENTS` says.
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
