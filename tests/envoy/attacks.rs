//! Orders of events that someone who knows the gateway would try: pushes back, modules that come and go,
//! configurations that Envoy refuses for what is not the filter's.
//!
//! What is promised is the same as everywhere: a revoked token has no stream soon after, the newest
//! configuration that Envoy took is the one in force, and a refused one changes nothing.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use prost::Message;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tonic::Code;
use uuid::Uuid;
use zonegate::gate::ADS_SOTW;
use zonegate_testkit::gateway::{Delivery, Pushed};
use zonegate_testkit::raw_client::{End, RawRequest, grpc_frame};
use zonegate_testkit::zone_proxy::{Claimed, Connection, discovery_request};

use crate::harness::{Bench, LIMIT, Setup, from_environment, grpc_headers};
use crate::held::first_message;
use crate::module_swap::write;
use crate::open_stream::{Sotw, goes_on, open};

const OPEN: &str = "wasmcustom.zonegate.streams.open";
/// A VM that has not reported so long no longer counts, and a little more.
const SILENCE: Duration = Duration::from_secs(5 + 1);
/// It is a second at most, on a machine that has nothing else to do.
const CUT: Duration = Duration::from_secs(8);

/// Whether the stream ends within [`CUT`]; messages that came before do not count.
async fn is_cut_soon(stream: &mut Sotw) -> bool {
    let end = async { while let Ok(Some(_)) = stream.next().await {} };
    timeout(CUT, end).await.is_ok()
}

/// The reason for which a stream is refused; `None` where it is let in.
async fn reason(connection: &Connection, token: &str) -> Option<String> {
    let answer = timeout(LIMIT, connection.sotw(Some(token), Claimed::INGRESS)).await;
    let refused = answer.expect("a stream is not answered").err()?;
    Some(refused.message().split(": ").nth(1).unwrap_or(refused.message()).to_owned())
}

/// Waits until a stream with this token, on this connection or on a new one each time, has this fate.
async fn comes_to(setup: &Setup, on: Option<&Connection>, token: &str, fate: Option<&str>) {
    let start = Instant::now();
    loop {
        let seen = match on {
            Some(connection) => reason(connection, token).await,
            None => reason(&setup.connect().await, token).await,
        };
        if seen.as_deref() == fate {
            return;
        }
        assert!(start.elapsed() < CUT, "{seen:?}, not {fate:?}, {:?} later", start.elapsed());
        sleep(Duration::from_millis(20)).await;
    }
}

/// `count` ids that are nobody's.
fn ids(count: usize) -> Vec<String> {
    (0..count).map(|_| Uuid::new_v4().to_string()).collect()
}

/// Makes the listener that Envoy was given another one, and gives it that; whether Envoy took it.
async fn push_listeners(setup: &Setup, edit: impl FnOnce(&mut Value)) -> Pushed {
    let place = setup.gateway.folder().join("ecds/zonegate.json");
    let mut file: Value = serde_json::from_str(&fs::read_to_string(&place).unwrap()).unwrap();
    edit(&mut file);
    let stat = |what: &'static str| async move {
        let name = format!("listener_manager.lds.{what}");
        setup.gateway.stat(&name).await.unwrap().unwrap_or_default()
    };
    let before = (stat("update_success").await, stat("update_rejected").await);
    fs::write(place.with_extension("new"), file.to_string()).unwrap();
    fs::rename(place.with_extension("new"), &place).unwrap();
    let start = Instant::now();
    loop {
        if stat("update_rejected").await > before.1 {
            return Pushed::Rejected;
        }
        if stat("update_success").await > before.0 {
            return Pushed::Accepted;
        }
        assert!(start.elapsed() < LIMIT, "Envoy took no notice of the listener");
        sleep(Duration::from_millis(20)).await;
    }
}

/// In a listener: its HTTP filters, and the plugin's configuration in the first of them.
const FILTERS: &str = "/filter_chains/0/filters/0/typed_config/http_filters";
const PLUGIN: &str = "/0/typed_config/config";

fn plugin(listener: &mut Value) -> &mut Value {
    listener.pointer_mut(&format!("{FILTERS}{PLUGIN}")).unwrap()
}

/// A gateway that is configured by way of its listener.
async fn by_listener(workers: u32, module: Option<PathBuf>) -> Setup {
    let mut bench = Bench::new().workers(workers);
    bench.options.delivery = Delivery::Lds;
    if let Some(module) = module {
        bench.options.module = module;
    }
    bench.start().await
}

/// Looks at a gauge again and again for `time`: every value that it had.
async fn values(setup: &Setup, stat: &str, time: Duration) -> Vec<u64> {
    let (start, mut seen) = (Instant::now(), Vec::new());
    while start.elapsed() < time {
        seen.push(setup.gateway.stat(stat).await.unwrap().unwrap_or_default());
        sleep(Duration::from_millis(10)).await;
    }
    seen.sort_unstable();
    seen.dedup();
    seen
}

/// Two workers, a stream in each, then another module and a stream in one of its VMs. The Envoy has run
/// for so long before.
async fn swapped_after(time: Duration) -> (Setup, Vec<Sotw>, Sotw) {
    let mut bench = Bench::text().workers(2);
    let folder = bench.scratch().to_owned();
    bench.options.module = write(&folder, "first");
    let mut setup = bench.start().await;
    let mut old = Vec::new();
    for _ in 0..2 {
        old.push(open(&setup.connect().await, &setup.token()).await);
    }
    setup.gateway.wait_stat(OPEN, 2, LIMIT).await.unwrap();
    sleep(time).await;
    setup.gateway.use_module(&write(&folder, "second")).unwrap();
    setup.push_with(json!({ "revocations": ["other"] })).await;
    let connection = setup.connect().await;
    setup.refused_as(&connection, &setup.witness("other"), "revoked").await;
    let new = open(&connection, &setup.token()).await;
    (setup, old, new)
}

/// The VMs of both modules report what they have; all of them are heard.
#[tokio::test]
async fn the_gauge_of_open_streams_stands_still_after_a_module_was_replaced() {
    let (setup, _old, _new) = swapped_after(SILENCE).await;
    setup.gateway.wait_stat(OPEN, 3, LIMIT).await.unwrap();
    let seen = values(&setup, OPEN, Duration::from_secs(3)).await;
    assert_eq!(seen, [3], "three streams are open all the time");
}

/// The streams of the old module end, and its VMs with them.
#[tokio::test]
async fn the_gauge_of_open_streams_is_right_once_the_old_module_is_gone() {
    let (setup, old, _new) = swapped_after(4 * SILENCE).await;
    setup.gateway.wait_stat(OPEN, 3, LIMIT).await.unwrap();
    drop(old);
    setup.gateway.wait_stat(OPEN, 1, 2 * SILENCE).await.unwrap();
    let seen = values(&setup, OPEN, Duration::from_secs(1)).await;
    assert_eq!(seen, [1], "one stream is open all the time");
}

/// A VM that is started anew in an Envoy that has run for a while.
#[tokio::test]
async fn the_gauge_of_open_streams_stands_still_after_a_vm_was_started_anew() {
    let mut bench = Bench::new();
    bench.options.module = from_environment("ZONEGATE_FAULTY_WASM");
    let setup = bench.workers(1).start().await;
    sleep(SILENCE).await;
    trap(&setup, &setup.raw().await).await;
    let connection = setup.connect().await;
    comes_to(&setup, Some(&connection), "garbage", Some("malformed_token")).await;
    let _stream = open(&connection, &setup.token()).await;
    setup.gateway.wait_stat(OPEN, 1, LIMIT).await.unwrap();
    let seen = values(&setup, OPEN, Duration::from_secs(3)).await;
    assert_eq!(seen, [1], "one stream is open all the time");
}

async fn trap(setup: &Setup, connection: &zonegate_testkit::raw_client::RawConnection) {
    let mut headers = grpc_headers(&setup.token());
    headers.push(("x-zonegate-fault", b"trap".to_vec()));
    let chunks = vec![grpc_frame(&discovery_request(Claimed::INGRESS).encode_to_vec())];
    let request = RawRequest { method: "POST", path: ADS_SOTW, headers, chunks, end: End::Stream };
    let answer = connection.send(request).await.unwrap();
    assert_eq!(answer.grpc_status(), Some(Code::Unavailable as u32), "{answer:?}");
}

/// Two listeners in one Envoy, each with a gateway of its own name: the gauges are the sums of both.
#[tokio::test]
async fn the_gauges_of_two_gateways_are_their_sums() {
    let setup = by_listener(1, None).await;
    let pushed = push_listeners(&setup, |file| {
        let mut other = file["resources"][0].clone();
        other["name"] = json!("other");
        plugin(&mut other)["name"] = json!("other");
        file["resources"].as_array_mut().unwrap().push(other);
    });
    assert_eq!(pushed.await, Pushed::Accepted);
    setup.gateway.wait_stat("listener_manager.total_listeners_active", 2, LIMIT).await.unwrap();
    let connection = setup.connect().await;
    let _streams = [
        open(&connection, &setup.token()).await,
        open(&connection, &setup.token()).await,
        open(&connection, &setup.token()).await,
    ];
    setup.gateway.wait_stat(OPEN, 3, LIMIT).await.unwrap();
    let seen = values(&setup, OPEN, Duration::from_secs(2)).await;
    assert_eq!(seen, [3], "three streams are open all the time");
}

/// A listener with a good policy, which Envoy refuses for another filter: nothing of it counts for what
/// begins later. (A stream that the policy revokes may be cut before Envoy refuses the listener.)
async fn refused_listener(change: Value, goes_on_after: bool) {
    let setup = by_listener(1, None).await;
    let connection = setup.connect().await;
    let mut stream = open(&connection, &setup.token()).await;
    let bad = setup.policy_with(change);
    let pushed = push_listeners(&setup, |file| {
        let listener = &mut file["resources"][0];
        plugin(listener)["configuration"]["value"] = json!(bad.to_string());
        let rules = "/1/typed_config/rules/policies/judged/principals/0/filter_state";
        let regex = format!("{FILTERS}{rules}/string_match/safe_regex/regex");
        *listener.pointer_mut(&regex).unwrap() = json!("(");
    });
    assert_eq!(pushed.await, Pushed::Rejected);
    // Ten times as long as it takes a worker to look for news.
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(1) {
        let new = setup.connect().await;
        for connection in [&connection, &new] {
            assert_eq!(reason(connection, "garbage").await.as_deref(), Some("malformed_token"));
            assert_eq!(reason(connection, &setup.token()).await, None);
        }
    }
    setup.control_plane.push();
    assert!(!goes_on_after || goes_on(&mut stream).await, "a refused push has cut a stream");
}

#[tokio::test]
async fn a_listener_that_envoy_refuses_keeps_nobody_out() {
    refused_listener(json!({ "revocations": ["id-1"] }), false).await;
}

#[tokio::test]
async fn a_listener_that_envoy_refuses_lets_nothing_in() {
    refused_listener(json!({ "mode": "shadow" }), true).await;
}

/// An upgrade with another policy, and the way back to module and policy as they were.
struct RolledBack {
    setup: Setup,
    /// Began under the policy in between, with the token that the first one revokes.
    stream: Sotw,
}

/// The first policy revokes `id-a`, the one in between `id-b`.
async fn rolled_back(keep_open: bool) -> RolledBack {
    let mut bench = Bench::text().set("revocations", json!(["id-a"]));
    let folder = bench.scratch().to_owned();
    let (first, second) = (write(&folder, "first"), write(&folder, "second"));
    bench.options.module = first.clone();
    let mut setup = bench.start().await;
    let connection = setup.connect().await;
    let kept = open(&connection, &setup.token()).await;
    setup.gateway.use_module(&second).unwrap();
    setup.push_with(json!({ "revocations": ["id-b"] })).await;
    setup.refused_as(&connection, &setup.witness("id-b"), "revoked").await;
    let stream = open(&connection, &setup.token_of("id-a")).await;
    if keep_open {
        // Its end would be the end of the first module's VM.
        std::mem::forget(kept);
    } else {
        drop(kept);
        setup.gateway.wait_stat(OPEN, 1, 2 * SILENCE).await.unwrap();
    }
    setup.gateway.use_module(&first).unwrap();
    setup.push_with(json!({ "revocations": ["id-a"] })).await;
    setup.refused_as(&connection, &setup.witness("id-a"), "revoked").await;
    RolledBack { setup, stream }
}

#[tokio::test]
async fn an_upgrade_that_is_taken_back_cuts_what_the_policy_of_before_revokes() {
    for keep_open in [false, true] {
        let RolledBack { setup, mut stream } = rolled_back(keep_open).await;
        assert!(is_cut_soon(&mut stream).await, "{keep_open}: {}", setup.gateway.log_tail());
    }
}

#[tokio::test]
async fn an_upgrade_that_is_taken_back_takes_its_policy_back() {
    for keep_open in [false, true] {
        println!("{keep_open}");
        let RolledBack { setup, stream: _ } = rolled_back(keep_open).await;
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(1) {
            let reason = reason(&setup.connect().await, &setup.token_of("id-b")).await;
            assert_eq!(reason, None, "{:?} after a push that does not revoke it", start.elapsed());
        }
    }
}

/// An upgrade with a list that is too long to be left for the VMs of the module before: it is waited for, and
/// then all their streams are cut.
#[tokio::test]
async fn an_upgrade_with_a_long_list_cuts_all_streams_of_the_module_before() {
    let mut bench = Bench::text();
    let folder = bench.scratch().to_owned();
    bench.options.module = write(&folder, "first");
    let mut setup = bench.start().await;
    let connection = setup.connect().await;
    let mut revoked = open(&connection, &setup.token()).await;
    let mut kept = open(&connection, &setup.token_of("id-2")).await;
    setup.gateway.use_module(&write(&folder, "second")).unwrap();
    let list = [vec!["id-1".to_owned()], ids(40_000)].concat().join(",");
    setup.push_with(json!({ "revocations": list })).await;
    setup.refused_as(&connection, &setup.witness("id-1"), "revoked").await;
    let cut = "wasmcustom.zonegate.streams.cut.module_replaced";
    setup.gateway.wait_stat(cut, 2, 4 * LIMIT).await.unwrap();
    assert!(is_cut_soon(&mut revoked).await && is_cut_soon(&mut kept).await);
}

/// Connections that stay with the old listener, and so with the old module, for as long as they live.
#[tokio::test]
async fn an_old_connection_gets_nothing_in_after_an_upgrade_with_a_long_list() {
    let folder = tempfile::TempDir::new().unwrap();
    let mut setup = by_listener(1, Some(write(folder.path(), "first"))).await;
    let old = setup.connect().await;
    let _kept = open(&old, &setup.token_of("id-2")).await;
    setup.gateway.use_module(&write(folder.path(), "second")).unwrap();
    let list = [vec!["id-1".to_owned()], ids(40_000)].concat().join(",");
    setup.push_with(json!({ "revocations": list })).await;
    comes_to(&setup, None, &setup.witness("id-1"), Some("revoked")).await;
    // What is unknown to the old module counts as such after half a minute.
    let mut let_in = Vec::new();
    for wait in [1, 34] {
        sleep(Duration::from_secs(wait)).await;
        if reason(&old, &setup.token()).await.is_none() {
            let_in.push(wait);
        }
    }
    assert!(let_in.is_empty(), "a revoked token is let in {let_in:?} s after the push");
}

/// By listeners: back to the policy of before, with another generation, while nobody connects anew.
#[tokio::test]
async fn a_listener_that_comes_back_cuts_what_it_revokes_without_a_new_connection() {
    let setup = by_listener(1, None).await;
    setup.push_with(json!({ "revocations": ["id-1"] })).await;
    comes_to(&setup, None, &setup.witness("id-1"), Some("revoked")).await;
    let first = setup.connect().await;
    let mut kept = open(&first, &setup.token_of("id-2")).await;
    setup.push_with(json!({ "revocations": ["other"] })).await;
    comes_to(&setup, None, &setup.witness("other"), Some("revoked")).await;
    let second = setup.connect().await;
    let mut revoked = open(&second, &setup.token()).await;
    setup.push_with(json!({ "revocations": ["id-1"], "generation": "3" })).await;
    assert!(is_cut_soon(&mut revoked).await, "{}", setup.gateway.log_tail());
    setup.control_plane.push();
    assert!(goes_on(&mut kept).await);
}

/// By listeners: back to the policy of before, with another generation, before anybody has connected under the one
/// in between.
#[tokio::test]
async fn a_listener_that_comes_back_at_once_is_in_force() {
    let setup = by_listener(1, None).await;
    let old = setup.connect().await;
    let _kept = open(&old, &setup.token_of("id-2")).await;
    setup.push_with(json!({ "revocations": ["id-1"] })).await;
    setup.push_with(json!({ "generation": "3" })).await;
    comes_to(&setup, None, &setup.token(), None).await;
}

/// A wrong list that is taken back while the worker still reads it.
#[tokio::test]
async fn a_long_list_that_is_taken_back_at_once_is_not_in_force() {
    for delay in [50, 200, 400, 800, 1_200] {
        let setup = Bench::text().start().await;
        let good = fs::read(setup.gateway.folder().join("ecds/zonegate.json")).unwrap();
        let list = [vec!["id-1".to_owned()], ids(400_000)].concat().join(",");
        let wrong = setup.policy_with(json!({ "revocations": list }));
        let folder = setup.gateway.folder().join("ecds");
        fs::write(folder.join(".good"), good).unwrap();
        let (pushed, ()) = tokio::join!(setup.gateway.push(&wrong), async {
            sleep(Duration::from_millis(delay)).await;
            fs::rename(folder.join(".good"), folder.join("zonegate.json")).unwrap();
        });
        assert_eq!(pushed.unwrap(), Pushed::Accepted);
        let success = "extension_config_discovery.http_filter.zonegate.update_success";
        let start = Instant::now();
        while setup.gateway.stat(success).await.unwrap().unwrap() < 3 {
            // It was replaced before Envoy looked.
            if start.elapsed() > Duration::from_secs(5) {
                break;
            }
            sleep(Duration::from_millis(20)).await;
        }
        println!("{delay} ms: {:?} updates", setup.gateway.stat(success).await.unwrap());
        println!("of which the filter was told {}", setup.stat("config.accepted").await);
        let connection = setup.connect().await;
        comes_to(&setup, Some(&connection), &setup.token(), None).await;
    }
}

/// A VM that fails while its worker has connections of an earlier listener, by which it is started anew.
#[tokio::test]
async fn a_vm_that_is_started_anew_by_an_old_connection_knows_the_newest_policy() {
    let setup = by_listener(1, Some(from_environment("ZONEGATE_FAULTY_WASM"))).await;
    let old = setup.connect().await;
    let raw = setup.raw().await;
    drop(open(&old, &setup.token_of("id-2")).await);
    setup.push_with(json!({ "revocations": ["id-1"] })).await;
    comes_to(&setup, None, &setup.witness("id-1"), Some("revoked")).await;
    assert_eq!(reason(&old, &setup.token()).await.as_deref(), Some("revoked"));
    trap(&setup, &raw).await;
    let start = Instant::now();
    loop {
        match old.sotw(Some(&setup.token()), Claimed::INGRESS).await {
            Ok(_) => panic!("a revoked token is let in {:?} after the failure", start.elapsed()),
            Err(refused) if refused.message().starts_with("zonegate: revoked: ") => break,
            Err(refused) => assert_eq!(refused.code(), Code::Unavailable, "{refused:?}"),
        }
        assert!(start.elapsed() < LIMIT, "it was not started anew");
    }
}

/// The same, after more pushes than the VMs remember: what it is started with is an old policy, not a
/// push.
#[tokio::test]
async fn a_vm_that_is_started_anew_by_a_very_old_connection_brings_no_old_policy_back() {
    let setup = by_listener(2, Some(from_environment("ZONEGATE_FAULTY_WASM"))).await;
    let (raw, other) = (setup.raw().await, setup.connect().await);
    let by_worker = setup.connections_by_worker().await;
    assert!(by_worker.values().all(|count| *count == 1), "{by_worker:?}");
    let _stream = open(&other, &setup.token_of("id-2")).await;
    for push in 0..40 {
        let list = json!({ "revocations": ["id-1", format!("other-{push}")] });
        setup.push_with(list).await;
    }
    comes_to(&setup, Some(&other), &setup.token(), Some("revoked")).await;
    trap(&setup, &raw).await;
    // What starts it anew is a stream on the connection of the first listener.
    let start = Instant::now();
    loop {
        let (headers, end) = (grpc_headers("garbage"), End::Stream);
        let request = RawRequest { method: "POST", path: ADS_SOTW, headers, chunks: vec![], end };
        let answer = raw.send(request).await.unwrap();
        if answer.grpc_status() == Some(Code::Unauthenticated as u32) {
            break;
        }
        assert!(start.elapsed() < LIMIT, "it was not started anew: {answer:?}");
    }
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(2) {
        let reason = reason(&other, &setup.token()).await;
        // Envoy may close a connection of a listener that is long gone.
        assert!(reason.is_some(), "a revoked token is let in {:?} later", start.elapsed());
    }
}

/// A connection that was accepted by the old listener says nothing until the new one is in force. It is
/// numbered when it does, and so is the youngest.
#[tokio::test]
async fn a_connection_that_waited_for_its_first_byte_brings_no_old_policy_back() {
    let setup = by_listener(1, None).await;
    let gateway = setup.gateway.address();
    // A relay that holds back what the client says first.
    let relay = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = relay.local_addr().unwrap();
    let mut to_gateway = TcpStream::connect(gateway).await.unwrap();
    setup
        .gateway
        .wait_stat("listener.127.0.0.1_0.downstream_pre_cx_active", 1, LIMIT)
        .await
        .unwrap();
    let policy = setup.policy_with(json!({ "revocations": ["id-1"] }));
    let pushed = push_listeners(&setup, |file| {
        let listener = &mut file["resources"][0];
        plugin(listener)["configuration"]["value"] = json!(policy.to_string());
        // Not only of the filter chain: the whole listener is replaced.
        listener["per_connection_buffer_limit_bytes"] = json!(1_310_721);
    });
    assert_eq!(pushed.await, Pushed::Accepted);
    comes_to(&setup, None, &setup.witness("id-1"), Some("revoked")).await;
    let copy = tokio::spawn(async move {
        let (mut client, _) = relay.accept().await.unwrap();
        let _ = tokio::io::copy_bidirectional(&mut client, &mut to_gateway).await;
    });
    let connection = Connection::open(address, &setup.ca).await;
    let Ok(connection) = connection else {
        println!("Envoy has closed the connection that waited");
        return;
    };
    let seen = reason(&connection, &setup.token()).await;
    assert_ne!(seen, None, "a revoked token is let in: {}", setup.gateway.log_tail());
    copy.abort();
}

/// What workers refuse, though the main thread took it, they do not take from one another either.
#[tokio::test]
async fn a_push_that_workers_refuse_does_not_come_in_force_by_another_way() {
    let mut bench = Bench::new();
    bench.options.module = from_environment("ZONEGATE_FAULTY_WASM");
    let setup = bench.start().await;
    let connection = setup.connect().await;
    let mut stream = open(&connection, &setup.token()).await;
    setup.push_with(json!({ "revocations": ["id-1", "x-zonegate-fault"] })).await;
    setup.gateway.wait_stat("wasmcustom.zonegate.config.rejected", 3, LIMIT).await.unwrap();
    // Ten times as long as it takes a worker to look for news.
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(1) {
        assert_eq!(reason(&connection, &setup.token()).await, None, "{:?} later", start.elapsed());
    }
    setup.control_plane.push();
    assert!(goes_on(&mut stream).await);
}

/// What comes from outside is one value of one line, wherever it is shown.
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
    assert!(access.iter().all(|line| line["jti"] == odd && line["kid"] == kid), "{log}");
    let stats = setup.gateway.admin("/stats/prometheus?filter=zonegate").await.unwrap();
    let kids: Vec<&str> = stats.lines().filter(|line| line.contains("{kid=")).collect();
    assert!(kids.len() == 1 && kids[0].ends_with(" 1"), "{kids:?}");
}

/// Files that are put in place one after the other, faster than Envoy and its workers follow: what is in
/// force in the end is the last of them, which was there before, to the byte.
#[tokio::test(flavor = "multi_thread")]
async fn of_pushes_in_quick_succession_the_last_one_is_in_force() {
    for workers in [1, 2, 4] {
        let setup = Bench::text().workers(workers).start().await;
        let mut connections = Vec::new();
        for _ in 0..workers {
            connections.push(setup.connect().await);
        }
        let by_worker = setup.connections_by_worker().await;
        assert!(by_worker.values().all(|count| *count == 1), "{by_worker:?}");
        let names = ["id-a", "id-b", "id-c"];
        let mut files = Vec::new();
        let folder = setup.gateway.folder().join("ecds");
        let _kept: Vec<Sotw> = {
            let mut kept = Vec::new();
            for name in names {
                setup.push_with(json!({ "revocations": [name], "generation": "NONE" })).await;
                files.push(fs::read_to_string(folder.join("zonegate.json")).unwrap());
                for connection in &connections {
                    setup.refused_as(connection, &setup.witness(name), "revoked").await;
                    kept.push(open(connection, &setup.token()).await);
                }
            }
            kept
        };
        for round in 0..8 {
            let last = round % names.len();
            for step in 0..30 {
                // Backwards, and so at `last` in the end.
                let file = &files[(last + 29 - step) % names.len()];
                // No two pushes are the same bytes, as the tool writes them.
                let file = file.replace("NONE", &format!("{round}-{step}"));
                fs::write(folder.join(".next"), file).unwrap();
                fs::rename(folder.join(".next"), folder.join("zonegate.json")).unwrap();
                sleep(Duration::from_millis(1 + round as u64)).await;
            }
            for connection in &connections {
                for (index, name) in names.iter().enumerate() {
                    let fate = (index == last).then_some("revoked");
                    comes_to(&setup, Some(connection), &setup.token_of(name), fate).await;
                }
            }
            println!("{workers} workers, round {round}");
        }
    }
}

/// The same with clients that open streams all the time, on the connections that they have: soon after the
/// last push none is open with a token that it revokes.
#[tokio::test(flavor = "multi_thread")]
async fn of_pushes_in_quick_succession_the_last_one_cuts() {
    let mut bench = Bench::text().workers(2);
    bench.record_bodies = false;
    let setup = bench.start().await;
    let names = ["id-a", "id-b", "id-c"];
    let connections = [setup.connect().await, setup.connect().await];
    let folder = setup.gateway.folder().join("ecds");
    let (mut files, mut kept) = (Vec::new(), Vec::new());
    for name in names {
        setup.push_with(json!({ "revocations": [name] })).await;
        files.push(fs::read(folder.join("zonegate.json")).unwrap());
        for connection in &connections {
            setup.refused_as(connection, &setup.witness(name), "revoked").await;
            kept.push(open(connection, &setup.token()).await);
        }
    }
    let tokens: Vec<String> = names.iter().map(|name| setup.token_of(name)).collect();
    let mut left = Vec::new();
    for round in 0..20 {
        let last = round % names.len();
        let stop = tokio::sync::watch::Sender::new(false);
        let mut clients = tokio::task::JoinSet::new();
        for connection in &connections {
            let (connection, stop) = (connection.clone(), stop.subscribe());
            let tokens = tokens.clone();
            clients.spawn(async move {
                let mut streams = std::collections::VecDeque::new();
                for token in tokens.iter().cycle() {
                    if *stop.borrow() {
                        break;
                    }
                    streams.extend(connection.sotw(Some(token), Claimed::INGRESS).await.ok());
                    if streams.len() > 30 {
                        streams.pop_front();
                    }
                }
                streams
            });
        }
        for step in 0..30 {
            let file = &files[(last + 29 - step) % names.len()];
            fs::write(folder.join(".next"), file).unwrap();
            fs::rename(folder.join(".next"), folder.join("zonegate.json")).unwrap();
            sleep(Duration::from_millis(1 + round as u64 % 10)).await;
        }
        sleep(Duration::from_millis(300)).await;
        stop.send_replace(true);
        let streams = clients.join_all().await;
        let sightings = setup.control_plane.sightings();
        let open = || sightings.open_with("authorization", tokens[last].as_bytes());
        let _ = sightings.wait_for(|_| open() == 0, CUT).await;
        left.push(open());
        drop(streams);
    }
    assert!(left.iter().all(|open| *open == 0), "open with revoked tokens, by round: {left:?}");
}

/// Streams that are held by the VM of the module before are judged by what was pushed with the new one.
#[tokio::test]
async fn a_stream_that_the_old_module_holds_is_judged_by_the_newest_policy() {
    let mut bench = Bench::text();
    let folder = bench.scratch().to_owned();
    bench.options.module = write(&folder, "first");
    let mut setup = bench.start().await;
    let connection = setup.connect().await;
    let mut seen = open(&connection, &setup.token()).await;
    let raw = setup.raw().await;
    let mut held = setup.begin(&raw, &setup.token()).await;
    let message = first_message();
    held.send(message[..9].to_vec(), false);
    raw.settled().await.unwrap();
    setup.gateway.use_module(&write(&folder, "second")).unwrap();
    setup.push_with(json!({ "revocations": ["id-1"] })).await;
    // The old module knows.
    assert!(is_cut_soon(&mut seen).await);
    held.send(message[9..].to_vec(), true);
    let answer = held.answer(LIMIT).await.unwrap();
    let message = answer.grpc_message().unwrap();
    assert!(message.starts_with("zonegate: revoked: "), "{message}");
}

/// Thousands of streams that begin, wait and are reset by their clients, while good and bad policies come
/// and go: nothing is left of them.
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
                    // None of it, half of it, all of it.
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
        let stat = format!("wasmcustom.zonegate.streams.{gauge}");
        setup.gateway.wait_stat(&stat, 0, LIMIT).await.unwrap();
    }
    let sightings = setup.control_plane.sightings();
    sightings.wait_for(|seen| seen.open_streams() == 0, LIMIT).await.unwrap();
    let failed = setup.gateway.admin("/stats?filter=vm_reload").await.unwrap();
    assert!(failed.lines().all(|line| line.ends_with(": 0")), "{failed}");
    assert!(!setup.gateway.log().unwrap().contains("panicked"));
}

/// A push that revokes at the moment in which a VM fails: the one that is started anew knows it.
#[tokio::test]
async fn a_vm_that_fails_during_a_push_lets_nothing_in_that_it_revokes() {
    let mut bench = Bench::text();
    bench.options.module = from_environment("ZONEGATE_FAULTY_WASM");
    let setup = bench.start().await;
    let connection = setup.connect().await;
    for round in 0..4 {
        let id = format!("id-{round}");
        let (raw, token) = (setup.raw().await, setup.token_of(&id));
        assert_eq!(reason(&connection, &token).await, None);
        let push = setup.push_with(json!({ "revocations": [id] }));
        tokio::join!(push, trap(&setup, &raw));
        let start = Instant::now();
        // Envoy has taken it; the VM is there a second later.
        loop {
            match connection.sotw(Some(&token), Claimed::INGRESS).await {
                Ok(_) => panic!("round {round}: let in {:?} after the push", start.elapsed()),
                Err(refused) if refused.message().starts_with("zonegate: revoked: ") => break,
                Err(refused) => assert_eq!(refused.code(), Code::Unavailable, "{refused:?}"),
            }
            assert!(start.elapsed() < LIMIT, "it was not started anew");
        }
        let next = setup.token_of(&format!("id-{}", round + 1));
        comes_to(&setup, Some(&connection), &next, None).await;
    }
}

/// By HTTP/1.1, a body in pieces of one byte, with and without trailers.
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

/// Bootstrap requests of strangers that have all their headers, which are as large as they may be, and no
/// body: what is held of them is bounded as bodies are, and good clients are let in.
#[tokio::test(flavor = "multi_thread")]
async fn headers_of_strangers_do_not_keep_good_clients_out() {
    const CONNECTIONS: usize = 40;
    const STREAMS: usize = 90;
    const SIZE: usize = 50 * 1024;
    /// The bound on the bodies, and whatever else Envoy needs meanwhile: as for a flood of bodies.
    const HELD_AT_MOST: u64 = 64 * 1024 * 1024;
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
    assert!(most - before < HELD_AT_MOST, "{} MiB are held", (most - before) >> 20);
    drop((streams, connections));
}
