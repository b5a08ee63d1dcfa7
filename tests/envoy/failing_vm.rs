//! A VM that fails: nothing passes until Envoy has restarted it, which Envoy does by itself.
//!
//! The module here traps if a request asks for it (`scripts/wasm faulty`). Another test shows that the shipped module
//! does not.

use std::time::{Duration, Instant};

use prost::Message;
use tokio::time::sleep;
use tonic::Code;
use zonegate::gate::ADS_SOTW;
use zonegate_testkit::gateway::Form;
use zonegate_testkit::raw_client::{Answer, End, RawRequest, grpc_frame};
use zonegate_testkit::zone_proxy::{Claimed, Connection, discovery_request};

use crate::form::{FilterOnly, faulty_module, form};
use crate::harness::{Bench, LIMIT, Setup, grpc_headers};
use crate::open_stream::{Sotw, goes_on, is_cut, open};

const OPEN: &str = "zonegate.streams.open";

/// Opens a good stream, except for the header that asks for a trap.
async fn trap(setup: &Setup) -> Answer {
    let mut headers = grpc_headers(&setup.token());
    headers.push(("x-zonegate-fault", b"trap".to_vec()));
    let chunks = vec![grpc_frame(&discovery_request(Claimed::INGRESS).encode_to_vec())];
    let request = RawRequest { method: "POST", path: ADS_SOTW, headers, chunks, end: End::Stream };
    setup.raw().await.send(request).await.unwrap()
}

/// With two workers: one fails, the other continues.
#[tokio::test]
async fn a_vm_that_fails_denies_until_it_is_started_anew() {
    if FilterOnly::Module.is_left_out() {
        return;
    }
    let mut bench = Bench::new();
    bench.options.module = faulty_module();
    let setup = bench.start().await;
    let connections = [setup.connect().await, setup.connect().await];
    let mut streams = Vec::new();
    for connection in &connections {
        streams.push(open(connection, &setup.token()).await);
    }
    assert_eq!(setup.connections_by_worker().await.into_values().collect::<Vec<_>>(), [1, 1]);
    setup.gateway.wait_stat(OPEN, 2, LIMIT).await.unwrap();
    setup.control_plane.recorder().clear();
    let answer = trap(&setup).await;
    assert_eq!(answer.grpc_status(), Some(Code::Unavailable as u32), "{answer:?}");
    let failed = Instant::now();
    assert_eq!(setup.control_plane.recorder().count(), 0);
    // A message of the control plane ends the streams of the failed VM: nothing bypasses the filter.
    setup.control_plane.push();
    let mut gone = Vec::new();
    for stream in &mut streams {
        gone.push(is_cut(stream).await);
    }
    let hit = gone.iter().position(|gone| *gone).unwrap();
    assert!(!gone[1 - hit], "both workers were hit");
    // The gauge no longer counts the streams of the failed VM, which the VM itself did not subtract.
    setup.gateway.wait_stat(OPEN, 1, LIMIT).await.unwrap();
    println!("the gauge is right {:?} after the failure", failed.elapsed());
    let mut again = open_again(&setup, &connections[hit]).await;
    setup.gateway.wait_stat(OPEN, 2, LIMIT).await.unwrap();
    let refused = connections[hit].sotw(Some("garbage"), Claimed::INGRESS).await.unwrap_err();
    assert!(refused.message().starts_with("zonegate: malformed_token: "), "{refused:?}");
    setup.control_plane.push();
    assert!(goes_on(&mut streams[1 - hit]).await && goes_on(&mut again).await);
    let log = setup.gateway.log().unwrap();
    let place = match form() {
        Form::Wasm => "panicked at filters/wasm/src/fault_injection.rs",
        Form::Native => "panicked at filters/native/src/fault_injection.rs",
        Form::Service => panic!("a service has no injected faults"),
    };
    assert!(log.contains(place), "{}", setup.gateway.log_tail());
    if form() == Form::Native {
        assert_eq!(setup.stat("panics").await, 1);
    }
}

/// Envoy wakes a stream by a hook of its own, in which no request can be answered.
#[tokio::test]
async fn a_stream_that_fails_when_it_is_woken_ends() {
    if form() != Form::Native {
        return; // only a dynamic module is woken
    }
    let mut bench = Bench::new();
    bench.options.module = faulty_module();
    let setup = bench.start().await;
    let mut headers = grpc_headers(&setup.token());
    headers.push(("x-zonegate-fault", b"trap when woken".to_vec()));
    let (chunks, end) = (Vec::new(), End::Never);
    let held = RawRequest { method: "POST", path: ADS_SOTW, headers, chunks, end };
    let answer = setup.raw().await.send(held).await.unwrap();
    assert!(answer.reset.is_some(), "{answer:?}");
    assert_eq!(setup.stat("panics").await, 1);
    let _again = open(&setup.connect().await, &setup.token()).await;
}

/// Requests keep the only worker busy: each is denied until the VM is restarted.
#[tokio::test]
async fn nothing_passes_while_a_vm_is_started_anew() {
    if FilterOnly::Module.is_left_out() {
        return;
    }
    let mut bench = Bench::new();
    bench.options.module = faulty_module();
    bench.options.concurrency = 1;
    let setup = bench.start().await;
    let connection = setup.connect().await;
    // Envoy waits between two starts of a VM, and the first one may be long ago.
    trap(&setup).await;
    drop(open_again(&setup, &connection).await);
    setup.control_plane.recorder().clear();
    trap(&setup).await;
    let failed = Instant::now();
    let mut denied = 0;
    let stream = loop {
        match connection.sotw(Some(&setup.token()), Claimed::INGRESS).await {
            Ok(stream) => break stream,
            Err(refused) => assert_eq!(refused.code(), Code::Unavailable, "{refused:?}"),
        }
        assert_eq!(setup.control_plane.recorder().count(), 0);
        let refused = connection.sotw(Some("garbage"), Claimed::INGRESS).await.unwrap_err();
        assert!(matches!(refused.code(), Code::Unavailable | Code::Unauthenticated), "{refused:?}");
        denied += 1;
        assert!(failed.elapsed() < LIMIT, "it was not started anew");
    };
    println!("{denied} good tokens denied for {:?}", failed.elapsed());
    match form() {
        Form::Wasm => assert!(denied > 0),
        // It restarts at once.
        Form::Native => assert_eq!(denied, 0),
        Form::Service => panic!("a service has no injected faults"),
    }
    drop(stream);
}

/// Opens a stream as soon as the VM is restarted.
async fn open_again(setup: &Setup, connection: &Connection) -> Sotw {
    let start = Instant::now();
    loop {
        if let Ok(mut stream) = connection.sotw(Some(&setup.token()), Claimed::INGRESS).await {
            stream.next().await.unwrap().unwrap();
            return stream;
        }
        assert!(start.elapsed() < LIMIT, "it was not started anew");
        sleep(Duration::from_millis(20)).await;
    }
}
