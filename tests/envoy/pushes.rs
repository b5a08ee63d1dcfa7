//! Pushes and open streams: what is cut, what goes on.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::timeout;
use zonegate::demo::gateway::Pushed;
use zonegate::demo::zone_proxy::{Claimed, Connection};
use zonegate::issuer::SigningKey;

use crate::harness::{Bench, LIMIT, Setup, claims_with, now, policy};

/// An open state-of-the-world stream.
type Sotw = zonegate::demo::zone_proxy::Stream<
    envoy_types::pb::envoy::service::discovery::v3::DiscoveryRequest,
    envoy_types::pb::envoy::service::discovery::v3::DiscoveryResponse,
>;

async fn open(connection: &Connection, token: &str) -> Sotw {
    let mut stream = connection.sotw(Some(token), Claimed::INGRESS).await.unwrap();
    stream.next().await.unwrap().unwrap();
    stream
}

impl Setup {
    async fn push(&self, field: &str, value: Value) {
        let mut pushed = policy(&self.key);
        pushed[field] = value;
        assert_eq!(self.gateway.push(&pushed).await.unwrap(), Pushed::Accepted);
    }
}

/// Whether the stream ends, by a reset, and has no message before.
async fn is_cut(stream: &mut Sotw) -> bool {
    matches!(timeout(LIMIT, stream.next()).await, Ok(Err(_)))
}

/// Whether a message of the control plane still gets through.
async fn goes_on(stream: &mut Sotw) -> bool {
    matches!(timeout(LIMIT, stream.next()).await, Ok(Ok(Some(_))))
}

/// Four hundred streams over many connections, so that both workers have some; fifty are revoked.
#[tokio::test(flavor = "multi_thread")]
async fn a_push_cuts_the_revoked_streams_and_no_others() {
    let setup = Bench::new().start().await;
    let ids: Vec<String> = (0..400).map(|index| format!("id-{index}")).collect();
    let mut opening = JoinSet::new();
    for chunk in ids.chunks(25) {
        let connection = setup.connect().await;
        let tokens: Vec<_> = chunk
            .iter()
            .map(|id| (id.clone(), setup.sign(claims_with("jti", json!(id)))))
            .collect();
        opening.spawn(async move {
            let mut streams = Vec::new();
            for (id, token) in tokens {
                streams.push((id, open(&connection, &token).await));
            }
            streams
        });
    }
    let mut streams: Vec<_> = opening.join_all().await.into_iter().flatten().collect();
    let revoked: Vec<&String> = ids.iter().step_by(8).collect();
    assert_eq!(revoked.len(), 50);
    let mut pushed = policy(&setup.key);
    pushed["revocations"] = json!(revoked);
    pushed["openStreams"] = json!({ "cutWithinMilliseconds": 200 });
    assert_eq!(setup.gateway.push(&pushed).await.unwrap(), Pushed::Accepted);
    let start = Instant::now();
    setup.gateway.wait_stat("wasmcustom.zonegate.streams.cut.revoked", 50, LIMIT).await.unwrap();
    let elapsed = start.elapsed();
    assert!(elapsed < Duration::from_secs(1), "{elapsed:?}");
    assert_eq!(setup.stat("streams.open").await, 350);
    let sightings = setup.control_plane.sightings();
    sightings.wait_for(|seen| seen.open_streams() == 350, LIMIT).await.unwrap();
    assert_eq!(setup.control_plane.push(), 350);
    for (id, stream) in &mut streams {
        match revoked.contains(&&*id) {
            true => assert!(is_cut(stream).await, "{id} goes on"),
            false => assert!(goes_on(stream).await, "{id} was cut"),
        }
    }
    let token = setup.sign(claims_with("jti", json!("id-0")));
    let refused = setup.connect().await.sotw(Some(&token), Claimed::INGRESS).await.unwrap_err();
    assert!(refused.message().starts_with("zonegate: revoked: "), "{refused:?}");
}

#[tokio::test]
async fn a_revoked_stream_goes_on_where_it_is_to_be_kept() {
    let setup = Bench::new().start().await;
    let mut stream = open(&setup.connect().await, &setup.token()).await;
    let mut pushed = policy(&setup.key);
    pushed["revocations"] = json!("id-1");
    pushed["openStreams"] = json!({ "onRevoked": "keep" });
    assert_eq!(setup.gateway.push(&pushed).await.unwrap(), Pushed::Accepted);
    setup.control_plane.push();
    assert!(goes_on(&mut stream).await);
    // The switch alone is a push that ends it.
    setup.push("revocations", json!("id-1")).await;
    assert!(is_cut(&mut stream).await);
}

#[tokio::test]
async fn a_removed_or_replaced_key_cuts_where_it_is_to() {
    for (on_key_removed, cut) in [("cut", true), ("keep", false)] {
        let setup = Bench::new().start().await;
        let connection = setup.connect().await;
        let mut stream = open(&connection, &setup.token()).await;
        let other = SigningKey::generate(2048).unwrap();
        let switches = json!({ "onKeyRemoved": on_key_removed });
        let mut pushed = policy(&setup.key);
        pushed["openStreams"] = switches.clone();
        assert_eq!(setup.gateway.push(&pushed).await.unwrap(), Pushed::Accepted);
        pushed = policy(&other);
        pushed["openStreams"] = switches;
        assert_eq!(setup.gateway.push(&pushed).await.unwrap(), Pushed::Accepted);
        setup.control_plane.push();
        match cut {
            true => assert!(is_cut(&mut stream).await || is_cut(&mut stream).await),
            false => assert!(goes_on(&mut stream).await),
        }
        assert_eq!(setup.stat("streams.cut.key_removed").await, u64::from(cut));
        let refused = connection.sotw(Some(&setup.token()), Claimed::INGRESS).await.unwrap_err();
        assert!(refused.message().starts_with("zonegate: invalid_signature: "), "{refused:?}");
    }
}

#[tokio::test]
async fn a_passed_expiry_cuts_where_it_is_to() {
    for (on_expired, cut) in [("cut", true), ("keep", false)] {
        let setup =
            Bench::new().set("openStreams", json!({ "onExpired": on_expired })).start().await;
        let connection = setup.connect().await;
        let brief = setup.sign(claims_with("exp", json!(now() + 4)));
        let mut stream = open(&connection, &brief).await;
        let mut lasting = open(&connection, &setup.token()).await;
        let ended = timeout(Duration::from_secs(7), stream.next()).await;
        assert_eq!(matches!(ended, Ok(Err(_))), cut, "{ended:?}");
        assert_eq!(setup.stat("streams.cut.expired").await, u64::from(cut));
        setup.control_plane.push();
        assert!(goes_on(&mut lasting).await);
        let refused = connection.sotw(Some(&brief), Claimed::INGRESS).await.unwrap_err();
        assert!(refused.message().starts_with("zonegate: expired: "), "{refused:?}");
    }
}

/// A stream that is held when the push comes is judged by what was pushed.
#[tokio::test]
async fn a_push_reaches_a_stream_that_is_held() {
    use prost::Message;
    use zonegate::demo::raw_client::{End, RawRequest, grpc_frame};
    use zonegate::demo::zone_proxy::discovery_request;

    let setup = Bench::new().start().await;
    let first = grpc_frame(&discovery_request(Claimed::INGRESS).encode_to_vec());
    let raw = setup.raw().await;
    let headers = crate::harness::grpc_headers(&setup.token());
    let (chunks, path) = (vec![first[..9].to_vec(), first[9..].to_vec()], zonegate::gate::ADS_SOTW);
    let request = RawRequest { method: "POST", path, headers, chunks, end: End::Stream };
    let pushed = tokio::sync::Notify::new();
    let (answer, ()) = tokio::join!(raw.send_paused(request, &pushed), async {
        setup.gateway.wait_stat("http.zonegate.downstream_rq_active", 1, LIMIT).await.unwrap();
        setup.push("revocations", json!("id-1")).await;
        pushed.notify_one();
    });
    let message = answer.unwrap().grpc_message().unwrap();
    assert!(message.starts_with("zonegate: revoked: "), "{message}");
    setup.control_plane.sightings().clear();
    assert_eq!(setup.stat("allowed").await, 0);
}

/// A thousand pushes with a stream open: it goes on, and no memory is left behind.
#[tokio::test]
async fn pushes_leave_what_they_do_not_concern() {
    let setup = Bench::new().start().await;
    let connection = setup.connect().await;
    let mut stream = open(&connection, &setup.token()).await;
    let mut memory = Vec::new();
    for round in 0..1000 {
        setup.push("revocations", json!([format!("other-{round}")])).await;
        if round % 100 == 99 {
            memory.push(setup.gateway.stat("server.memory_allocated").await.unwrap().unwrap());
        }
    }
    setup.control_plane.push();
    assert!(goes_on(&mut stream).await);
    assert_eq!(setup.stat("config.accepted").await, 1001);
    println!("bytes that Envoy has allocated, every hundred pushes: {memory:?}");
    assert!(memory[9] < memory[1] + 4 * 1024 * 1024, "{memory:?}");
}

/// Back to a policy that open streams still hold on to: Envoy does not configure it anew.
#[tokio::test]
async fn a_push_back_to_an_earlier_policy_is_a_push() {
    let mut bench = Bench::new();
    bench.options.concurrency = 1;
    let setup = bench.start().await;
    let connection = setup.connect().await;
    let (first, other) = (setup.token(), setup.sign(claims_with("jti", json!("id-2"))));
    let before = policy(&setup.key);
    let mut held = open(&connection, &first).await;
    setup.push("revocations", json!("id-2")).await;
    let refused = connection.sotw(Some(&other), Claimed::INGRESS).await.unwrap_err();
    assert!(refused.message().starts_with("zonegate: revoked: "), "{refused:?}");
    assert_eq!(setup.gateway.push(&before).await.unwrap(), Pushed::Accepted);
    let mut again = open(&connection, &other).await;
    // And on, to one that open streams hold on to as well.
    setup.push("revocations", json!("id-2")).await;
    assert!(is_cut(&mut again).await);
    setup.control_plane.push();
    assert!(goes_on(&mut held).await);
}

#[tokio::test]
async fn shadow_mode_judges_and_lets_everything_through() {
    let mut bench = Bench::new().set("mode", json!("shadow"));
    bench = bench.set("firstMessageSeconds", json!(1));
    let setup = bench.start().await;
    let connection = setup.connect().await;
    for (token, claimed, reason) in [
        (None, Claimed::INGRESS, Some("missing_token")),
        (Some("garbage".to_owned()), Claimed::INGRESS, Some("malformed_token")),
        (Some(setup.sign(claims_with("Zone", json!("z")))), Claimed::EGRESS, Some("wrong_zone")),
        (
            Some(setup.sign(claims_with("Scope", json!(["egress"])))),
            Claimed::INGRESS,
            Some("out_of_scope"),
        ),
        (Some(setup.token()), Claimed::DATAPLANE, Some("proxy_denied")),
        (Some(setup.token()), Claimed::INGRESS, None),
    ] {
        let mut stream = connection.sotw(token.as_deref(), claimed).await.unwrap();
        assert!(stream.next().await.unwrap().is_some(), "{reason:?}");
        match reason {
            Some(reason) => assert_eq!(setup.stat(&format!("would_deny.{reason}")).await, 1),
            None => assert_eq!(setup.stat("allowed").await, 1),
        }
    }
    assert!(connection.hds(None).await.is_ok());
    assert_eq!(setup.stat("would_deny.proxy_denied").await, 2);
    let late = crate::harness::grpc_headers(&setup.token());
    let (path, end) = (zonegate::gate::ADS_SOTW, zonegate::demo::raw_client::End::Never);
    let request = zonegate::demo::raw_client::RawRequest {
        method: "POST",
        path,
        headers: late,
        chunks: vec![],
        end,
    };
    let raw = setup.raw().await;
    let silent = tokio::spawn(async move { raw.send(request).await });
    let stat = "wasmcustom.zonegate.would_deny.no_first_message";
    setup.gateway.wait_stat(stat, 1, LIMIT).await.unwrap();
    assert!(!silent.is_finished());
    silent.abort();
    // Nothing was denied, and the control plane has seen all eight.
    let sightings = setup.control_plane.sightings();
    sightings.wait_for(|seen| seen.count() == 8, LIMIT).await.unwrap();
    let stats = setup.gateway.admin("/stats?filter=zonegate.denied").await.unwrap();
    assert!(stats.lines().all(|line| line.is_empty() || line.ends_with(": 0")), "{stats}");
    let log = setup.gateway.log().unwrap();
    assert!(log.contains("zonegate: would_deny reason=wrong_zone") && log.contains("mode=shadow"));
    // A push that revokes cuts nothing either.
    let mut stream = open(&connection, &setup.token()).await;
    let mut pushed = policy(&setup.key);
    pushed["mode"] = json!("shadow");
    pushed["revocations"] = json!("id-1");
    assert_eq!(setup.gateway.push(&pushed).await.unwrap(), Pushed::Accepted);
    setup.control_plane.push();
    assert!(goes_on(&mut stream).await);
}
