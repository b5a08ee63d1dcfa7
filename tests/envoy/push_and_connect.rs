//! Pushes while new connections come in at a high rate.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use prost::Message;
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{MissedTickBehavior, interval, sleep};
use zonegate::gate::ADS_SOTW;
use zonegate_testkit::gateway::Pushed;
use zonegate_testkit::raw_client::{End, RawConnection, RawRequest, grpc_frame};
use zonegate_testkit::zone_proxy::{Claimed, discovery_request};

use crate::harness::{Bench, Setup, grpc_headers, policy};

/// New connections, and how many per second are intended.
const CONNECTIONS: usize = 2000;
const RATE: u32 = 1000;
/// The most connections at a time. If the machine is slower than the rate, more would pile up, and none would begin and
/// end between two pushes.
const AT_A_TIME: usize = 64;
/// At least this many connections begin and end between two pushes, as long as more are to come.
const BETWEEN: usize = CONNECTIONS / 10 + 1;

/// The first policy lets a token of `id-a` pass and revokes one of `id-b`; the second does the opposite.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum JudgedBy {
    First,
    Second,
}

#[tokio::test(flavor = "multi_thread")]
async fn each_connection_is_judged_by_the_policy_before_or_after() {
    let mut bench = Bench::new();
    bench.record_bodies = false;
    let setup = bench.start().await;
    let (first, second) = (revoking(&setup, "id-b"), revoking(&setup, "id-a"));
    // One connection for each worker.
    let watching = [setup.connect().await, setup.connect().await];
    let by_worker: Vec<u64> = setup.connections_by_worker().await.into_values().collect();
    assert_eq!(by_worker, [1, 1]);
    let in_force = async |id: &str| {
        for connection in &watching {
            setup.refused_as(connection, &setup.witness(id), "revoked").await;
        }
    };
    assert_eq!(setup.gateway.push(&first).await.unwrap(), Pushed::Accepted);
    in_force("id-b").await;
    let progress = Arc::new(Progress::default());
    let clients = spawn_clients(&setup, Arc::clone(&progress));
    let mut pushes = Vec::new();
    let turns = [(&second, "id-a", JudgedBy::Second), (&first, "id-b", JudgedBy::First)];
    for (policy, revokes, is) in turns.iter().cycle() {
        if clients.is_finished() {
            break;
        }
        let begins = Instant::now();
        assert_eq!(setup.gateway.push(policy).await.unwrap(), Pushed::Accepted);
        in_force(revokes).await;
        pushes.push(Push { begins, settled: Instant::now(), is: *is });
        // When this many more have ended than have begun by now, `BETWEEN` of them began after this moment.
        let enough = progress.begun.load(Ordering::SeqCst) + BETWEEN;
        while progress.ended.load(Ordering::SeqCst) < enough && !clients.is_finished() {
            sleep(Duration::from_millis(5)).await;
        }
    }
    let (judged, elapsed) = clients.await.unwrap();
    let known = judged.iter().filter_map(|one| Some((one, policy_for(&pushes, one)?)));
    let known: Vec<_> = known.collect();
    println!(
        "{} connections in {elapsed:?}, {:.0} a second, during {} pushes; {} between two",
        judged.len(),
        judged.len() as f64 / elapsed.as_secs_f64(),
        pushes.len(),
        known.len(),
    );
    assert_eq!(judged.len(), CONNECTIONS);
    for by in [JudgedBy::First, JudgedBy::Second] {
        assert!(known.iter().filter(|(_, is)| *is == by).count() > CONNECTIONS / 10, "{by:?}");
    }
    known.iter().for_each(|(one, is)| assert_eq!(one.by, *is));
    let allowed = setup.stat("allowed").await;
    let watched = watching.len() * (1 + pushes.len());
    assert_eq!(allowed + setup.denied("revoked").await, (CONNECTIONS + watched) as u64);
    assert_eq!(setup.control_plane.recorder().count() as u64, allowed);
}

/// A push that was accepted.
struct Push {
    begins: Instant,
    /// When the push must be in force on every worker.
    settled: Instant,
    is: JudgedBy,
}

/// A connection, and whether it was let in.
struct Judged {
    by: JudgedBy,
    starts: Instant,
    ends: Instant,
}

/// The numbers of connections.
#[derive(Default)]
struct Progress {
    begun: AtomicUsize,
    ended: AtomicUsize,
}

/// The policy that was in force for the whole time of `judged`; `None` if a push came during that time.
fn policy_for(pushes: &[Push], judged: &Judged) -> Option<JudgedBy> {
    let last = pushes.iter().rposition(|push| push.begins < judged.ends)?;
    let last = &pushes[last];
    (last.settled < judged.starts).then_some(last.is)
}

fn revoking(setup: &Setup, id: &str) -> Value {
    let mut policy = policy(&setup.key);
    policy["revocations"] = json!(id);
    // A stream that is cut would not show which policy judged it.
    policy["openStreams"] = json!({ "onRevoked": "keep" });
    policy
}

/// Starts a client each millisecond, with its own connection, at most `AT_A_TIME` at once, until the last one has its
/// answer.
fn spawn_clients(setup: &Setup, progress: Arc<Progress>) -> JoinHandle<(Vec<Judged>, Duration)> {
    let (gateway, ca) = (setup.gateway.address(), setup.ca.clone());
    let tokens = ["id-a", "id-b"].map(|id| setup.token_of(id));
    let turns = Arc::new(Semaphore::new(AT_A_TIME));
    tokio::spawn(async move {
        let start = Instant::now();
        let mut interval = interval(Duration::from_secs(1) / RATE);
        interval.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let mut clients = JoinSet::new();
        for index in 0..CONNECTIONS {
            interval.tick().await;
            let turn = Arc::clone(&turns).acquire_owned().await.unwrap();
            let (token, ca) = (tokens[index % 2].clone(), ca.clone());
            let progress = Arc::clone(&progress);
            clients.spawn(async move {
                progress.begun.fetch_add(1, Ordering::SeqCst);
                let starts = Instant::now();
                let connection = RawConnection::open(gateway, &ca).await.unwrap();
                let as_first = passes(&connection, &token).await == (index % 2 == 0);
                let by = if as_first { JudgedBy::First } else { JudgedBy::Second };
                let judged = Judged { by, starts, ends: Instant::now() };
                progress.ended.fetch_add(1, Ordering::SeqCst);
                drop(turn);
                judged
            });
        }
        let judged = clients.join_all().await;
        (judged, start.elapsed())
    })
}

/// Whether a stream with this token is let through; otherwise its token must be revoked.
async fn passes(connection: &RawConnection, token: &str) -> bool {
    let chunks = vec![grpc_frame(&discovery_request(Claimed::INGRESS).encode_to_vec())];
    let headers = grpc_headers(token);
    let request = RawRequest { method: "POST", path: ADS_SOTW, headers, chunks, end: End::Stream };
    let answer = connection.send(request).await.unwrap();
    if answer.grpc_status() == Some(0) {
        return true;
    }
    let message = answer.grpc_message().unwrap_or_default();
    assert!(message.starts_with("zonegate: revoked: "), "{answer:?}");
    false
}
