//! Gauges that several VMs or gateways share, while modules and VMs start and end.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio::time::sleep;
use zonegate_testkit::gateway::Pushed;

use crate::form::{FilterOnly, faulty_module};
use crate::harness::{Bench, LIMIT, Setup};
use crate::module_swap::write;
use crate::open_stream::{Sotw, open};

use super::*;

/// Reads a gauge repeatedly for `time`. Returns every value that it had.
async fn values(setup: &Setup, stat: &str, time: Duration) -> Vec<u64> {
    let (start, mut seen) = (Instant::now(), Vec::new());
    while start.elapsed() < time {
        seen.push(setup.gateway.stat(stat).await.unwrap().unwrap_or_default());
        sleep(Duration::from_millis(10)).await;
    }
    seen.sort_unstable();
    seen.dedup();
    seen
}

/// Two workers with a stream each, then another module and a stream in one of its VMs. Envoy has run for `time` before
/// the swap.
async fn swapped_after(time: Duration) -> (Setup, Vec<Sotw>, Sotw) {
    let mut bench = Bench::text().workers(2);
    let folder = bench.scratch().to_owned();
    bench.options.module = write(&folder, "first");
    let mut setup = bench.start().await;
    let mut old = Vec::new();
    for _ in 0..2 {
        old.push(open(&setup.connect().await, &setup.token()).await);
    }
    setup.gateway.wait_stat(OPEN, 2, LIMIT).await.unwrap();
    sleep(time).await;
    setup.gateway.use_module(&write(&folder, "second")).unwrap();
    setup.push_with(json!({ "revocations": ["other"] })).await;
    let connection = setup.connect().await;
    setup.refused_as(&connection, &setup.witness("other"), "revoked").await;
    let new = open(&connection, &setup.token()).await;
    (setup, old, new)
}

/// The VMs of both modules report their numbers, and all of them are counted.
#[tokio::test]
async fn the_gauge_of_open_streams_stands_still_after_a_module_was_replaced() {
    if FilterOnly::Module.is_left_out() {
        return;
    }
    let (setup, _old, _new) = swapped_after(SILENCE).await;
    setup.gateway.wait_stat(OPEN, 3, LIMIT).await.unwrap();
    let seen = values(&setup, OPEN, Duration::from_secs(3)).await;
    assert_eq!(seen, [3], "three streams are open all the time");
}

/// The streams of the old module end, and then its VMs.
#[tokio::test]
async fn the_gauge_of_open_streams_is_right_once_the_old_module_is_gone() {
    if FilterOnly::Module.is_left_out() {
        return;
    }
    let (setup, old, _new) = swapped_after(4 * SILENCE).await;
    setup.gateway.wait_stat(OPEN, 3, LIMIT).await.unwrap();
    drop(old);
    setup.gateway.wait_stat(OPEN, 1, 2 * SILENCE).await.unwrap();
    let seen = values(&setup, OPEN, Duration::from_secs(1)).await;
    assert_eq!(seen, [1], "one stream is open all the time");
}

/// A VM is restarted in an Envoy that has run for a while.
#[tokio::test]
async fn the_gauge_of_open_streams_stands_still_after_a_vm_was_started_anew() {
    if FilterOnly::Module.is_left_out() {
        return;
    }
    let mut bench = Bench::new();
    bench.options.module = faulty_module();
    let setup = bench.workers(1).start().await;
    sleep(SILENCE).await;
    trap(&setup, &setup.raw().await).await;
    let connection = setup.connect().await;
    comes_to(&setup, Some(&connection), "garbage", Some("malformed_token")).await;
    let _stream = open(&connection, &setup.token()).await;
    setup.gateway.wait_stat(OPEN, 1, LIMIT).await.unwrap();
    let seen = values(&setup, OPEN, Duration::from_secs(3)).await;
    assert_eq!(seen, [1], "one stream is open all the time");
}

/// Two listeners in one Envoy, each with a gateway of a different name: the gauges are the sums of both.
#[tokio::test]
async fn the_gauges_of_two_gateways_are_their_sums() {
    if FilterOnly::Module.is_left_out() {
        return;
    }
    let setup = by_listener(1, None).await;
    let pushed = push_listeners(&setup, |file| {
        let mut other = file["resources"][0].clone();
        other["name"] = json!("other");
        *gateway_name(&mut other) = json!("other");
        file["resources"].as_array_mut().unwrap().push(other);
    });
    assert_eq!(pushed.await, Pushed::Accepted);
    setup.gateway.wait_stat("listener_manager.total_listeners_active", 2, LIMIT).await.unwrap();
    let connection = setup.connect().await;
    let _streams = [
        open(&connection, &setup.token()).await,
        open(&connection, &setup.token()).await,
        open(&connection, &setup.token()).await,
    ];
    setup.gateway.wait_stat(OPEN, 3, LIMIT).await.unwrap();
    let seen = values(&setup, OPEN, Duration::from_secs(2)).await;
    assert_eq!(seen, [3], "three streams are open all the time");
}
