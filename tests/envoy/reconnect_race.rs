//! A revoked proxy reconnects before the push has arrived everywhere: any stream that it gets meanwhile is cut.
//!
//! The control plane's view counts: soon after a push is in force, no stream is open there with a token that the push
//! revokes. A stream that was let in by mistake would stay until another policy is pushed.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;
use uuid::Uuid;
use zonegate::gate::ADS_SOTW;
use zonegate_testkit::control_plane::Recorder;
use zonegate_testkit::raw_client::{RawConnection, RawStream};
use zonegate_testkit::zone_proxy::{Claimed, Connection};

use crate::harness::{Bench, LIMIT, Setup, grpc_headers};
use crate::held::first_message;
use crate::open_stream::Sotw;

/// A cut takes one second at most, and longer on a busy machine. A stream that is wrongly kept stays much longer.
const CUT: Duration = Duration::from_secs(5);

/// A gateway, a connection to each of its workers, and a list of ids in every push.
struct Race {
    setup: Setup,
    connections: Vec<Connection>,
    list: Vec<String>,
    /// Ids that were revoked so far.
    revoked: Vec<String>,
}

impl Race {
    async fn start(workers: u32, ids: usize) -> Self {
        let mut bench = Bench::text().workers(workers);
        bench.record_bodies = false;
        let setup = bench.start().await;
        let mut connections = Vec::new();
        for _ in 0..workers {
            connections.push(setup.connect().await);
        }
        let by_worker = setup.connections_by_worker().await;
        assert!(by_worker.values().all(|count| *count == 1), "{by_worker:?}");
        let list = (0..ids).map(|_| Uuid::new_v4().to_string()).collect();
        Self { setup, connections, list, revoked: Vec::new() }
    }

    fn client(&self) -> Client {
        Client { gateway: self.setup.gateway.address(), ca: self.setup.ca.clone() }
    }

    /// Also revokes `id`, and waits until every worker refuses new streams for it.
    async fn revoke(&mut self, id: &str) {
        self.revoked.push(id.to_owned());
        let all: Vec<&str> = self.list.iter().chain(&self.revoked).map(String::as_str).collect();
        self.setup.push_with(json!({ "revocations": all.join(",") })).await;
        let witness = self.setup.witness(id);
        for connection in &self.connections {
            self.setup.refused_as(connection, &witness, "revoked").await;
        }
    }

    /// How many streams the control plane still has with `token`, when all should be gone.
    async fn left_open(&self, token: &str) -> usize {
        let recorder = self.setup.control_plane.recorder();
        let open = || recorder.open_with("authorization", token.as_bytes());
        // On a timeout, the streams are counted below.
        let _ = recorder.wait_for(|_| open() == 0, CUT).await;
        open()
    }
}

/// A proxy that does not know of pushes.
#[derive(Clone)]
struct Client {
    gateway: SocketAddr,
    ca: String,
}

impl Client {
    async fn connect(&self) -> Connection {
        Connection::open(self.gateway, &self.ca).await.unwrap()
    }

    /// Reconnects at once, on the existing connection and on new ones, until it was refused a few times. Returns the
    /// streams that it got meanwhile.
    async fn come_back(&self, own: &RawConnection, token: &str) -> (Vec<RawStream>, Vec<Sotw>) {
        let (mut at_once, mut let_in, mut refused) = (Vec::new(), Vec::new(), 0);
        for _ in 0..3 {
            at_once.push(begin(own, token, first_message()).await);
        }
        while refused < 5 {
            match try_one(&self.connect().await, token).await {
                Some(stream) => let_in.push(stream),
                None => refused += 1,
            }
        }
        (at_once, let_in)
    }

    /// Opens streams one after the other until it is told to stop, and closes most of them again. Returns the open
    /// ones.
    async fn go_on(&self, mut stop: watch::Receiver<bool>, token: &str) -> Vec<Sotw> {
        let connection = self.connect().await;
        let mut streams = Vec::new();
        while !*stop.borrow_and_update() {
            streams.extend(try_one(&connection, token).await);
            // The gateway accepts a hundred streams per connection.
            if streams.len() > 60 {
                streams.drain(..30);
            }
        }
        streams
    }
}

/// Begins a stream with the given part of its first message.
async fn begin(connection: &RawConnection, token: &str, message: Vec<u8>) -> RawStream {
    let mut stream = connection.begin("POST", ADS_SOTW, grpc_headers(token)).await.unwrap();
    stream.send(message, false);
    stream
}

/// Opens a stream; `None` if it is refused.
async fn try_one(connection: &Connection, token: &str) -> Option<Sotw> {
    let answer = timeout(LIMIT, connection.sotw(Some(token), Claimed::INGRESS)).await;
    answer.expect("a stream is not answered").ok()
}

/// Rounds in which one client has one stream, is cut, and reconnects at once.
async fn reconnect(workers: u32, ids: usize, rounds: usize) -> Vec<usize> {
    let mut race = Race::start(workers, ids).await;
    let own = race.setup.raw().await;
    let mut left = Vec::new();
    for round in 0..rounds {
        let id = format!("id-{round}");
        let token = race.setup.token_of(&id);
        let stream = begin(&own, &token, first_message()).await;
        let recorder = race.setup.control_plane.recorder();
        let arrived = |seen: &Recorder| seen.open_with("authorization", token.as_bytes()) == 1;
        recorder.wait_for(arrived, LIMIT).await.unwrap();
        let (client, own, its_token) = (race.client(), own.clone(), token.clone());
        let returning = tokio::spawn(async move {
            let answer = stream.answer(LIMIT).await.expect("the stream is not cut");
            assert!(answer.reset.is_some(), "{answer:?}");
            client.come_back(&own, &its_token).await
        });
        race.revoke(&id).await;
        let streams = returning.await.unwrap();
        left.push(race.left_open(&token).await);
        drop(streams);
    }
    println!("{workers} workers, {ids} ids, back at once: left open: {left:?}");
    left
}

/// Pushes while a client begins streams all the time, whose first message is incomplete until the push is in force.
async fn hold(workers: u32, ids: usize, pushes: usize) -> Vec<usize> {
    let mut race = Race::start(workers, ids).await;
    let message = first_message();
    let (start, rest) = message.split_at(message.len() / 2);
    let mut left = Vec::new();
    for push in 0..pushes {
        let id = format!("id-{push}");
        let token = race.setup.token_of(&id);
        let stop = watch::Sender::new(false);
        let mut clients = JoinSet::new();
        for _ in 0..2 * workers {
            let (connection, token) = (race.setup.raw().await, token.clone());
            let (start, rest) = (start.to_vec(), rest.to_vec());
            let mut stop = stop.subscribe();
            clients.spawn(async move {
                let mut streams = VecDeque::new();
                while !*stop.borrow_and_update() {
                    streams.push_back(begin(&connection, &token, start.clone()).await);
                    // The gateway has read this stream's data before the next stream begins.
                    connection.settled().await.unwrap();
                    if streams.len() > 80 {
                        // Completes the oldest stream, a good one.
                        let mut oldest: RawStream = streams.pop_front().unwrap();
                        oldest.send(rest.clone(), true);
                        oldest.answer(LIMIT).await.unwrap();
                    }
                }
                (connection, streams)
            });
        }
        race.revoke(&id).await;
        stop.send_replace(true);
        let mut clients = clients.join_all().await;
        for (connection, streams) in &mut clients {
            streams.iter_mut().for_each(|stream| stream.send(rest.to_vec(), false));
            connection.settled().await.unwrap();
        }
        left.push(race.left_open(&token).await);
        drop(clients);
    }
    println!("{workers} workers, {ids} ids, held meanwhile: let in: {left:?}");
    left
}

/// Pushes while clients open streams all the time with the token that the next push revokes.
async fn storm(workers: u32, ids: usize, pushes: usize) -> Vec<usize> {
    const CLIENTS: usize = 4;
    let mut race = Race::start(workers, ids).await;
    let mut left = Vec::new();
    for push in 0..pushes {
        let id = format!("id-{push}");
        let token = race.setup.token_of(&id);
        let stop = watch::Sender::new(false);
        let mut clients = JoinSet::new();
        for _ in 0..CLIENTS {
            let (client, token, stop) = (race.client(), token.clone(), stop.subscribe());
            clients.spawn(async move { client.go_on(stop, &token).await });
        }
        let recorder = race.setup.control_plane.recorder();
        let begun = |open: usize| open >= 2 * CLIENTS;
        let all = recorder.wait_for(|seen| begun(seen.open_streams()), LIMIT).await;
        all.unwrap();
        race.revoke(&id).await;
        stop.send_replace(true);
        let streams = clients.join_all().await;
        left.push(race.left_open(&token).await);
        drop(streams);
    }
    println!("{workers} workers, {ids} ids, streams all the time: left open: {left:?}");
    left
}

/// Asserts that no stream is left in any round.
fn assert_none(left: &[usize], what: &str) {
    let sum = left.iter().sum::<usize>();
    assert_eq!(sum, 0, "{what}: streams that are open with revoked tokens, by round: {left:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_proxy_that_comes_back_at_once_has_no_stream_soon_after() {
    for workers in [1, 2] {
        for (ids, rounds) in [(0, 10), (1_000, 6), (50_000, 3)] {
            let left = reconnect(workers, ids, rounds).await;
            assert_none(&left, &format!("{workers} workers, {ids} ids"));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_that_begin_around_pushes_are_open_under_no_revoked_token() {
    for (workers, ids, pushes) in [(1, 0, 5), (2, 1_000, 5), (2, 50_000, 5)] {
        let left = storm(workers, ids, pushes).await;
        assert_none(&left, &format!("{workers} workers, {ids} ids"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_that_are_held_around_pushes_are_judged_by_what_was_pushed() {
    for (workers, ids, pushes) in [(1, 0, 5), (2, 1_000, 5), (2, 50_000, 5)] {
        let left = hold(workers, ids, pushes).await;
        assert_none(&left, &format!("{workers} workers, {ids} ids"));
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "minutes long: the same with more rounds and longer lists"]
async fn many_rounds_with_long_lists() {
    for workers in [1, 2] {
        for (ids, rounds) in [(0, 100), (1_000, 50), (100_000, 10)] {
            for left in [
                reconnect(workers, ids, rounds).await,
                storm(workers, ids, rounds).await,
                hold(workers, ids, rounds).await,
            ] {
                assert_none(&left, &format!("{workers} workers, {ids} ids"));
            }
        }
    }
}
