//! Bad pushes: each is refused, counted and logged with the path of the error, and changes nothing else.

use std::fs;

use serde_json::{Value, json};
use tokio::task::JoinSet;
use tonic::Code;
use zonegate_testkit::gateway::{Form, Pushed};
use zonegate_testkit::zone_proxy::Claimed;

use crate::form::{FilterOnly, WasmOnly, faulty_module, form};
use crate::harness::{Bench, LIMIT, Setup, policy};
use crate::open_stream::{Sotw, goes_on, is_cut, open};

/// Envoy's count of pushes that it refused.
const REJECTED: &str = "extension_config_discovery.http_filter.zonegate.update_rejected";
/// Envoy's count of files that it could not read at all.
const FAILED: &str = "extension_config_discovery.http_filter.zonegate.update_failure";

/// Bad policies with different errors, and the text in the log about each.
fn bad(setup: &Setup) -> Vec<(Value, &'static str)> {
    let with = |field: &str, value: Value| {
        let mut policy = policy(&setup.key);
        // If the policy were in force, this would cut every stream.
        policy["revocations"] = json!("id-1");
        policy[field] = value;
        policy
    };
    vec![
        (with("zone", json!("")), "zone: must not be empty"),
        (with("publicKeys", json!([])), "publicKeys: at least one key is required"),
        (with("revoked", json!("id-1")), "revoked: unknown field"),
        (with("openStreams", json!({ "onRevoked": 1 })), "openStreams.onRevoked: "),
    ]
}

/// Makes the policy new. Envoy refuses a policy that it refused before without asking the filter, and only Envoy's own
/// counter counts that.
fn anew(policy: &mut Value, round: usize) {
    policy["revocations"] = json!(format!("id-1,{round}"));
}

async fn three_streams(setup: &Setup) -> Vec<Sotw> {
    let (connection, token) = (setup.connect().await, setup.token());
    let mut streams = Vec::new();
    for _ in 0..3 {
        streams.push(open(&connection, &token).await);
    }
    streams
}

/// The streams go on, and new streams are judged by the previous policy.
async fn unchanged(setup: &Setup, streams: &mut [Sotw]) {
    setup.control_plane.push();
    for stream in streams {
        assert!(goes_on(stream).await);
    }
    drop(open(&setup.connect().await, &setup.token()).await);
    let connection = setup.connect().await;
    let refused = connection.sotw(Some("garbage"), Claimed::INGRESS).await.unwrap_err();
    assert!(refused.message().starts_with("zonegate: malformed_token: "), "{refused:?}");
}

#[tokio::test]
async fn a_thousand_bad_pushes_change_nothing_and_the_next_good_push_works() {
    let setup = Bench::new().start().await;
    let mut streams = three_streams(&setup).await;
    let bad = bad(&setup);
    for round in 0..1000 {
        let (mut policy, _) = bad[round % bad.len()].clone();
        anew(&mut policy, round);
        assert_eq!(setup.gateway.push(&policy).await.unwrap(), Pushed::Rejected, "{round}");
        if round % 250 == 0 {
            unchanged(&setup, &mut streams).await;
        }
    }
    unchanged(&setup, &mut streams).await;
    assert_eq!(setup.stat("config.rejected").await, 1000);
    if form() != Form::Service {
        assert_eq!(setup.gateway.stat(REJECTED).await.unwrap(), Some(1000));
    }
    assert_eq!(setup.stat("config.accepted").await, 1);
    let log = setup.gateway.log().unwrap();
    for (_, says) in &bad {
        let says = format!("zonegate: configuration refused: {says}");
        assert_eq!(log.matches(&says).count(), 250, "{says}");
    }
    setup.push("revocations", json!("id-1")).await;
    for stream in &mut streams {
        assert!(is_cut(stream).await);
    }
    assert_eq!(setup.stat("config.accepted").await, 2);
}

/// The file is not even a configuration of Envoy.
#[tokio::test]
async fn a_file_that_envoy_cannot_read_changes_nothing() {
    if FilterOnly::Pushes.is_left_out() {
        return;
    }
    let setup = Bench::new().start().await;
    let mut streams = three_streams(&setup).await;
    let folder = setup.gateway.folder().join("ecds");
    for (text, stat) in [
        ("resources: [", FAILED),
        ("resources: [{ \"@type\": type.googleapis.com/none.Such }]", FAILED),
        ("resources: []", REJECTED),
    ] {
        let before = setup.gateway.stat(stat).await.unwrap().unwrap_or_default();
        fs::write(folder.join(".new"), text).unwrap();
        fs::rename(folder.join(".new"), folder.join("zonegate.yaml")).unwrap();
        setup.gateway.wait_stat(stat, before + 1, LIMIT).await.unwrap();
        unchanged(&setup, &mut streams).await;
    }
    setup.push("revocations", json!("id-1")).await;
    assert!(is_cut(&mut streams[0]).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_and_good_pushes_in_turn_disturb_no_one_who_connects() {
    let setup = Bench::new().start().await;
    let mut clients = JoinSet::new();
    let stop = tokio::sync::watch::Sender::new(false);
    for _ in 0..4 {
        let (connection, token) = (setup.connect().await, setup.token());
        let stop = stop.subscribe();
        clients.spawn(async move {
            let mut opened = 0_u64;
            while !*stop.borrow() {
                open(&connection, &token).await.close().await.unwrap();
                opened += 1;
            }
            opened
        });
    }
    let bad = bad(&setup);
    for round in 0..100 {
        let (mut policy, _) = bad[round % bad.len()].clone();
        anew(&mut policy, round);
        assert_eq!(setup.gateway.push(&policy).await.unwrap(), Pushed::Rejected, "{round}");
        setup.push("revocations", json!([format!("other-{round}")])).await;
    }
    stop.send_replace(true);
    let opened: u64 = clients.join_all().await.into_iter().sum();
    println!("{opened} streams opened and closed during 100 bad and 100 good pushes");
    assert!(opened > 100);
    assert_eq!(setup.stat("allowed").await, opened);
    assert_eq!(setup.stat("config.rejected").await, 100);
}

/// Envoy asks on its main thread first; a policy that is refused there reaches no worker. Because the module is the
/// same in all threads, only a faulty module can accept on the main thread and refuse in the workers. Envoy would then
/// continue without the filter.
#[tokio::test]
async fn a_push_that_only_workers_refuse_changes_nothing() {
    if FilterOnly::Pushes.is_left_out() {
        return;
    }
    if WasmOnly::WorkersRead.is_left_out() {
        return;
    }
    let mut bench = Bench::new();
    bench.options.module = faulty_module();
    let setup = bench.start().await;
    let mut streams = three_streams(&setup).await;
    setup.push("zone", json!("x-zonegate-fault")).await;
    // Two workers, and a VM of the main thread that serves no requests.
    setup.gateway.wait_stat("zonegate.config.rejected", 3, LIMIT).await.unwrap();
    for _ in 0..4 {
        unchanged(&setup, &mut streams).await;
    }
    setup.push("revocations", json!("id-1")).await;
    assert!(is_cut(&mut streams[0]).await);
}

/// A worker in which the filter fails before it can refuse: Envoy leaves the filter out there, and the next filter in
/// the chain denies requests without a verdict.
#[tokio::test]
async fn a_push_that_fails_the_workers_lets_nothing_through() {
    if FilterOnly::Pushes.is_left_out() {
        return;
    }
    if WasmOnly::WorkersRead.is_left_out() {
        return;
    }
    let mut bench = Bench::new();
    bench.options.module = faulty_module();
    let setup = bench.start().await;
    let mut streams = three_streams(&setup).await;
    setup.control_plane.recorder().clear();
    setup.push("zone", json!("x-zonegate-fault-trap")).await;
    setup.gateway.wait_log("panicked", LIMIT).await.unwrap();
    for token in [setup.token(), "garbage".to_owned()] {
        for _ in 0..4 {
            let connection = setup.connect().await;
            let refused = connection.sotw(Some(&token), Claimed::INGRESS).await.unwrap_err();
            assert_eq!(refused.code(), Code::PermissionDenied, "{refused:?}");
        }
    }
    assert_eq!(setup.control_plane.recorder().count(), 0);
    let stat = "http.zonegate.rbac.zonegate.denied";
    assert_eq!(setup.gateway.stat(stat).await.unwrap(), Some(8));
    // The streams of the VMs that failed end with the next message.
    setup.control_plane.push();
    assert!(is_cut(&mut streams[0]).await);
    // Envoy keeps the failed filter, and accepts no other policy until it is restarted.
    assert_eq!(setup.gateway.push(&policy(&setup.key)).await.unwrap(), Pushed::Rejected);
    let refused = setup.connect().await.sotw(Some(&setup.token()), Claimed::INGRESS).await;
    assert_eq!(refused.unwrap_err().code(), Code::PermissionDenied);
}
