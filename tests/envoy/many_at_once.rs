//! Streams that end together, more than a VM's stack can bear if each ends inside the end of the one before: Envoy performs
//! what a callback asks for after the callback, and each end is a call into the VM.

use std::time::Duration;

use serde_json::json;
use tokio::time::sleep;
use zonegate::gate::ADS_SOTW;

use crate::harness::{Bench, LIMIT, Setup, grpc_headers};
use crate::open_stream::{is_cut, open};

/// The number of streams of each connection.
const STREAMS: usize = 50;
/// V8 can answer some 450 streams in one callback.
const ANSWERED: usize = 1_000;
/// … and cut more than a thousand.
const CUT: usize = 2_000;

/// One worker, so that all streams are in one VM.
async fn start() -> Setup {
    let mut bench = Bench::text().set("firstMessageSeconds", json!(60));
    bench.record_bodies = false;
    bench.start().await
}

/// A push shortens the time that streams may be held, and all are late at once.
#[tokio::test(flavor = "multi_thread")]
async fn many_streams_are_answered_at_once() {
    let setup = start().await;
    let (mut streams, mut connections) = (Vec::new(), Vec::new());
    for _ in 0..ANSWERED / STREAMS {
        let connection = setup.raw().await;
        for _ in 0..STREAMS {
            let headers = grpc_headers(&setup.token());
            streams.push(connection.begin("POST", ADS_SOTW, headers).await.unwrap());
        }
        connections.push(connection);
    }
    setup.gateway.wait_stat("zonegate.streams.held", ANSWERED as u64, LIMIT).await.unwrap();
    // Held for longer than the second that the push allows.
    sleep(Duration::from_millis(1_500)).await;
    setup.push_with(json!({ "firstMessageSeconds": 1 })).await;
    for stream in streams {
        let answer = stream.answer(LIMIT).await.unwrap();
        let message = answer.grpc_message().unwrap_or_default();
        assert!(message.starts_with("zonegate: no_first_message: "), "{answer:?}");
    }
    assert_eq!(setup.denied("no_first_message").await, ANSWERED as u64);
    drop(open(&setup.connect().await, &setup.token()).await);
}

/// A push revokes a token, and all its streams are cut at once.
#[tokio::test(flavor = "multi_thread")]
async fn many_streams_are_cut_at_once() {
    let setup = start().await;
    let (mut streams, mut connections) = (Vec::new(), Vec::new());
    for _ in 0..CUT / STREAMS {
        let connection = setup.connect().await;
        for _ in 0..STREAMS {
            streams.push(open(&connection, &setup.token_of("id-many")).await);
        }
        connections.push(connection);
    }
    setup.gateway.wait_stat("zonegate.streams.open", CUT as u64, LIMIT).await.unwrap();
    let at_once = json!({ "cutWithinMilliseconds": 0 });
    setup.push_with(json!({ "revocations": "id-many", "openStreams": at_once })).await;
    for stream in &mut streams {
        assert!(is_cut(stream).await);
    }
    setup.gateway.wait_stat("zonegate.streams.cut.revoked", CUT as u64, LIMIT).await.unwrap();
    drop(open(&setup.connect().await, &setup.token()).await);
}
