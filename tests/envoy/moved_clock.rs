//! The clock is changed while streams are held and open: a time limit of seconds neither takes an hour longer nor ends
//! an hour early.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::clock::preload;
use crate::harness::{Bench, LIMIT, Setup, claims_with, now};
use crate::open_stream::{goes_on, is_cut, open};

const HOUR: i64 = 3600;
/// How long a stream may be held, in seconds.
const HELD: u64 = 5;

/// A gateway, and the file that moves its clock.
struct Moved {
    setup: Setup,
    file: PathBuf,
}

impl Moved {
    async fn start() -> Self {
        let mut bench = Bench::text().set("firstMessageSeconds", json!(HELD));
        bench = bench.set("openStreams", json!({ "onExpired": "cut" }));
        let file = bench.scratch().join("clock");
        fs::write(&file, 0_i64.to_ne_bytes()).unwrap();
        preload(&mut bench, "moved_clock.c");
        let place = file.to_str().unwrap().to_owned();
        bench.options.environment.push(("MOVED_CLOCK".to_owned(), place));
        Self { setup: bench.start().await, file }
    }

    /// Sets the offset of Envoy's clock from now on.
    fn set(&self, seconds: i64) {
        // Written in place and never shorter, because Envoy has the file mapped.
        let file = OpenOptions::new().write(true).open(&self.file).unwrap();
        file.write_all_at(&seconds.to_ne_bytes(), 0).unwrap();
    }

    /// How long a silent stream is held if the clock is moved to `seconds` meanwhile.
    async fn held_for(&self, seconds: i64) -> Duration {
        let raw = self.setup.raw().await;
        let (start, stream) = (Instant::now(), self.setup.begin(&raw, &self.setup.token()).await);
        raw.settled().await.unwrap();
        // It was judged by the right time: a service may see it after Envoy has read it.
        self.setup.gateway.wait_stat("zonegate.streams.held", 1, LIMIT).await.unwrap();
        self.set(seconds);
        let answer = stream.answer(LIMIT).await.expect("a silent stream is not answered");
        let message = answer.grpc_message().unwrap();
        assert!(message.starts_with("zonegate: no_first_message: "), "{message}");
        start.elapsed()
    }
}

#[tokio::test]
async fn a_held_stream_is_answered_in_time_when_the_clock_is_set_back() {
    let moved = Moved::start().await;
    let held = moved.held_for(-HOUR).await;
    assert!(held >= Duration::from_secs(HELD), "{held:?}");
    assert_eq!(moved.setup.denied("no_first_message").await, 1);
}

/// The client still has time to send its message.
#[tokio::test]
async fn a_held_stream_has_its_time_when_the_clock_is_set_forward() {
    let moved = Moved::start().await;
    let held = moved.held_for(HOUR / 2).await;
    assert!(held >= Duration::from_secs(HELD), "answered after {held:?}");
}

/// Tokens expire by the clock as it is set.
#[tokio::test]
async fn an_open_stream_expires_by_the_clock_as_it_is_set() {
    let moved = Moved::start().await;
    let setup = &moved.setup;
    let connection = setup.connect().await;
    let mut brief = open(&connection, &setup.sign(claims_with("exp", json!(now() + 900)))).await;
    let mut lasting = open(&connection, &setup.token()).await;
    moved.set(HOUR / 2);
    assert!(is_cut(&mut brief).await);
    moved.set(0);
    setup.control_plane.push();
    assert!(goes_on(&mut lasting).await);
    assert_eq!(setup.stat("streams.cut.expired").await, 1);
}
