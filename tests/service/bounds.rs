//! Peers that misbehave: wrong modes, parts out of order, floods, and a peer that never reads.

use std::time::Duration;

use envoy_types::pb::envoy::config::core::v3::{HeaderMap, HeaderValue};
use envoy_types::pb::envoy::extensions::filters::http::ext_proc::v3::processing_mode::BodySendMode;
use envoy_types::pb::envoy::service::ext_proc::v3::external_processor_client::ExternalProcessorClient;
use envoy_types::pb::envoy::service::ext_proc::v3::processing_request::Request;
use envoy_types::pb::envoy::service::ext_proc::v3::processing_response::Response;
use envoy_types::pb::envoy::service::ext_proc::v3::{
    HttpBody, HttpHeaders, ProcessingRequest, ProcessingResponse, ProtocolConfiguration,
};
use prost::Message;
use serde_json::json;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status, Streaming};
use zonegate::gate::ADS_SOTW;
use zonegate_testkit::gateway::Service;
use zonegate_testkit::raw_client::grpc_frame;
use zonegate_testkit::zone_proxy::{Claimed, discovery_request};

use crate::world::{LIMIT, World, wait_stat};

/// A call, as Envoy makes it.
struct Call {
    requests: mpsc::Sender<ProcessingRequest>,
    answers: Streaming<ProcessingResponse>,
}

async fn channel(service: &Service) -> Channel {
    let endpoint = Endpoint::from_shared(format!("http://{}", service.address())).unwrap();
    endpoint.connect().await.unwrap()
}

fn headers(token: &str) -> ProcessingRequest {
    let pairs = [
        (":method", "POST"),
        (":path", ADS_SOTW),
        ("content-type", "application/grpc"),
        ("authorization", token),
    ];
    let header = |(key, value): (&str, &str)| HeaderValue {
        key: key.to_owned(),
        raw_value: value.as_bytes().to_vec(),
        ..HeaderValue::default()
    };
    let headers = Some(HeaderMap { headers: pairs.into_iter().map(header).collect() });
    let mode = BodySendMode::FullDuplexStreamed.into();
    ProcessingRequest {
        request: Some(Request::RequestHeaders(HttpHeaders { headers, ..HttpHeaders::default() })),
        protocol_config: Some(ProtocolConfiguration {
            request_body_mode: mode,
            ..ProtocolConfiguration::default()
        }),
        ..ProcessingRequest::default()
    }
}

fn body(bytes: Vec<u8>) -> ProcessingRequest {
    let body = HttpBody { body: bytes, ..HttpBody::default() };
    ProcessingRequest { request: Some(Request::RequestBody(body)), ..ProcessingRequest::default() }
}

fn first_message() -> Vec<u8> {
    grpc_frame(&discovery_request(Claimed::INGRESS).encode_to_vec())
}

impl Call {
    async fn begin(channel: &Channel, first: ProcessingRequest) -> Result<Self, Status> {
        let (requests, receiver) = mpsc::channel(64);
        requests.send(first).await.unwrap();
        let mut client = ExternalProcessorClient::new(channel.clone());
        let answers = client.process(ReceiverStream::new(receiver)).await?.into_inner();
        Ok(Self { requests, answers })
    }

    async fn next(&mut self) -> Result<Option<Response>, Status> {
        let next = timeout(LIMIT, self.answers.message()).await.expect("no answer in time");
        Ok(next?.and_then(|answer| answer.response))
    }

    /// The reason of the refusal.
    async fn reason(&mut self) -> String {
        let answer = self.next().await.unwrap();
        let Some(Response::ImmediateResponse(refused)) = answer else { panic!("{answer:?}") };
        String::from_utf8(refused.body).unwrap().split(": ").nth(1).unwrap().to_owned()
    }
}

#[tokio::test]
async fn an_envoy_that_would_not_show_the_body_is_told_so() {
    let world = World::new();
    let service = world.serve().await;
    let channel = channel(&service).await;
    for mode in [BodySendMode::None, BodySendMode::Streamed, BodySendMode::Buffered] {
        let mut first = headers(&world.token(json!({})));
        first.protocol_config.as_mut().unwrap().request_body_mode = mode.into();
        let refused = Call::begin(&channel, first).await.err().unwrap();
        assert_eq!(refused.code(), Code::FailedPrecondition, "{refused:?}");
        assert!(refused.message().contains("FULL_DUPLEX_STREAMED"), "{refused:?}");
    }
}

/// Each call ends with an error. Envoy then does not let the request pass.
#[tokio::test]
async fn parts_that_come_out_of_order_end_the_call_with_an_error() {
    let world = World::new();
    let service = world.serve().await;
    let channel = channel(&service).await;
    let good = headers(&world.token(json!({})));
    let refused = Call::begin(&channel, body(first_message())).await.err().unwrap();
    assert_eq!(refused.code(), Code::InvalidArgument);
    let refused = Call::begin(&channel, ProcessingRequest::default()).await.err().unwrap();
    assert_eq!(refused.code(), Code::InvalidArgument);
    for second in [good.clone(), ProcessingRequest::default()] {
        let mut call = Call::begin(&channel, good.clone()).await.unwrap();
        call.requests.send(second).await.unwrap();
        assert_eq!(call.next().await.unwrap_err().code(), Code::InvalidArgument);
    }
    wait_stat(&service, "zonegate.streams.held", 0).await;
    // A part that is longer than any part that Envoy sends.
    let mut call = Call::begin(&channel, good).await.unwrap();
    call.requests.send(body(vec![0; 5 * 1024 * 1024])).await.unwrap();
    assert_eq!(call.next().await.unwrap_err().code(), Code::OutOfRange);
    wait_stat(&service, "zonegate.streams.held", 0).await;
}

/// A flood of incomplete first messages: the memory for held streams is limited, strangers are refused, and good
/// clients are still let in.
#[tokio::test]
async fn a_flood_of_held_streams_does_not_keep_good_clients_out() {
    const STREAMS: usize = 400;
    const SIZE: usize = 200 * 1024;
    /// 16 MiB of held messages, plus the memory that the process needs for them in a debug build.
    const AT_MOST: u64 = 64 * 1024 * 1024;
    let mut world =
        World::new().set(json!({ "firstMessageSeconds": 60, "proxies": { "dataplane": "pass" } }));
    world.options.service.arguments = vec!["--threads".to_owned(), "1".to_owned()];
    let service = world.serve().await;
    let channel = channel(&service).await;
    let before = resident(&service);
    let mut flood = Vec::new();
    for _ in 0..STREAMS {
        let call = Call::begin(&channel, headers("garbage")).await.unwrap();
        let length = u32::try_from(SIZE + 1).unwrap().to_be_bytes();
        let piece = [&[0], &length[..], &vec![0x12; SIZE]].concat();
        call.requests.send(body(piece)).await.unwrap();
        flood.push(call);
    }
    for _ in 0..10 {
        let mut call = Call::begin(&channel, headers(&world.token(json!({})))).await.unwrap();
        call.requests.send(body(first_message())).await.unwrap();
        assert!(matches!(call.next().await.unwrap(), Some(Response::RequestHeaders(_))));
    }
    // The first stream of the flood was refused to make room.
    assert_eq!(flood[0].reason().await, "overloaded");
    let held = service.stat("zonegate.streams.held").await.unwrap().unwrap();
    assert!(held > 20 && held < 90, "{held} are held");
    let grown = resident(&service) - before;
    println!("{held} of {STREAMS} are held, and {} MiB", grown >> 20);
    assert!(grown < AT_MOST, "{} MiB more", grown >> 20);
    drop(flood);
    wait_stat(&service, "zonegate.streams.held", 0).await;
}

/// The memory of the service for an open stream.
#[tokio::test]
async fn an_open_stream_takes_some_kib() {
    const STREAMS: u64 = 1_000;
    let world = World::new();
    let service = world.serve().await;
    let channels = [channel(&service).await, channel(&service).await];
    let token = world.token(json!({}));
    let mut open = Vec::new();
    let mut before = 0;
    for index in 0..STREAMS + 100 {
        // The first streams cause allocations that happen only once.
        if index == 100 {
            before = resident(&service);
        }
        let channel = &channels[usize::try_from(index % 2).unwrap()];
        let mut call = Call::begin(channel, headers(&token)).await.unwrap();
        call.requests.send(body(first_message())).await.unwrap();
        assert!(matches!(call.next().await.unwrap(), Some(Response::RequestHeaders(_))));
        open.push(call);
    }
    wait_stat(&service, "zonegate.streams.open", STREAMS + 100).await;
    let each = resident(&service).saturating_sub(before) / STREAMS;
    println!("{each} bytes for each open stream");
    assert!(each < 32 * 1024, "{each} bytes");
}

fn resident(service: &Service) -> u64 {
    let path = format!("/proc/{}/status", service.pid().unwrap());
    let status = std::fs::read_to_string(path).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() * 1024
}

/// A peer that sends and never reads the answers: the service stops reading from it, so it buffers little, and serves
/// others.
#[tokio::test]
async fn a_peer_that_never_reads_is_not_read_from() {
    let world = World::new();
    let service = world.serve().await;
    let (stuck, other) = (channel(&service).await, channel(&service).await);
    let mut call = Call::begin(&stuck, headers(&world.token(json!({})))).await.unwrap();
    call.requests.send(body(first_message())).await.unwrap();
    assert!(matches!(call.next().await.unwrap(), Some(Response::RequestHeaders(_))));
    let before = resident(&service);
    let mut sent = 0_usize;
    // As much as the connection takes; tonic's own buffers are part of that.
    while sent < 256 {
        let piece = body(vec![7; 1024 * 1024]);
        if timeout(Duration::from_secs(1), call.requests.send(piece)).await.is_err() {
            break;
        }
        sent += 1;
    }
    let grown = resident(&service).saturating_sub(before);
    println!("{sent} MiB were sent or kept by the peer, {} MiB by the service", grown >> 20);
    assert!(sent < 256, "everything is read");
    assert!(grown < 32 * 1024 * 1024, "{} MiB more", grown >> 20);
    let mut call = Call::begin(&other, headers("garbage")).await.unwrap();
    assert_eq!(call.reason().await, "malformed_token");
}

/// The health check of a load balancer.
#[tokio::test]
async fn grpc_health_says_whether_there_is_a_policy() {
    use tonic_health::pb::HealthCheckRequest;
    use tonic_health::pb::health_check_response::ServingStatus;
    use tonic_health::pb::health_client::HealthClient;

    let world = World::new();
    let service = world.serve_whatever(&world.file()).await;
    let mut client = HealthClient::new(channel(&service).await);
    let all = HealthCheckRequest::default();
    let mut changes = client.watch(all).await.unwrap().into_inner();
    let unknown = HealthCheckRequest { service: "unknown".to_owned() };
    assert_eq!(client.check(unknown).await.unwrap_err().code(), Code::NotFound);
    let service_name = "envoy.service.ext_proc.v3.ExternalProcessor";
    for (policy, wanted) in [(false, ServingStatus::NotServing), (true, ServingStatus::Serving)] {
        if policy {
            world.write(&world.options.policy);
            wait_stat(&service, "zonegate.config.accepted", 1).await;
        }
        for name in ["", service_name, "envoy.service.auth.v3.Authorization"] {
            let request = HealthCheckRequest { service: name.to_owned() };
            let answer = client.check(request).await.unwrap().into_inner();
            assert_eq!(answer.status(), wanted, "{name:?}");
        }
        assert_eq!(changes.message().await.unwrap().unwrap().status(), wanted);
    }
}
