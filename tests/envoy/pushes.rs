//! Pushes and open streams: which streams are cut, and which go on.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;
use zonegate_issuer::SigningKey;
use zonegate_testkit::gateway::Pushed;
use zonegate_testkit::zone_proxy::Claimed;

use crate::harness::{Bench, LIMIT, Setup, claims_with, now, policy};
use crate::open_stream::{Sotw, goes_on, is_cut, open};
use crate::talking::{Life, all_ended, all_hear_more, live, talk};

const OPEN: &str = "zonegate.streams.open";

/// A cut takes one second at most, and longer on a busy machine.
const CUT: Duration = Duration::from_secs(10);

/// Two hundred streams on each of two workers, all with messages in both directions; fifty of them are revoked. By the
/// clients' clocks: the revoked streams end soon after the push, and the others get every message, before, during and
/// after the cut.
#[tokio::test(flavor = "multi_thread")]
async fn a_push_cuts_the_revoked_streams_and_no_others() {
    const CONNECTIONS: usize = 16;
    const STREAMS: usize = 400;
    let setup = Bench::new().start().await;
    let ids: Vec<String> = (0..STREAMS).map(|index| format!("id-{index}")).collect();
    let revoked: Vec<&String> = ids.iter().step_by(8).collect();
    assert_eq!(revoked.len(), 50);
    let streams = open_all(&setup, ids.chunks(STREAMS / CONNECTIONS)).await;
    let by_worker: Vec<u64> = setup.connections_by_worker().await.into_values().collect();
    assert_eq!(by_worker, [8, 8], "not 200 streams on each worker");
    setup.gateway.wait_stat(OPEN, 400, LIMIT).await.unwrap();
    let talking = talk(&setup);
    let stop = watch::Sender::new(false);
    let heard: Vec<_> = streams.iter().map(|_| Arc::new(AtomicU64::new(0))).collect();
    let lives = streams.into_iter().zip(&heard);
    let lives: JoinSet<Life> = lives
        .map(|((id, stream), heard)| live(id, stream, Arc::clone(heard), stop.subscribe()))
        .collect();
    all_hear_more(&heard).await;
    let pushed = Instant::now();
    setup.push("revocations", json!(revoked)).await;
    let cut = "zonegate.streams.cut.revoked";
    setup.gateway.wait_stat(cut, 50, LIMIT).await.unwrap();
    setup.gateway.wait_stat(OPEN, 350, LIMIT).await.unwrap();
    all_hear_more(&heard).await;
    // What was sent before a cut may still be in transit to its client.
    all_ended(&heard, 50).await;
    stop.send_replace(true);
    let lives = lives.join_all().await;
    talking.abort();
    let last_cut = lives.iter().filter_map(|life| life.ended).max().unwrap();
    println!("the last of 50 ended {:?} after the push", last_cut - pushed);
    for life in &lives {
        match revoked.contains(&&life.id) {
            true => assert!(life.ended.unwrap() - pushed < CUT, "{life:?}"),
            false => life.assert_whole(pushed, last_cut),
        }
    }
    let token = setup.token_of("id-0");
    let refused = setup.connect().await.sotw(Some(&token), Claimed::INGRESS).await.unwrap_err();
    assert!(refused.message().starts_with("zonegate: revoked: "), "{refused:?}");
}

/// Opens a stream for each id, with one connection for each chunk.
async fn open_all(setup: &Setup, chunks: impl Iterator<Item = &[String]>) -> Vec<(String, Sotw)> {
    let mut opening = JoinSet::new();
    for chunk in chunks {
        let connection = setup.connect().await;
        let tokens: Vec<_> = chunk.iter().map(|id| (id.clone(), setup.token_of(id))).collect();
        opening.spawn(async move {
            let mut streams = Vec::new();
            for (id, token) in tokens {
                streams.push((id, open(&connection, &token).await));
            }
            streams
        });
    }
    opening.join_all().await.into_iter().flatten().collect()
}

#[tokio::test]
async fn a_revoked_stream_goes_on_where_it_is_to_be_kept() {
    let setup = Bench::new().start().await;
    let mut stream = open(&setup.connect().await, &setup.token()).await;
    let mut pushed = policy(&setup.key);
    pushed["revocations"] = json!("id-1");
    pushed["openStreams"] = json!({ "onRevoked": "keep" });
    assert_eq!(setup.gateway.push(&pushed).await.unwrap(), Pushed::Accepted);
    setup.refused_everywhere_as(&setup.witness("id-1"), "revoked").await;
    setup.control_plane.push();
    assert!(goes_on(&mut stream).await);
    // Removing the switch from the policy is a push that ends the stream.
    setup.push("revocations", json!("id-1")).await;
    assert!(is_cut(&mut stream).await);
}

#[tokio::test]
async fn a_removed_or_replaced_key_cuts_streams_if_configured() {
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
        setup.refused_everywhere_as(&setup.witness("id-1"), "invalid_signature").await;
        if cut {
            assert!(is_cut(&mut stream).await);
        } else {
            setup.control_plane.push();
            assert!(goes_on(&mut stream).await);
        }
        assert_eq!(setup.stat("streams.cut.key_removed").await, u64::from(cut));
    }
}

#[tokio::test]
async fn an_expired_token_cuts_its_stream_if_configured() {
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

/// A stream that is held when the push comes is judged by the pushed policy.
#[tokio::test]
async fn a_push_reaches_a_stream_that_is_held() {
    use prost::Message;
    use zonegate_testkit::raw_client::{End, RawRequest, grpc_frame};
    use zonegate_testkit::zone_proxy::discovery_request;

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
        setup.refused_everywhere_as(&setup.witness("id-1"), "revoked").await;
        pushed.notify_one();
    });
    let message = answer.unwrap().grpc_message().unwrap();
    assert!(message.starts_with("zonegate: revoked: "), "{message}");
    setup.control_plane.recorder().clear();
    assert_eq!(setup.stat("allowed").await, 0);
}

/// A thousand pushes of two policies in turn, with open streams that began under each. The streams go on, and no memory
/// is leaked, in Envoy or in the VMs.
#[tokio::test]
async fn pushes_do_not_affect_other_streams() {
    let setup = Bench::new().start().await;
    let connection = setup.connect().await;
    let mut streams = Vec::new();
    let mut memory = Vec::new();
    for round in 0..1000 {
        setup.push("revocations", json!(["other", format!("other-{}", round % 2)])).await;
        if round < 10 {
            streams.push(open(&connection, &setup.token()).await);
        }
        if round % 100 == 99 {
            let allocated = setup.gateway.stat("server.memory_allocated").await.unwrap().unwrap();
            memory.push((allocated / 1024, setup.resident() / 1024));
        }
    }
    setup.control_plane.push();
    for stream in &mut streams {
        assert!(goes_on(stream).await);
    }
    setup.gateway.wait_stat(OPEN, 10, LIMIT).await.unwrap();
    println!("KiB that Envoy has allocated, and holds, every hundred pushes: {memory:?}");
    let ((allocated, resident), (then_allocated, then_resident)) = (memory[9], memory[1]);
    assert!(allocated < then_allocated + 4 * 1024, "{memory:?}");
    assert!(resident < then_resident + 16 * 1024, "{memory:?}");
}

/// Back to a policy that open streams still use: the worker does not configure it again.
#[tokio::test]
async fn a_push_back_to_an_earlier_policy_is_a_push() {
    // As text, so that the policy equals the one that the streams use.
    let setup = Bench::text().start().await;
    let connection = setup.connect().await;
    let (first, other, witness) = (setup.token(), setup.token_of("id-2"), setup.witness("id-2"));
    let mut held = open(&connection, &first).await;
    setup.push("revocations", json!("id-2")).await;
    setup.refused_as(&connection, &witness, "revoked").await;
    setup.push_with(json!({})).await;
    setup.refused_as(&connection, &witness, "wrong_zone").await;
    let mut again = open(&connection, &other).await;
    // And then to another policy that open streams use.
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
    let (path, end) = (zonegate::gate::ADS_SOTW, zonegate_testkit::raw_client::End::Never);
    let request = zonegate_testkit::raw_client::RawRequest {
        method: "POST",
        path,
        headers: late,
        chunks: vec![],
        end,
    };
    let raw = setup.raw().await;
    let silent = tokio::spawn(async move { raw.send(request).await });
    let stat = "zonegate.would_deny.no_first_message";
    setup.gateway.wait_stat(stat, 1, LIMIT).await.unwrap();
    assert!(!silent.is_finished());
    silent.abort();
    // Nothing was denied: the control plane has seen all eight requests.
    let recorder = setup.control_plane.recorder();
    recorder.wait_for(|seen| seen.count() == 8, LIMIT).await.unwrap();
    let stats = setup.gateway.admin("/stats?filter=zonegate.denied").await.unwrap();
    assert!(stats.lines().all(|line| line.is_empty() || line.ends_with(": 0")), "{stats}");
    let log = setup.gateway.log().unwrap();
    assert!(log.contains("zonegate: would_deny reason=wrong_zone") && log.contains("mode=shadow"));
    // A push that revokes does not cut streams either.
    let mut stream = open(&connection, &setup.token()).await;
    let mut pushed = policy(&setup.key);
    pushed["mode"] = json!("shadow");
    pushed["revocations"] = json!("id-1");
    assert_eq!(setup.gateway.push(&pushed).await.unwrap(), Pushed::Accepted);
    let stat = "zonegate.config.revocations";
    setup.gateway.wait_stat(stat, 1, LIMIT).await.unwrap();
    setup.would_deny(&connection, &setup.token(), "revoked").await;
    setup.control_plane.push();
    assert!(goes_on(&mut stream).await);
}
