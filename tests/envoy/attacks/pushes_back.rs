//! Pushes in quick succession, pushes back to an earlier policy, and pushes that workers refuse.

use std::fs;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::time::sleep;
use zonegate_testkit::gateway::Pushed;
use zonegate_testkit::zone_proxy::Claimed;

use crate::form::{FilterOnly, WasmOnly, faulty_module};
use crate::harness::{Bench, LIMIT};
use crate::open_stream::{Sotw, goes_on, open};

use super::*;

/// A wrong list is taken back while the worker still reads it.
#[tokio::test]
async fn a_long_list_that_is_taken_back_at_once_is_not_in_force() {
    if FilterOnly::Pushes.is_left_out() {
        return;
    }
    for delay in [50, 200, 400, 800, 1_200] {
        let setup = Bench::text().start().await;
        let good = fs::read(setup.gateway.folder().join("ecds/zonegate.json")).unwrap();
        let list = [vec!["id-1".to_owned()], ids(400_000)].concat().join(",");
        let wrong = setup.policy_with(json!({ "revocations": list }));
        let folder = setup.gateway.folder().join("ecds");
        fs::write(folder.join(".good"), good).unwrap();
        let (pushed, ()) = tokio::join!(setup.gateway.push(&wrong), async {
            let place = folder.join("zonegate.json");
            while fs::metadata(&place).unwrap().len() < 1024 * 1024 {
                sleep(Duration::from_millis(1)).await;
            }
            sleep(Duration::from_millis(delay)).await;
            fs::rename(folder.join(".good"), place).unwrap();
        });
        assert_eq!(pushed.unwrap(), Pushed::Accepted);
        let success = "extension_config_discovery.http_filter.zonegate.update_success";
        let start = Instant::now();
        while setup.gateway.stat(success).await.unwrap().unwrap() < 3 {
            // The file was replaced before Envoy read it.
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

/// Workers refuse a policy that the main thread accepted. They do not get it from one another either.
#[tokio::test]
async fn a_push_that_workers_refuse_does_not_come_in_force_by_another_way() {
    if FilterOnly::Pushes.is_left_out() {
        return;
    }
    if WasmOnly::WorkersRead.is_left_out() {
        return;
    }
    let mut bench = Bench::new();
    bench.options.module = faulty_module();
    let setup = bench.start().await;
    let connection = setup.connect().await;
    let mut stream = open(&connection, &setup.token()).await;
    setup.push_with(json!({ "revocations": ["id-1", "x-zonegate-fault"] })).await;
    setup.gateway.wait_stat("zonegate.config.rejected", 3, LIMIT).await.unwrap();
    // Ten times as long as the interval at which a worker checks for changes.
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(1) {
        assert_eq!(reason(&connection, &setup.token()).await, None, "{:?} later", start.elapsed());
    }
    setup.control_plane.push();
    assert!(goes_on(&mut stream).await);
}

/// Files are replaced one after the other, faster than Envoy and its workers follow, each with its own generation, as
/// the tool writes them. At the end the policy of the last file is in force, which was in force before.
#[tokio::test(flavor = "multi_thread")]
async fn of_pushes_in_quick_succession_the_last_one_is_in_force() {
    if FilterOnly::Pushes.is_left_out() {
        return;
    }
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
                // Backwards, so that the last one is at `last`.
                let file = &files[(last + 29 - step) % names.len()];
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

/// The same three files again and again, with equal bytes, while clients open streams all the time on their existing
/// connections. Soon after the last push, no stream is open with a token that it revokes. (Tokens that only another
/// file revokes may be kept out too.)
#[tokio::test(flavor = "multi_thread")]
async fn of_pushes_in_quick_succession_the_last_one_cuts() {
    if FilterOnly::Pushes.is_left_out() {
        return;
    }
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
        let recorder = setup.control_plane.recorder();
        let open = || recorder.open_with("authorization", tokens[last].as_bytes());
        let _ = recorder.wait_for(|_| open() == 0, CUT).await;
        left.push(open());
        drop(streams);
    }
    assert!(left.iter().all(|open| *open == 0), "open with revoked tokens, by round: {left:?}");
}
