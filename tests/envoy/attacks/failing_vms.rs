//! VMs that fail and are restarted by connections of any age.

use std::time::{Duration, Instant};

use serde_json::json;
use tonic::Code;
use zonegate::gate::ADS_SOTW;
use zonegate_testkit::raw_client::{End, RawRequest};
use zonegate_testkit::zone_proxy::Claimed;

use crate::form::{FilterOnly, faulty_module};
use crate::harness::{Bench, LIMIT, grpc_headers};
use crate::open_stream::open;

use super::*;

/// A VM fails while its worker has connections of an earlier listener, and one of them restarts it.
#[tokio::test]
async fn a_vm_that_is_started_anew_by_an_old_connection_knows_the_newest_policy() {
    if FilterOnly::Module.is_left_out() {
        return;
    }
    let setup = by_listener(1, Some(faulty_module())).await;
    let old = setup.connect().await;
    let raw = setup.raw().await;
    drop(open(&old, &setup.token_of("id-2")).await);
    setup.push_with(json!({ "revocations": ["id-1"] })).await;
    comes_to(&setup, None, &setup.witness("id-1"), Some("revoked")).await;
    assert_eq!(reason(&old, &setup.token()).await.as_deref(), Some("revoked"));
    trap(&setup, &raw).await;
    let start = Instant::now();
    loop {
        match old.sotw(Some(&setup.token()), Claimed::INGRESS).await {
            Ok(_) => panic!("a revoked token is let in {:?} after the failure", start.elapsed()),
            Err(refused) if refused.message().starts_with("zonegate: revoked: ") => break,
            Err(refused) => assert_eq!(refused.code(), Code::Unavailable, "{refused:?}"),
        }
        assert!(start.elapsed() < LIMIT, "it was not started anew");
    }
}

/// As above, after more pushes than the VMs remember: the VM restarts with an old policy, which is not a push. The
/// revoked token stays out on the connections of the first listener: because of the newest policy, because the
/// listener's policy is no longer kept, or because Envoy closes a connection of a listener that is long gone.
#[tokio::test]
async fn a_vm_that_is_started_anew_by_a_very_old_connection_brings_no_old_policy_back() {
    if FilterOnly::Module.is_left_out() {
        return;
    }
    let setup = by_listener(2, Some(faulty_module())).await;
    let (raw, other) = (setup.raw().await, setup.connect().await);
    let by_worker = setup.connections_by_worker().await;
    assert!(by_worker.values().all(|count| *count == 1), "{by_worker:?}");
    let _stream = open(&other, &setup.token_of("id-2")).await;
    for push in 0..40 {
        let list = json!({ "revocations": ["id-1", format!("other-{push}")] });
        setup.push_with(list).await;
    }
    comes_to(&setup, Some(&other), &setup.token(), Some("revoked")).await;
    trap(&setup, &raw).await;
    // A stream on the connection of the first listener restarts the VM.
    let start = Instant::now();
    loop {
        let (headers, end) = (grpc_headers("garbage"), End::Stream);
        let request = RawRequest { method: "POST", path: ADS_SOTW, headers, chunks: vec![], end };
        let answer = raw.send(request).await.unwrap();
        if answer.grpc_status() == Some(Code::Unauthenticated as u32) {
            break;
        }
        assert!(start.elapsed() < LIMIT, "it was not started anew: {answer:?}");
    }
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(2) {
        let refused = other.sotw(Some(&setup.token()), Claimed::INGRESS).await.err();
        let refused = refused.unwrap_or_else(|| panic!("let in {:?} later", start.elapsed()));
        let is_by_policy = ["zonegate: revoked: ", "zonegate: policy_unavailable: "]
            .iter()
            .any(|reason| refused.message().starts_with(reason));
        let is_closed = !refused.message().starts_with("zonegate: ");
        assert!(is_by_policy || is_closed, "{refused:?}");
    }
}

/// A VM fails during a push that revokes: the restarted VM knows the push.
#[tokio::test]
async fn a_vm_that_fails_during_a_push_lets_nothing_in_that_it_revokes() {
    if FilterOnly::Module.is_left_out() {
        return;
    }
    let mut bench = Bench::text();
    bench.options.module = faulty_module();
    let setup = bench.start().await;
    let connection = setup.connect().await;
    for round in 0..4 {
        let id = format!("id-{round}");
        let (raw, token) = (setup.raw().await, setup.token_of(&id));
        assert_eq!(reason(&connection, &token).await, None);
        let push = setup.push_with(json!({ "revocations": [id] }));
        tokio::join!(push, trap(&setup, &raw));
        let start = Instant::now();
        // Envoy has accepted the push; the VM is restarted a second later.
        loop {
            match connection.sotw(Some(&token), Claimed::INGRESS).await {
                Ok(_) => panic!("round {round}: let in {:?} after the push", start.elapsed()),
                Err(refused) if refused.message().starts_with("zonegate: revoked: ") => break,
                Err(refused) => assert_eq!(refused.code(), Code::Unavailable, "{refused:?}"),
            }
            assert!(start.elapsed() < LIMIT, "it was not started anew");
        }
        let next = setup.token_of(&format!("id-{}", round + 1));
        comes_to(&setup, Some(&connection), &next, None).await;
    }
}
