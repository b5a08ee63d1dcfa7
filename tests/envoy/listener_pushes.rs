//! Policies that come as a part of the listener, by LDS, as Istio and Envoy Gateway push them: old connections keep the
//! filter chain, and so the policy, under which they began.
//!
//! One worker; the connections do not drain.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio::time::{sleep, timeout};
use zonegate_testkit::gateway::Delivery;
use zonegate_testkit::zone_proxy::{Claimed, Connection};

use crate::form::FilterOnly;
use crate::harness::{Bench, LIMIT, Setup};
use crate::open_stream::{goes_on, is_cut, open};

const OPEN: &str = "zonegate.streams.open";
/// Longer than any time in which a stream that begins under the old policy could be mistaken for one that began before
/// the push.
const TRIED: Duration = Duration::from_secs(3);

async fn start() -> Setup {
    let mut bench = Bench::new().workers(1);
    bench.options.delivery = Delivery::Lds;
    bench.start().await
}

impl Setup {
    /// Waits until the newest push, which revokes `id`, is in force for new connections.
    async fn is_in_force(&self, id: &str) -> Connection {
        let (witness, start) = (self.witness(id), Instant::now());
        loop {
            let connection = self.connect().await;
            let refused = connection.sotw(Some(&witness), Claimed::INGRESS).await.unwrap_err();
            if refused.message().starts_with("zonegate: revoked: ") {
                return connection;
            }
            assert!(start.elapsed() < LIMIT, "{refused:?}");
        }
    }
}

/// Whether a stream is let in; if not, its token must be revoked.
async fn passes(connection: &Connection, token: &str) -> bool {
    let answer = timeout(LIMIT, connection.sotw(Some(token), Claimed::INGRESS)).await;
    match answer.expect("a stream is not answered") {
        Ok(_) => true,
        Err(refused) => {
            assert!(refused.message().starts_with("zonegate: revoked: "), "{refused:?}");
            false
        }
    }
}

#[tokio::test]
async fn a_revoked_token_opens_no_stream_on_the_connection_that_it_had() {
    if FilterOnly::Pushes.is_left_out() {
        return;
    }
    let setup = start().await;
    let old = setup.connect().await;
    let mut kept = open(&old, &setup.token_of("id-2")).await;
    let mut revoked = open(&old, &setup.token_of("id-1")).await;
    setup.push_with(json!({ "revocations": ["id-1"] })).await;
    let new = setup.is_in_force("id-1").await;
    assert!(is_cut(&mut revoked).await);
    let token = setup.token_of("id-1");
    let start = Instant::now();
    while start.elapsed() < TRIED {
        for connection in [&old, &new] {
            assert!(!passes(connection, &token).await, "it is let in {:?} after", start.elapsed());
            assert!(passes(connection, &setup.token_of("id-3")).await);
        }
        sleep(Duration::from_millis(50)).await;
    }
    setup.control_plane.push();
    assert!(goes_on(&mut kept).await);
    setup.gateway.wait_stat(OPEN, 1, LIMIT).await.unwrap();
    assert_eq!(setup.control_plane.recorder().open_with("authorization", token.as_bytes()), 0);
}

/// Streams on old connections do not bring back the policies of those connections.
#[tokio::test]
async fn the_newest_policy_is_in_force_on_connections_of_all_ages() {
    if FilterOnly::Pushes.is_left_out() {
        return;
    }
    const PUSHES: usize = 3;
    let setup = start().await;
    let mut connections = vec![setup.connect().await];
    let mut open_streams = Vec::new();
    let ids: Vec<String> = (0..PUSHES).map(|index| format!("id-{index}")).collect();
    for id in &ids {
        // Each policy revokes one other id only.
        let token = setup.token_of(id);
        for connection in &connections {
            open_streams.push((id, open(connection, &token).await));
        }
        setup.push_with(json!({ "revocations": [id] })).await;
        connections.push(setup.is_in_force(id).await);
        let start = Instant::now();
        while start.elapsed() < TRIED {
            for connection in &connections {
                assert!(!passes(connection, &token).await, "{id} {:?} after", start.elapsed());
            }
            sleep(Duration::from_millis(100)).await;
        }
        for other in ids.iter().filter(|other| *other != id) {
            for (age, connection) in connections.iter().enumerate() {
                // An id that the policy of the connection revokes may stay out there: the filter cannot know that Envoy
                // did not go back to that policy.
                let of_its_own = age.checked_sub(1).is_some_and(|push| ids[push] == *other);
                let passes = passes(connection, &setup.token_of(other)).await;
                assert!(passes || of_its_own, "{other}, not {id}");
            }
        }
    }
    for (id, stream) in &mut open_streams {
        assert!(is_cut(stream).await, "{id} is not cut");
    }
    assert_eq!(setup.stat("streams.cut.revoked").await, open_streams.len() as u64);
}
