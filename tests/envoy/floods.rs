//! Floods of incomplete requests, beside clients with good tokens.
//!
//! One worker, so that all held data is in one place.

use std::time::Duration;

use prost::Message;
use serde_json::{Value, json};
use zonegate::gate::{ADS_SOTW, BOOTSTRAP};
use zonegate_testkit::gateway::Form;
use zonegate_testkit::raw_client::{Answer, End, RawConnection, RawRequest, RawStream, grpc_frame};
use zonegate_testkit::zone_proxy::{Claimed, discovery_request};

use crate::form::form;
use crate::harness::{Bench, LIMIT, Setup, grpc_headers};
use crate::open_stream::open;

const CONNECTIONS: usize = 18;
/// The number of streams that fit into the window of a connection.
const STREAMS: usize = 50;
const SIZE: usize = 100 * 1024;
/// The size of the whole flood, which nothing holds.
const FLOOD: u64 = (CONNECTIONS * STREAMS * SIZE) as u64;
/// The limit for Envoy's memory during the flood.
fn held_at_most() -> u64 {
    match form() {
        Form::Wasm | Form::Native => 64 * 1024 * 1024,
        // Envoy holds the whole flood until the service has read it.
        Form::Service => 2 * FLOOD,
    }
}

/// The heap size at which Envoy stops accepting requests.
fn heap() -> u64 {
    match form() {
        Form::Wasm | Form::Native => 120 * 1024 * 1024,
        Form::Service => 256 * 1024 * 1024,
    }
}
/// The largest bootstrap request.
const BOOTSTRAP_AT_MOST: usize = 128 * 1024;

const OVERLOADED: &str = "overload.envoy.overload_actions.stop_accepting_requests.active";
const HEAP: &str = "/overload_manager/resource_monitors/1/typed_config/max_heap_size_bytes";

/// A gateway whose heap limit is less than the flood needs.
async fn start(policy: impl Fn(Bench) -> Bench) -> Setup {
    let mut bench = policy(Bench::text());
    bench.record_bodies = false;
    // No request is answered because of the time limit.
    bench = bench.set("firstMessageSeconds", json!(60));
    bench.options.edits.push((HEAP.to_owned(), json!(heap())));
    bench.start().await
}

fn json_headers() -> Vec<(&'static str, Vec<u8>)> {
    vec![("content-type", b"application/json".to_vec())]
}

/// The open requests of strangers.
struct Flood {
    streams: Vec<RawStream>,
    /// Kept, because a connection ends with its last request otherwise.
    _connections: Vec<RawConnection>,
}

impl Flood {
    /// Sends `body` to `path`, and does not end the stream.
    async fn of(
        setup: &Setup,
        path: &str,
        headers: &[(&'static str, Vec<u8>)],
        body: &[u8],
    ) -> Self {
        let (mut streams, mut connections) = (Vec::new(), Vec::new());
        for _ in 0..CONNECTIONS {
            let connection = setup.raw().await;
            for _ in 0..STREAMS {
                let mut stream = connection.begin("POST", path, headers.to_vec()).await.unwrap();
                stream.send(body.to_vec(), false);
                streams.push(stream);
            }
            connection.settled().await.unwrap();
            connections.push(connection);
        }
        Self { streams, _connections: connections }
    }

    async fn of_bootstraps(setup: &Setup) -> Self {
        let body = format!("{{\"name\":\"{}", "x".repeat(SIZE));
        Self::of(setup, BOOTSTRAP, &json_headers(), body.as_bytes()).await
    }

    async fn of_small_bootstraps(setup: &Setup) -> Self {
        let body = format!("{{\"name\":\"{}", "x".repeat(300));
        Self::of(setup, BOOTSTRAP, &json_headers(), body.as_bytes()).await
    }

    /// First messages with an invalid token.
    async fn of_first_messages(setup: &Setup) -> Self {
        Self::of_messages_with(setup, "garbage", SIZE).await
    }

    /// First messages that announce their length and lack at least their last byte: `sent` bytes come.
    async fn of_messages_with(setup: &Setup, token: &str, sent: usize) -> Self {
        let length = u32::try_from(SIZE + 1).unwrap();
        let body = [&[0], &length.to_be_bytes()[..], &vec![0x12; sent]].concat();
        Self::of(setup, ADS_SOTW, &grpc_headers(token), &body).await
    }

    /// The answers that arrived so far.
    async fn answers(self) -> Vec<Answer> {
        let mut answers = Vec::new();
        for stream in self.streams {
            answers.extend(stream.answer(Duration::from_millis(1)).await.ok());
        }
        answers
    }
}

/// Good clients of both kinds, on their own connections, are let in.
async fn assert_good_clients_are_let_in(setup: &Setup, times: usize) {
    for _ in 0..times {
        let answer = bootstrap(setup, &request(&setup.token())).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let connection = setup.connect().await;
        let mut stream = connection.sotw(Some(&setup.token()), Claimed::INGRESS).await.unwrap();
        // The control plane answers the first message, so the message was judged.
        assert!(stream.next().await.unwrap().is_some());
    }
}

fn request(token: &str) -> Value {
    json!({ "mesh": "", "name": "zone-proxy-1", "proxyType": "ingress", "dataplaneToken": token })
}

async fn bootstrap(setup: &Setup, body: &Value) -> Answer {
    let chunks = vec![body.to_string().into_bytes()];
    let (headers, end) = (json_headers(), End::Stream);
    let request = RawRequest { method: "POST", path: BOOTSTRAP, headers, chunks, end };
    setup.raw().await.send(request).await.unwrap()
}

/// A flood beside good clients: checks the memory for it, and returns the answers to its streams.
async fn flood(setup: &Setup, begin: impl AsyncFn(&Setup) -> Flood) -> Vec<Answer> {
    let stream = open(&setup.connect().await, &setup.token()).await;
    let before = setup.allocated().await + setup.vm_memory();
    let mut most = before;
    let mut floods = Vec::new();
    for _ in 0..2 {
        floods.push(begin(setup).await);
        most = most.max(setup.allocated().await + setup.vm_memory());
        assert_good_clients_are_let_in(setup, 10).await;
    }
    let mebibytes = |bytes: u64| bytes / 1024 / 1024;
    println!(
        "{} MiB before, {} at most, of twice {} MiB",
        mebibytes(before),
        mebibytes(most),
        mebibytes(FLOOD)
    );
    assert!(most - before < held_at_most(), "{} MiB are held", mebibytes(most - before));
    drop(stream);
    let mut answers = Vec::new();
    for flood in floods {
        answers.extend(flood.answers().await);
    }
    answers
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_of_strangers_do_not_keep_good_clients_out() {
    let setup = start(|bench| bench).await;
    let answers = flood(&setup, Flood::of_bootstraps).await;
    // Half of the flood does not fit. It is refused with a status on which kuma-dp retries.
    assert!(answers.len() > CONNECTIONS * STREAMS / 2, "{} were answered", answers.len());
    for answer in &answers {
        assert_eq!(answer.status, 503, "{answer:?}");
        assert!(answer.text().starts_with("zonegate: overloaded: "), "{}", answer.text());
    }
    // More requests may still have been in transit.
    assert!(setup.denied("overloaded").await >= answers.len() as u64);
}

/// If sidecars pass unchecked, anyone may send a first message.
#[tokio::test(flavor = "multi_thread")]
async fn first_messages_of_strangers_do_not_keep_good_clients_out() {
    let pass = json!({ "dataplane": "pass" });
    let setup = start(|bench| bench.set("proxies", pass.clone())).await;
    let answers = flood(&setup, Flood::of_first_messages).await;
    assert!(answers.len() > CONNECTIONS * STREAMS / 2, "{} were answered", answers.len());
    for answer in &answers {
        assert_eq!(answer.grpc_status(), Some(14), "{answer:?}");
        let message = answer.grpc_message().unwrap();
        assert!(message.starts_with("zonegate: overloaded: "), "{message}");
    }
}

/// Somebody has a good token, and does not end a single message.
#[tokio::test(flavor = "multi_thread")]
async fn a_flood_with_a_good_token_does_not_keep_good_clients_out() {
    let setup = start(|bench| bench).await;
    // Large pieces first, then small ones, which fill the remaining capacity.
    let token = setup.token();
    let large = Flood::of_messages_with(&setup, &token, SIZE).await;
    let small = Flood::of_messages_with(&setup, &token, 10).await;
    for _ in 0..20 {
        let _stream = open(&setup.connect().await, &setup.token_of("id-good")).await;
    }
    let refused = setup.denied("overloaded").await;
    assert!(refused > (CONNECTIONS * STREAMS / 2) as u64, "{refused} were refused");
    drop((large, small));
}

/// At a full gateway, each piece of a good client makes strangers lose. The client itself loses nothing by that.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_makes_strangers_lose_is_let_in() {
    const GOOD: usize = 10;
    let setup = start(|bench| bench).await;
    let flood = Flood::of_bootstraps(&setup).await;
    let raw = setup.raw().await;
    let mut held = Vec::new();
    for _ in 0..GOOD {
        let mut headers = grpc_headers(&setup.token());
        headers.push(("x-padding", vec![b'x'; SIZE / 2]));
        held.push(raw.begin("POST", ADS_SOTW, headers).await.unwrap());
    }
    raw.settled().await.unwrap();
    let message = grpc_frame(&discovery_request(Claimed::INGRESS).encode_to_vec());
    held.iter_mut().for_each(|stream| stream.send(message.clone(), false));
    setup.gateway.wait_stat("zonegate.allowed", GOOD as u64, LIMIT).await.unwrap();
    let raw = setup.raw().await;
    let mut body = request(&setup.token());
    body["padding"] = "x".repeat(SIZE).into();
    let body = body.to_string().into_bytes();
    let (first, rest) = body.split_at(SIZE - 100);
    let mut held = Vec::new();
    for _ in 0..GOOD {
        let mut stream = raw.begin("POST", BOOTSTRAP, json_headers()).await.unwrap();
        stream.send(first.to_vec(), false);
        raw.settled().await.unwrap();
        held.push(stream);
    }
    for mut stream in held {
        stream.send(rest.to_vec(), true);
        let answer = stream.answer(LIMIT).await.unwrap();
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    drop(flood);
}

/// The memory is free again after the strangers disconnect.
#[tokio::test(flavor = "multi_thread")]
async fn after_a_flood_there_is_room_again() {
    let setup = start(|bench| bench).await;
    for _ in 0..3 {
        drop(Flood::of_bootstraps(&setup).await);
        setup.gateway.wait_stat("http.zonegate.downstream_rq_active", 0, LIMIT).await.unwrap();
        // Envoy's measurement of its heap is a moment old.
        setup.gateway.wait_stat(OVERLOADED, 0, LIMIT).await.unwrap();
    }
    // As much data as fits, to show that none of the flood is still held.
    let raw = setup.raw().await;
    let mut slow = Vec::new();
    for _ in 0..STREAMS {
        let mut stream = raw.begin("POST", BOOTSTRAP, json_headers()).await.unwrap();
        let body = request(&setup.token()).to_string().into_bytes();
        let padded = [vec![b' '; SIZE / 2], body].concat();
        stream.send(padded, false);
        slow.push(stream);
    }
    raw.settled().await.unwrap();
    for mut stream in slow {
        stream.send(Vec::new(), true);
        let answer = stream.answer(LIMIT).await.unwrap();
        assert_eq!(answer.status, 200, "{answer:?}");
    }
}

/// In shadow mode nothing is held, and copies are limited: good clients must not be counted as denied because of
/// others.
#[tokio::test(flavor = "multi_thread")]
async fn in_shadow_mode_bodies_of_strangers_do_not_make_good_clients_look_bad() {
    let mut bench = Bench::text().set("mode", json!("shadow"));
    bench.record_bodies = false;
    let setup = bench.set("firstMessageSeconds", json!(60)).start().await;
    // Large pieces first, then small ones, which fill the remaining capacity.
    let flood = [Flood::of_bootstraps(&setup).await, Flood::of_small_bootstraps(&setup).await];
    let allowed = setup.stat("allowed").await;
    assert_good_clients_are_let_in(&setup, 10).await;
    let wanted = allowed + 20;
    let seen = setup.gateway.wait_stat("zonegate.allowed", wanted, LIMIT).await;
    let stats = setup.gateway.admin("/stats?filter=would_deny&usedonly").await.unwrap();
    assert!(seen.is_ok(), "{seen:?}: {stats}");
    drop(flood);
}

#[tokio::test]
async fn a_bootstrap_request_may_have_128_kib() {
    let setup = Bench::text().start().await;
    let good = request(&setup.token()).to_string();
    for (length, status) in [(BOOTSTRAP_AT_MOST, 200), (BOOTSTRAP_AT_MOST + 1, 400)] {
        let body = [vec![b' '; length - good.len()], good.clone().into_bytes()].concat();
        let chunks = body.chunks(16_000).map(<[u8]>::to_vec).collect();
        let (headers, end) = (json_headers(), End::Stream);
        let request = RawRequest { method: "POST", path: BOOTSTRAP, headers, chunks, end };
        let answer = setup.raw().await.send(request).await.unwrap();
        assert_eq!(answer.status, status, "{length} bytes: {answer:?}");
        if status == 400 {
            let text = answer.text();
            assert!(text.starts_with("zonegate: malformed_request: "), "{text}");
        }
    }
}
