//! First messages that cannot be read, that come in pieces, or that do not come.

use std::time::{Duration, Instant};

use prost::Message;
use serde_json::json;
use tonic::Code;
use zonegate::gate::{ADS_DELTA, ADS_SOTW, MAX_FIRST_MESSAGE};
use zonegate_testkit::raw_client::{Answer, End, RawRequest, grpc_frame};
use zonegate_testkit::zone_proxy::{Claimed, delta_discovery_request, discovery_request};

use crate::form::FilterOnly;
use crate::harness::{Bench, LIMIT, Setup, grpc_headers};
use crate::streams::padded;

async fn send(setup: &Setup, path: &str, chunks: Vec<Vec<u8>>, end: End) -> Answer {
    let headers = grpc_headers(&setup.token());
    let request = RawRequest { method: "POST", path, headers, chunks, end };
    setup.raw().await.send(request).await.unwrap()
}

#[tokio::test]
async fn an_invalid_first_message_is_refused() {
    let setup = Bench::new().start().await;
    let good = grpc_frame(&discovery_request(Claimed::INGRESS).encode_to_vec());
    let half = good[..good.len() / 2].to_vec();
    let mut compressed = good.clone();
    compressed[0] = 1;
    let mut flagged = good.clone();
    flagged[0] = 0x80;
    let no_node = grpc_frame(&[]);
    let mut nameless = discovery_request(Claimed::INGRESS);
    nameless.node.as_mut().unwrap().id.clear();
    let nameless = grpc_frame(&nameless.encode_to_vec());
    let delta = delta_discovery_request(Claimed::INGRESS).encode_to_vec();
    let too_large = vec![0, 0, 0x10, 0, 1];
    let huge = vec![0, 0xff, 0xff, 0xff, 0xff];
    for (path, chunks, end, says) in [
        (ADS_SOTW, vec![], End::Stream, "ended before"),
        (ADS_SOTW, vec![vec![]], End::Stream, "ended before"),
        (ADS_SOTW, vec![vec![0, 0]], End::Stream, "ended before"),
        (ADS_SOTW, vec![half.clone()], End::Stream, "ended before"),
        (ADS_SOTW, vec![half], End::Trailers, "ended before"),
        (ADS_SOTW, vec![], End::Trailers, "ended before"),
        (ADS_SOTW, vec![compressed], End::Never, "compressed"),
        (ADS_SOTW, vec![flagged], End::Never, "compressed"),
        (ADS_SOTW, vec![too_large], End::Never, "larger than"),
        (ADS_SOTW, vec![huge], End::Never, "larger than"),
        (ADS_SOTW, vec![grpc_frame(&padded(MAX_FIRST_MESSAGE + 1))], End::Stream, "larger"),
        (ADS_SOTW, vec![grpc_frame(b"\xff\xff\xff")], End::Stream, "no discovery request"),
        (ADS_SOTW, vec![grpc_frame(&[0x12; 300])], End::Stream, "no discovery request"),
        (ADS_SOTW, vec![no_node.clone()], End::Stream, "has no node with an id"),
        (ADS_SOTW, vec![nameless], End::Stream, "has no node with an id"),
        (ADS_DELTA, vec![no_node], End::Stream, "has no node with an id"),
        // A delta request has its node in another field.
        (ADS_SOTW, vec![grpc_frame(&delta)], End::Stream, "discovery request"),
    ] {
        let answer = send(&setup, path, chunks.clone(), end).await;
        let message = answer.grpc_message().unwrap_or_default();
        assert_eq!(answer.grpc_status(), Some(3), "{chunks:?}: {answer:?}");
        assert!(message.starts_with("zonegate: malformed_request: "), "{message}");
        assert!(message.contains(says), "{says}: {message}");
    }
    assert_eq!(setup.denied("malformed_request").await, 17);
    setup.assert_nothing_arrived().await;
}

#[tokio::test]
async fn a_silent_stream_is_refused_in_time() {
    let setup = Bench::new().set("firstMessageSeconds", json!(1)).start().await;
    let start = Instant::now();
    let (silent, halting) = tokio::join!(
        send(&setup, ADS_SOTW, vec![], End::Never),
        send(&setup, ADS_DELTA, vec![vec![0, 0, 0]], End::Never),
    );
    let elapsed = start.elapsed();
    for answer in [silent, halting] {
        assert_eq!(answer.grpc_status(), Some(4), "{answer:?}");
        let message = answer.grpc_message().unwrap();
        assert!(message.starts_with("zonegate: no_first_message: "), "{message}");
    }
    assert!(elapsed >= Duration::from_secs(1) && elapsed < LIMIT, "{elapsed:?}");
    assert_eq!(setup.denied("no_first_message").await, 2);
    setup.assert_nothing_arrived().await;
}

/// A stream that begins in time is not cut later by the deadline for first messages.
#[tokio::test]
async fn a_stream_that_has_begun_is_not_overdue() {
    let setup = Bench::new().set("firstMessageSeconds", json!(1)).start().await;
    let token = setup.token();
    let connection = setup.connect().await;
    let mut stream = connection.sotw(Some(&token), Claimed::INGRESS).await.unwrap();
    stream.next().await.unwrap().unwrap();
    // A second stream is overdue: this shows that the deadline has passed.
    let late = send(&setup, ADS_SOTW, vec![], End::Never).await;
    assert_eq!(late.grpc_status(), Some(4), "{late:?}");
    setup.control_plane.push();
    assert!(stream.next().await.unwrap().is_some());
}

#[tokio::test]
async fn envoys_own_limit_is_respected() {
    if FilterOnly::Kept.is_left_out() {
        return;
    }
    let mut bench = Bench::new();
    let window = "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config\
                  /http2_protocol_options/initial_stream_window_size";
    bench.options.edits.push((window.to_owned(), json!(65_535)));
    let setup = bench.start().await;
    let message = grpc_frame(&padded(200_000));
    let chunks = message.chunks(16_000).map(<[u8]>::to_vec).collect();
    let answer = send(&setup, ADS_SOTW, chunks, End::Stream).await;
    // Envoy's own text, and gRPC's status for 413.
    assert_eq!(answer.grpc_status(), Some(Code::Unknown as i32 as u32), "{answer:?}");
    assert_eq!(answer.grpc_message().as_deref(), Some("Payload Too Large"));
    setup.assert_nothing_arrived().await;
}
