//! Streams that pass, and what the control plane receives of them.

use prost::Message;
use zonegate::gate::{ADS_DELTA, ADS_SOTW, MAX_FIRST_MESSAGE};
use zonegate_testkit::raw_client::{End, RawRequest, grpc_frame};
use zonegate_testkit::zone_proxy::{Claimed, delta_discovery_request, discovery_request};

use crate::harness::{Bench, LIMIT, Setup, grpc_headers};

const OPEN: &str = "zonegate.streams.open";

#[tokio::test]
async fn good_tokens_open_streams_that_carry_messages_both_ways() {
    let setup = Bench::new().start().await;
    let token = setup.token();
    let connection = setup.connect().await;
    let mut sotw = connection.sotw(Some(&token), Claimed::INGRESS).await.unwrap();
    let mut delta = connection.delta(Some(&token), Claimed::EGRESS).await.unwrap();
    assert!(sotw.next().await.unwrap().is_some());
    assert!(delta.next().await.unwrap().is_some());
    sotw.send(discovery_request(Claimed::INGRESS)).await.unwrap();
    assert!(sotw.next().await.unwrap().is_some());
    setup.gateway.wait_stat(OPEN, 2, LIMIT).await.unwrap();
    assert_eq!(setup.control_plane.push(), 2);
    assert!(sotw.next().await.unwrap().is_some());
    assert!(delta.next().await.unwrap().is_some());
    sotw.close().await.unwrap();
    delta.close().await.unwrap();
    setup.gateway.wait_stat(OPEN, 0, LIMIT).await.unwrap();
    assert_eq!(setup.stat("allowed").await, 2);
    assert_eq!(setup.stat("kid.1.allowed").await, 2);
}

/// A certificate has different entries for addresses and for host names.
#[tokio::test]
async fn a_control_plane_known_by_its_address_is_trusted() {
    let mut bench = Bench::new();
    bench.options.control_plane_name = "127.0.0.1".to_owned();
    let setup = bench.start().await;
    let token = setup.token();
    let mut stream = setup.connect().await.sotw(Some(&token), Claimed::INGRESS).await.unwrap();
    assert!(stream.next().await.unwrap().is_some());
}

/// The control plane receives the same data: every byte, and every relevant header.
#[tokio::test]
async fn an_allowed_stream_arrives_byte_for_byte() {
    let setup = Bench::new().start().await;
    let sotw = grpc_frame(&discovery_request(Claimed::INGRESS).encode_to_vec());
    let delta = grpc_frame(&delta_discovery_request(Claimed::EGRESS).encode_to_vec());
    let two = [sotw.clone(), sotw.clone()].concat();
    let bytes_apart = sotw.iter().map(|byte| vec![*byte]).collect();
    let with_empty_frames = vec![vec![], sotw[..3].to_vec(), vec![], sotw[3..].to_vec(), vec![]];
    for (path, chunks) in [
        (ADS_SOTW, vec![sotw.clone()]),
        (ADS_DELTA, vec![delta.clone()]),
        (ADS_SOTW, bytes_apart),
        (ADS_SOTW, with_empty_frames),
        (ADS_SOTW, vec![two]),
        (ADS_SOTW, vec![sotw.clone(), vec![0, 0, 0], vec![0, 0]]),
    ] {
        let sent = chunks.concat();
        let token = setup.token();
        let headers = grpc_headers(&token);
        let request = RawRequest { method: "POST", path, headers, chunks, end: End::Stream };
        let answer = setup.raw().await.send(request).await.unwrap();
        assert_eq!(answer.grpc_status(), Some(0), "{answer:?}");
        let [seen] = <[_; 1]>::try_from(setup.control_plane.recorder().requests()).unwrap();
        assert_eq!(seen.body, sent);
        assert_eq!(seen.path, path);
        assert_eq!(seen.authority, "localhost");
        assert_eq!(seen.header("authorization").collect::<Vec<_>>(), [token.as_bytes()]);
        assert_eq!(seen.header("te").collect::<Vec<_>>(), [b"trailers"]);
        setup.control_plane.recorder().clear();
    }
}

#[tokio::test]
async fn the_largest_first_message_passes() {
    let setup = Bench::new().start().await;
    let message = padded(MAX_FIRST_MESSAGE);
    assert_eq!(message.len(), MAX_FIRST_MESSAGE);
    let sent = grpc_frame(&message);
    let answer = setup.open(sent.chunks(16_000).map(<[u8]>::to_vec).collect()).await;
    assert_eq!(answer.grpc_status(), Some(0), "{answer:?}");
    assert_eq!(setup.control_plane.recorder().requests()[0].body, sent);
}

/// A DiscoveryRequest of exactly this many bytes, padded by unknown fields that every reader skips.
pub(crate) fn padded(length: usize) -> Vec<u8> {
    let mut message = discovery_request(Claimed::INGRESS).encode_to_vec();
    // Field 1000, length-delimited: two bytes of tag, three of length.
    let padding = length - message.len() - 5;
    prost::encoding::encode_key(1000, prost::encoding::WireType::LengthDelimited, &mut message);
    prost::encoding::encode_varint(padding as u64, &mut message);
    message.resize(message.len() + padding, b'x');
    message
}

impl Setup {
    /// Sends these chunks on a state-of-the-world stream with a good token.
    pub(crate) async fn open(&self, chunks: Vec<Vec<u8>>) -> zonegate_testkit::raw_client::Answer {
        let headers = grpc_headers(&self.token());
        let request =
            RawRequest { method: "POST", path: ADS_SOTW, headers, chunks, end: End::Stream };
        self.raw().await.send(request).await.unwrap()
    }
}
