//! Every other path is denied, and so is every other spelling of a served path.

use zonegate::gate::{ADS_SOTW, BOOTSTRAP};
use zonegate_testkit::raw_client::{End, RawRequest, http1};

use crate::harness::{Bench, LIMIT, grpc_headers};

const JSON: &str = "application/json";
const GRPC: &str = "application/grpc";

#[tokio::test]
async fn only_the_exact_paths_are_served() {
    let setup = Bench::new().start().await;
    let ads = "/envoy.service.discovery.v3.AggregatedDiscoveryService";
    let cases = [
        ("GET", "/", JSON),
        ("GET", BOOTSTRAP, JSON),
        ("PUT", BOOTSTRAP, JSON),
        ("POST", "/bootstrap/", JSON),
        ("POST", "//bootstrap", JSON),
        ("POST", "/./bootstrap", JSON),
        ("POST", "/x/../bootstrap", JSON),
        ("POST", "/%62ootstrap", JSON),
        ("POST", "/bootstrap%2F", JSON),
        ("POST", "/Bootstrap", JSON),
        ("POST", "/bootstrap;x", JSON),
        ("POST", "/bootstrap%3Fx", JSON),
        ("POST", "/config", JSON),
        // Kuma's gRPC server answers these requests, whatever the path.
        ("POST", BOOTSTRAP, GRPC),
        ("POST", BOOTSTRAP, "text/application/grpc"),
        ("POST", "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", GRPC),
        ("POST", "/envoy.service.discovery.v3.ClusterDiscoveryService/StreamClusters", GRPC),
        ("POST", &format!("{ads}/FetchAggregatedResources"), GRPC),
        ("POST", &format!("{ads}/streamAggregatedResources"), GRPC),
        ("POST", &format!("{ads}/Stream%41ggregatedResources"), GRPC),
        ("POST", &format!("/{ads}/StreamAggregatedResources"), GRPC),
        ("GET", ADS_SOTW, GRPC),
        // These requests would go to Kuma's HTTP side.
        ("POST", ADS_SOTW, JSON),
        ("POST", ADS_SOTW, "application/grpc-web"),
        ("POST", ADS_SOTW, "application/GRPC"),
    ];
    for (method, path, content_type) in cases {
        let mut headers = grpc_headers(&setup.token());
        headers[0].1 = content_type.as_bytes().to_vec();
        let request = RawRequest { method, path, headers, chunks: vec![], end: End::Stream };
        let answer = setup.raw().await.send(request).await.unwrap();
        let message = match answer.grpc_status() {
            Some(12) => answer.grpc_message().unwrap(),
            Some(other) => panic!("{method} {path}: gRPC status {other}"),
            None => {
                assert_eq!(answer.status, 404, "{method} {path}: {answer:?}");
                answer.text()
            }
        };
        assert!(message.starts_with("zonegate: path_denied: "), "{method} {path}: {message}");
    }
    assert_eq!(setup.denied("path_denied").await, cases.len() as u64);
    setup.assert_nothing_arrived().await;
}

/// Requests that an HTTP library would not send.
#[tokio::test]
async fn hostile_request_lines_do_not_get_through() {
    let setup = Bench::new().start().await;
    let body = format!(r#"{{"proxyType":"ingress","dataplaneToken":"{}"}}"#, setup.token());
    for target in [
        "/bootstrap#x",
        "/bootstrap\\",
        "/\\bootstrap",
        "bootstrap",
        "http://gateway/other?/bootstrap",
        "/bootstrap%00",
        "/b%6fotstrap",
        "*",
    ] {
        let request = format!(
            "POST {target} HTTP/1.1\r\nhost: gateway\r\nconnection: close\r\n\
             content-length: {}\r\n\r\n{body}",
            body.len()
        );
        let answer = http1(setup.gateway.address(), &setup.ca, request.as_bytes()).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 4"), "{target}: {answer}");
    }
    setup.assert_nothing_arrived().await;
}

#[tokio::test]
async fn a_query_changes_nothing() {
    let setup = Bench::new().start().await;
    let body = format!(r#"{{"proxyType":"ingress","dataplaneToken":"{}"}}"#, setup.token());
    let request = RawRequest {
        method: "POST",
        path: "/bootstrap?x=/other",
        headers: vec![("content-type", JSON.as_bytes().to_vec())],
        chunks: vec![body.into_bytes()],
        end: End::Stream,
    };
    let answer = setup.raw().await.send(request).await.unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(setup.control_plane.recorder().requests()[0].path, "/bootstrap?x=/other");
}

/// A query may contain a secret.
#[tokio::test]
async fn a_query_is_not_logged() {
    let setup = Bench::new().start().await;
    let headers = grpc_headers(&setup.token());
    let (path, chunks, end) = ("/other?token=hidden", vec![], End::Stream);
    let request = RawRequest { method: "POST", path, headers, chunks, end };
    setup.raw().await.send(request).await.unwrap();
    setup.gateway.wait_log("\"verdict\":\"deny\"", LIMIT).await.unwrap();
    let log = setup.gateway.log().unwrap();
    assert!(log.contains("path=\"/other\"") && log.contains("\"path\":\"/other\""), "{log}");
    assert!(!log.contains("hidden"), "{log}");
}

/// Proxies in front of the gateway add headers such as `x_real_ip`. Kuma reads no such header.
#[tokio::test]
async fn headers_with_underscores_do_not_reach_the_control_plane() {
    let setup = Bench::new().start().await;
    let body = format!(r#"{{"proxyType":"ingress","dataplaneToken":"{}"}}"#, setup.token());
    let request = RawRequest {
        method: "POST",
        path: BOOTSTRAP,
        headers: vec![
            ("content-type", JSON.as_bytes().to_vec()),
            ("x_real_ip", b"192.0.2.1".to_vec()),
            ("x-kept", b"1".to_vec()),
        ],
        chunks: vec![body.into_bytes()],
        end: End::Stream,
    };
    let answer = setup.raw().await.send(request).await.unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
    let requests = setup.control_plane.recorder().requests();
    assert_eq!(requests[0].header("x_real_ip").count(), 0, "{requests:?}");
    assert_eq!(requests[0].header("x-kept").count(), 1, "{requests:?}");
    let dropped = setup.gateway.stat("http2.dropped_headers_with_underscores").await.unwrap();
    assert_eq!(dropped, Some(1));
}
