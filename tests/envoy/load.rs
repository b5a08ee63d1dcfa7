//! Many streams: open at once, and one after another.

use tokio::task::JoinSet;
use zonegate_testkit::zone_proxy::Claimed;

use crate::harness::{Bench, LIMIT};

const OPEN: &str = "zonegate.streams.open";

/// A control plane's default limit is 100 streams per connection; Envoy opens more connections.
#[tokio::test(flavor = "multi_thread")]
async fn three_hundred_streams_are_open_at_once() {
    const STREAMS: u64 = 300;
    let setup = Bench::new().start().await;
    let token = setup.token();
    let mut connection = setup.connect().await;
    let mut streams = Vec::new();
    for index in 0..STREAMS {
        // The gateway accepts a hundred streams per connection.
        if index % 100 == 0 {
            connection = setup.connect().await;
        }
        let mut stream = connection.sotw(Some(&token), Claimed::INGRESS).await.unwrap();
        stream.next().await.unwrap().unwrap();
        streams.push(stream);
    }
    assert_eq!(setup.control_plane.recorder().open_streams() as u64, STREAMS);
    setup.gateway.wait_stat(OPEN, STREAMS, LIMIT).await.unwrap();
    assert_eq!(setup.control_plane.push() as u64, STREAMS);
    for stream in &mut streams {
        assert!(stream.next().await.unwrap().is_some());
    }
    drop(streams);
    setup.gateway.wait_stat(OPEN, 0, LIMIT).await.unwrap();
}

/// Ten thousand streams over eight connections, good and bad: no context is leaked, and Envoy's memory does not keep
/// growing.
#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_streams_leave_nothing_behind() {
    const CLIENTS: u64 = 8;
    const EACH: u64 = 625;
    let mut bench = Bench::new();
    bench.record_bodies = false;
    let setup = bench.start().await;
    let token = setup.token();
    let mut memory = Vec::new();
    for _ in 0..2 {
        let mut clients = JoinSet::new();
        for _ in 0..CLIENTS {
            let (connection, token) = (setup.connect().await, token.clone());
            clients.spawn(async move {
                for index in 0..EACH {
                    if index % 5 == 0 {
                        connection.sotw(Some("bad"), Claimed::INGRESS).await.unwrap_err();
                        continue;
                    }
                    let mut stream = connection.sotw(Some(&token), Claimed::INGRESS).await.unwrap();
                    stream.next().await.unwrap().unwrap();
                    stream.close().await.unwrap();
                }
            });
        }
        clients.join_all().await;
        setup.gateway.wait_stat(OPEN, 0, LIMIT).await.unwrap();
        memory.push(setup.gateway.stat("server.memory_allocated").await.unwrap().unwrap());
    }
    assert_eq!(setup.stat("allowed").await, 2 * CLIENTS * EACH * 4 / 5);
    assert_eq!(setup.denied("malformed_token").await, 2 * CLIENTS * EACH / 5);
    let recorder = setup.control_plane.recorder();
    recorder.wait_for(|seen| seen.open_streams() == 0, LIMIT).await.unwrap();
    // A leaked context takes some hundred bytes in the VM and some KiB in Envoy: 5,000 contexts take MiBs.
    assert!(memory[1] < memory[0] + 4 * 1024 * 1024, "{memory:?}");
}
