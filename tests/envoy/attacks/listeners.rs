//! Policies that come by LDS: listeners that come back, that Envoy refuses, and that old connections keep.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::net::TcpStream;
use zonegate_testkit::gateway::Pushed;
use zonegate_testkit::zone_proxy::Connection;

use crate::form::FilterOnly;
use crate::harness::LIMIT;
use crate::open_stream::{goes_on, open};

use super::*;

/// Envoy refuses a listener with a good policy because of another filter: the policy does not count for later streams.
/// Returns whether the stream that was open before goes on.
async fn goes_on_after_refused_listener(change: Value) -> bool {
    let setup = by_listener(1, None).await;
    let connection = setup.connect().await;
    let mut stream = open(&connection, &setup.token()).await;
    let bad = setup.policy_with(change);
    let pushed = push_listeners(&setup, |file| {
        let listener = &mut file["resources"][0];
        *policy_text(listener) = json!(bad.to_string());
        let rules = "/1/typed_config/rules/policies/judged/principals/0/filter_state";
        let regex = format!("{FILTERS}{rules}/string_match/safe_regex/regex");
        *listener.pointer_mut(&regex).unwrap() = json!("(");
    });
    assert_eq!(pushed.await, Pushed::Rejected);
    // Ten times as long as the interval at which a worker checks for changes.
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(1) {
        let new = setup.connect().await;
        for connection in [&connection, &new] {
            assert_eq!(reason(connection, "garbage").await.as_deref(), Some("malformed_token"));
            assert_eq!(reason(connection, &setup.token()).await, None);
        }
    }
    setup.control_plane.push();
    goes_on(&mut stream).await
}

/// In wasm the policy is in force on a worker until Envoy refuses the listener, so a stream that the policy revokes may
/// be cut. The dynamic module waits until Envoy accepts the listener, and cuts none.
#[tokio::test]
async fn a_listener_that_envoy_refuses_keeps_nobody_out() {
    if FilterOnly::Pushes.is_left_out() {
        return;
    }
    let goes_on = goes_on_after_refused_listener(json!({ "revocations": ["id-1"] })).await;
    assert!(goes_on || form() == Form::Wasm, "a refused push has cut a stream");
}

/// Neither a worker nor the streams of others bring the policy into force, and these streams go on.
#[tokio::test]
async fn a_listener_that_envoy_refuses_lets_nothing_in() {
    if FilterOnly::Pushes.is_left_out() {
        return;
    }
    let goes_on = goes_on_after_refused_listener(json!({ "mode": "shadow" })).await;
    assert!(goes_on, "a refused push has cut a stream");
}

/// Back to the previous policy, with another generation, while nobody reconnects.
#[tokio::test]
async fn a_listener_that_comes_back_cuts_what_it_revokes_without_a_new_connection() {
    if FilterOnly::Pushes.is_left_out() {
        return;
    }
    let setup = by_listener(1, None).await;
    setup.push_with(json!({ "revocations": ["id-1"] })).await;
    comes_to(&setup, None, &setup.witness("id-1"), Some("revoked")).await;
    let first = setup.connect().await;
    let mut kept = open(&first, &setup.token_of("id-2")).await;
    setup.push_with(json!({ "revocations": ["other"] })).await;
    comes_to(&setup, None, &setup.witness("other"), Some("revoked")).await;
    let second = setup.connect().await;
    let mut revoked = open(&second, &setup.token()).await;
    setup.push_with(json!({ "revocations": ["id-1"], "generation": "3" })).await;
    assert!(is_cut_soon(&mut revoked).await, "{}", setup.gateway.log_tail());
    setup.control_plane.push();
    assert!(goes_on(&mut kept).await);
}

/// Back to the previous policy, with another generation, before anybody has connected under the policy in between.
#[tokio::test]
async fn a_listener_that_comes_back_at_once_is_in_force() {
    if FilterOnly::Pushes.is_left_out() {
        return;
    }
    let setup = by_listener(1, None).await;
    let old = setup.connect().await;
    let _kept = open(&old, &setup.token_of("id-2")).await;
    setup.push_with(json!({ "revocations": ["id-1"] })).await;
    setup.push_with(json!({ "generation": "3" })).await;
    comes_to(&setup, None, &setup.token(), None).await;
}

/// Back to the previous policy, with equal bytes, while streams of both policies are open. Envoy does not tell the
/// worker, so a stream that begins under the previous policy must satisfy both. (Connections that began under the
/// policy in between keep it, and so do their streams.)
#[tokio::test]
async fn a_listener_that_comes_back_to_the_byte_keeps_out_what_it_revokes() {
    if FilterOnly::Pushes.is_left_out() {
        return;
    }
    let setup = by_listener(1, None).await;
    setup.push_with(json!({ "revocations": ["id-1"] })).await;
    comes_to(&setup, None, &setup.witness("id-1"), Some("revoked")).await;
    let first = setup.connect().await;
    let _under_first = open(&first, &setup.token_of("id-2")).await;
    setup.push_with(json!({ "revocations": ["other"] })).await;
    comes_to(&setup, None, &setup.witness("other"), Some("revoked")).await;
    let in_between = setup.connect().await;
    let _under_second = open(&in_between, &setup.token_of("id-2")).await;
    assert_eq!(reason(&in_between, &setup.token()).await, None);
    setup.push_with(json!({ "revocations": ["id-1"] })).await;
    comes_to(&setup, None, &setup.token(), Some("revoked")).await;
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(3) {
        for connection in [&first, &setup.connect().await] {
            let seen = reason(connection, &setup.token()).await;
            assert_eq!(seen.as_deref(), Some("revoked"), "{:?} later", start.elapsed());
            assert_eq!(reason(connection, &setup.token_of("id-2")).await, None);
        }
    }
}

/// A connection that the old listener accepted sends nothing until the new listener is in force. It gets its number
/// with its first byte, and so has the highest number.
#[tokio::test]
async fn a_connection_that_waited_for_its_first_byte_brings_no_old_policy_back() {
    if FilterOnly::Pushes.is_left_out() {
        return;
    }
    let setup = by_listener(1, None).await;
    let gateway = setup.gateway.address();
    // A relay that delays the client's first bytes.
    let relay = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = relay.local_addr().unwrap();
    let mut to_gateway = TcpStream::connect(gateway).await.unwrap();
    setup
        .gateway
        .wait_stat("listener.127.0.0.1_0.downstream_pre_cx_active", 1, LIMIT)
        .await
        .unwrap();
    let policy = setup.policy_with(json!({ "revocations": ["id-1"] }));
    let pushed = push_listeners(&setup, |file| {
        let listener = &mut file["resources"][0];
        *policy_text(listener) = json!(policy.to_string());
        // Replaces the whole listener, not only the filter chain.
        listener["per_connection_buffer_limit_bytes"] = json!(1_310_721);
    });
    assert_eq!(pushed.await, Pushed::Accepted);
    comes_to(&setup, None, &setup.witness("id-1"), Some("revoked")).await;
    let copy = tokio::spawn(async move {
        let (mut client, _) = relay.accept().await.unwrap();
        let _ = tokio::io::copy_bidirectional(&mut client, &mut to_gateway).await;
    });
    let connection = Connection::open(address, &setup.ca).await;
    let Ok(connection) = connection else {
        println!("Envoy has closed the connection that waited");
        return;
    };
    let seen = reason(&connection, &setup.token()).await;
    assert_ne!(seen, None, "a revoked token is let in: {}", setup.gateway.log_tail());
    copy.abort();
}
