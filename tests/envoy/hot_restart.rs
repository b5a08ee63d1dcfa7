//! Envoy's hot restart: a new Envoy takes over the port, the old one drains.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio::time::{sleep, timeout};
use zonegate_testkit::gateway::Gateway;
use zonegate_testkit::zone_proxy::{Claimed, Connection};

use crate::form::FilterOnly;
use crate::harness::{Bench, LIMIT, Setup};
use crate::open_stream::{goes_on, is_cut, open};

const OPEN: &str = "zonegate.streams.open";

#[tokio::test]
async fn the_new_envoy_serves_and_the_old_ones_streams_can_still_be_revoked() {
    if FilterOnly::Restart.is_left_out() {
        return;
    }
    let mut setup: Setup = Bench::new().start_first().await;
    let connection = setup.connect().await;
    let mut revoked = open(&connection, &setup.token_of("id-a")).await;
    let mut kept = open(&connection, &setup.token_of("id-b")).await;
    setup.gateway.wait_stat(OPEN, 2, LIMIT).await.unwrap();
    flushed(&setup.gateway).await;
    let mut next = setup.gateway.successor().await.unwrap();
    assert_eq!(next.address(), setup.gateway.address());
    // Both listen on the port; new connections go to the new Envoy.
    let mut new = open(&connect(&next, &setup).await, &setup.token_of("id-c")).await;
    next.wait_stat(OPEN, 3, LIMIT).await.unwrap();
    // Both read the same file.
    let mut pushed = crate::harness::policy(&setup.key);
    pushed["revocations"] = json!("id-a,id-d");
    next.push(&pushed).await.unwrap();
    assert!(is_cut(&mut revoked).await);
    setup.control_plane.push();
    assert!(goes_on(&mut kept).await && goes_on(&mut new).await);
    let connection = connect(&next, &setup).await;
    setup.refused_as(&connection, &setup.witness("id-d"), "revoked").await;
    let refused = connection.sotw(Some(&setup.token_of("id-d")), Claimed::INGRESS).await;
    assert!(refused.unwrap_err().message().starts_with("zonegate: revoked: "));
    next.wait_stat(OPEN, 2, LIMIT).await.unwrap();
    next.wait_stat("zonegate.streams.cut.revoked", 1, LIMIT).await.unwrap();
    // The old Envoy ends by itself, and its streams end with it.
    let ended = timeout(LIMIT, setup.gateway.wait()).await.unwrap().unwrap();
    assert!(ended.success(), "{ended}");
    assert!(kept.next().await.is_err());
    next.wait_stat(OPEN, 1, LIMIT).await.unwrap();
    setup.control_plane.push();
    assert!(goes_on(&mut new).await);
    // The new Envoy did not get the old one's first two counts, because they were flushed before it started. It got the
    // later counts: the cut above.
    assert_eq!(next.stat("zonegate.allowed").await.unwrap(), Some(1));
    assert!(next.wait_log("zonegate: configured", LIMIT).await.is_ok());
    drop(new);
    next.wait_stat(OPEN, 0, LIMIT).await.unwrap();
    std::mem::swap(&mut setup.gateway, &mut next);
}

/// Waits until Envoy has flushed the current values of its counters. It passes on to its successor only later
/// increments. (Its uptime is updated with every flush.)
async fn flushed(gateway: &Gateway) {
    let uptime = async || gateway.stat("server.uptime").await.unwrap();
    let (before, start) = (uptime().await, Instant::now());
    while uptime().await == before {
        assert!(start.elapsed() < LIMIT, "nothing is flushed");
        sleep(Duration::from_millis(20)).await;
    }
}

async fn connect(gateway: &Gateway, setup: &Setup) -> Connection {
    Connection::open(gateway.address(), &setup.ca).await.unwrap()
}
