//! Requests of a peer with no valid token, or with odd names.

use serde_json::{Value, json};
use zonegate::gate::ADS_SOTW;
use zonegate_testkit::gateway::{Form, Pushed};
use zonegate_testkit::raw_client::{End, RawRequest};
use zonegate_testkit::zone_proxy::Claimed;

use crate::form::form;
use crate::harness::{Bench, LIMIT, grpc_headers};
use crate::held::first_message;
use crate::open_stream::open;

use super::*;

/// A value from outside stays one value in one line, wherever it is shown.
#[tokio::test]
async fn odd_names_forge_nothing() {
    let kid = "1\"}\n{\"verdict\":\"allow\", é\u{2028}\u{0}%";
    let mut bench = Bench::new();
    bench.options.policy["publicKeys"][0]["kid"] = json!(kid);
    let setup = bench.start().await;
    let odd =
        "\u{1b}[2J\r\n[2026-01-01 00:00:00.000][1][info][wasm] zonegate: forged\u{0}\u{2028}\"";
    let sign = |zone: &str, id: &str| {
        let header = json!({ "alg": "RS256", "typ": "JWT", "kid": kid });
        let mut claims = crate::harness::claims();
        claims["Zone"] = json!(zone);
        claims["jti"] = json!(id);
        setup.key.sign_raw(header.to_string(), claims.to_string())
    };
    let connection = setup.connect().await;
    let refused = connection.sotw(Some(&sign(odd, odd)), Claimed::INGRESS).await.unwrap_err();
    assert!(refused.message().starts_with("zonegate: wrong_zone: "), "{refused:?}");
    assert!(refused.message().chars().all(|rune| !rune.is_control()), "{refused:?}");
    let stream = open(&connection, &sign(crate::harness::ZONE, odd)).await;
    stream.close().await.unwrap();
    setup.gateway.wait_log("\"verdict\":\"allow\"", LIMIT).await.unwrap();
    let log = setup.gateway.log().unwrap();
    assert!(log.lines().all(|line| !line.contains('\u{1b}') && !line.contains('\u{0}')), "{log}");
    assert!(!log.lines().any(|line| line.starts_with("[2026-01-01")), "{log}");
    let access: Vec<Value> = log
        .lines()
        .filter(|line| line.starts_with('{'))
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect();
    assert_eq!(access.len(), 2, "{log}");
    let quoted = |text: &str| format!("\"{}\"", text.escape_default());
    let token = format!("kind=zoneToken kid={} jti={}", quoted(kid), quoted(odd));
    assert!(access.iter().all(|line| line["token"].as_str().unwrap().starts_with(&token)), "{log}");
    let stats = setup.gateway.prometheus().await.unwrap();
    let kids: Vec<&str> = stats.lines().filter(|line| line.contains("{kid=")).collect();
    let [allowed, open] = kids[..] else { panic!("{kids:?}") };
    assert!(allowed.starts_with("zonegate_kid_allowed{") && allowed.ends_with(" 1"), "{kids:?}");
    assert!(open.starts_with("zonegate_kid_open{"), "{kids:?}");
}

/// Thousands of streams begin, wait and are reset by their clients, during good and bad pushes. They leave nothing
/// behind.
#[tokio::test(flavor = "multi_thread")]
async fn streams_that_are_reset_during_pushes_leave_nothing() {
    const CLIENTS: usize = 8;
    let mut bench = Bench::text().workers(2);
    bench.record_bodies = false;
    let setup = bench.start().await;
    let stop = tokio::sync::watch::Sender::new(false);
    let mut clients = tokio::task::JoinSet::new();
    for client in 0..CLIENTS {
        let token = setup.token_of(&format!("id-{}", client % 3));
        let (gateway, ca) = (setup.gateway.address(), setup.ca.clone());
        let stop = stop.subscribe();
        clients.spawn(async move {
            let message = first_message();
            let mut begun = 0_u64;
            while !*stop.borrow() {
                let connection =
                    zonegate_testkit::raw_client::RawConnection::open(gateway, &ca).await.unwrap();
                let mut streams = Vec::new();
                for index in 0..80 {
                    let headers = grpc_headers(&token);
                    let Ok(mut stream) = connection.begin("POST", ADS_SOTW, headers).await else {
                        break;
                    };
                    // None, half, or all of the message.
                    let end = [0, message.len() / 2, message.len()][index % 3];
                    stream.send(message[..end].to_vec(), false);
                    streams.push(stream);
                    begun += 1;
                }
                if client % 2 == 0 {
                    let _ = connection.settled().await;
                }
                drop(streams);
            }
            begun
        });
    }
    for push in 0..60 {
        let id = format!("id-{}", push % 3);
        match push % 4 {
            3 => {
                let bad =
                    setup.policy_with(json!({ "zone": "", "revocations": [push.to_string()] }));
                assert_eq!(setup.gateway.push(&bad).await.unwrap(), Pushed::Rejected);
            }
            _ => setup.push_with(json!({ "revocations": [id] })).await,
        }
    }
    setup.push_with(json!({ "revocations": ["last"] })).await;
    stop.send_replace(true);
    let begun: u64 = clients.join_all().await.into_iter().sum();
    println!("{begun} streams");
    setup.refused_everywhere_as(&setup.witness("last"), "revoked").await;
    setup.gateway.wait_stat("http.zonegate.downstream_rq_active", 0, LIMIT).await.unwrap();
    for gauge in ["open", "held", "shadowed"] {
        let stat = format!("zonegate.streams.{gauge}");
        setup.gateway.wait_stat(&stat, 0, LIMIT).await.unwrap();
    }
    let recorder = setup.control_plane.recorder();
    recorder.wait_for(|seen| seen.open_streams() == 0, LIMIT).await.unwrap();
    let failed = setup.gateway.admin("/stats?filter=vm_reload").await.unwrap();
    assert!(failed.lines().all(|line| line.ends_with(": 0")), "{failed}");
    assert!(!setup.gateway.log().unwrap().contains("panicked"));
}

/// HTTP/1.1, with a body in pieces of one byte, with and without trailers.
#[tokio::test]
async fn a_bootstrap_in_pieces_of_a_byte_is_judged_as_a_whole() {
    let setup = Bench::text().start().await;
    for (token, trailers, status) in [
        (setup.token(), "", "200"),
        (setup.token(), "x-more: 1\r\n", "200"),
        ("garbage".to_owned(), "", "401"),
        ("garbage".to_owned(), "x-more: 1\r\n", "401"),
    ] {
        let body = json!({ "mesh": "", "name": "zone-proxy-1", "proxyType": "ingress",
            "dataplaneToken": token })
        .to_string();
        let mut text = "POST /bootstrap HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
            content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
            .to_owned();
        for piece in body.chars() {
            text.push_str(&format!("{:x}\r\n{piece}\r\n", piece.len_utf8()));
        }
        text.push_str(&format!("0\r\n{trailers}\r\n"));
        let http1 = zonegate_testkit::raw_client::http1;
        let answer = http1(setup.gateway.address(), &setup.ca, text.as_bytes()).await.unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{trailers:?}: {answer}");
    }
}

/// Bootstrap requests of strangers with headers of the largest size and no body: the held headers are limited as bodies
/// are, and good clients are let in.
#[tokio::test(flavor = "multi_thread")]
async fn headers_of_strangers_do_not_keep_good_clients_out() {
    const CONNECTIONS: usize = 40;
    const STREAMS: usize = 90;
    const SIZE: usize = 50 * 1024;
    /// The limit for bodies, plus Envoy's other memory: as in a flood of bodies.
    const HELD_AT_MOST: u64 = 64 * 1024 * 1024;
    /// The data that Envoy has not yet sent to a service.
    const TO_SEND: u64 = 96 * 1024 * 1024;
    let mut bench = Bench::text().set("firstMessageSeconds", json!(60));
    bench.record_bodies = false;
    let heap = "/overload_manager/resource_monitors/1/typed_config/max_heap_size_bytes";
    bench.options.edits.push((heap.to_owned(), json!(160 * 1024 * 1024)));
    let setup = bench.start().await;
    drop(open(&setup.connect().await, &setup.token()).await);
    let before = setup.allocated().await + setup.vm_memory();
    let (mut streams, mut connections, mut most) = (Vec::new(), Vec::new(), before);
    'flood: for _ in 0..CONNECTIONS {
        let connection = setup.raw().await;
        for _ in 0..STREAMS {
            let headers = vec![
                ("content-type", b"application/json".to_vec()),
                ("x-padding", vec![b'x'; SIZE]),
            ];
            let Ok(stream) = connection.begin("POST", zonegate::gate::BOOTSTRAP, headers).await
            else {
                break 'flood;
            };
            streams.push(stream);
        }
        if connection.settled().await.is_err() {
            break;
        }
        connections.push(connection);
        most = most.max(setup.allocated().await + setup.vm_memory());
    }
    println!("{} streams, {} MiB before, {} at most", streams.len(), before >> 20, most >> 20);
    let body = json!({ "mesh": "", "name": "zone-proxy-1", "proxyType": "ingress",
        "dataplaneToken": setup.token() })
    .to_string();
    for attempt in 0..10 {
        let request = RawRequest {
            method: "POST",
            path: zonegate::gate::BOOTSTRAP,
            headers: vec![("content-type", b"application/json".to_vec())],
            chunks: vec![body.clone().into_bytes()],
            end: End::Stream,
        };
        let answer = setup.raw().await.send(request).await.unwrap();
        assert_eq!(answer.status, 200, "good client {attempt}: {}", answer.text());
        let connection = setup.connect().await;
        assert_eq!(reason(&connection, &setup.token()).await, None, "good client {attempt}");
    }
    let at_most = match form() {
        Form::Wasm | Form::Native => HELD_AT_MOST,
        Form::Service => HELD_AT_MOST + TO_SEND,
    };
    assert!(most - before < at_most, "{} MiB are held", (most - before) >> 20);
    drop((streams, connections));
}
