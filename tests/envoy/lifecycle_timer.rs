//! Time limits work after every kind of push: silent streams are answered, the gauge is right, and tokens expire.
//!
//! One worker, and one or two streams at each step, so that a push cuts the last stream that uses the previous policy.

use std::time::Duration;

use serde_json::{Value, json};
use zonegate_testkit::gateway::Pushed;
use zonegate_testkit::zone_proxy::Connection;

use crate::harness::{Bench, LIMIT, Setup, claims_with, now};
use crate::open_stream::{is_cut, open};

const OPEN: &str = "zonegate.streams.open";
/// A silent stream may be held for one second. On a busy machine its answer takes longer.
const ANSWERED: Duration = Duration::from_secs(10);

async fn start() -> (Setup, Connection) {
    let bench = Bench::text().set("firstMessageSeconds", json!(1));
    let setup = bench.set("openStreams", switches()).start().await;
    let connection = setup.connect().await;
    (setup, connection)
}

fn switches() -> Value {
    json!({ "onExpired": "cut" })
}

impl Setup {
    /// Pushes a policy that revokes these ids.
    async fn revoke(&self, ids: &[&str]) {
        let fields = json!({ "revocations": ids, "openStreams": switches() });
        let policy = self.policy_with(fields);
        let policy = with(policy, "firstMessageSeconds", json!(1));
        assert_eq!(self.gateway.push(&policy).await.unwrap(), Pushed::Accepted);
    }

    /// Opens a stream with `id`. The next push revokes the id, and the stream is cut.
    async fn cut_by(&self, connection: &Connection, id: &str, revoked: &[&str]) {
        let mut stream = open(connection, &self.token_of(id)).await;
        self.revoke(revoked).await;
        assert!(is_cut(&mut stream).await, "{id} is not cut");
    }

    /// Asserts what must hold after any push.
    async fn assert_time_goes_on(&self, connection: &Connection) {
        let raw = self.raw().await;
        let silent = self.begin(&raw, &self.token_of("silent")).await;
        let answer = silent.answer(ANSWERED).await.expect("a silent stream is not answered");
        let message = answer.grpc_message().unwrap();
        assert!(message.starts_with("zonegate: no_first_message: "), "{message}");
        let streams = [
            open(connection, &self.token_of("good-1")).await,
            open(connection, &self.token_of("good-2")).await,
        ];
        self.gateway.wait_stat(OPEN, 2, LIMIT).await.unwrap();
        drop(streams);
        self.gateway.wait_stat(OPEN, 0, LIMIT).await.unwrap();
    }
}

fn with(mut policy: Value, field: &str, value: Value) -> Value {
    policy[field] = value;
    policy
}

#[tokio::test]
async fn after_a_push_that_cuts_the_last_stream() {
    let (setup, connection) = start().await;
    setup.cut_by(&connection, "id-1", &["id-1"]).await;
    setup.assert_time_goes_on(&connection).await;
}

#[tokio::test]
async fn after_several_pushes_that_each_cut_the_last_stream() {
    let (setup, connection) = start().await;
    setup.cut_by(&connection, "id-1", &["id-1"]).await;
    setup.cut_by(&connection, "id-2", &["id-1", "id-2"]).await;
    setup.cut_by(&connection, "id-3", &["id-1", "id-2", "id-3"]).await;
    setup.assert_time_goes_on(&connection).await;
}

#[tokio::test]
async fn after_a_push_that_cuts_and_one_that_is_refused() {
    let (setup, connection) = start().await;
    setup.cut_by(&connection, "id-1", &["id-1"]).await;
    let bad = setup.policy_with(json!({ "zone": "" }));
    assert_eq!(setup.gateway.push(&bad).await.unwrap(), Pushed::Rejected);
    setup.assert_time_goes_on(&connection).await;
}

/// Pushes two policies in turn, each of which cuts the streams that the other let in.
#[tokio::test]
async fn after_pushes_back_that_cut() {
    let (setup, connection) = start().await;
    setup.revoke(&["id-1"]).await;
    setup.refused_as(&connection, &setup.witness("id-1"), "revoked").await;
    for _ in 0..2 {
        setup.cut_by(&connection, "id-2", &["id-2"]).await;
        setup.cut_by(&connection, "id-1", &["id-1"]).await;
    }
    setup.assert_time_goes_on(&connection).await;
}

#[tokio::test]
async fn a_token_expires_after_a_push_that_cuts_the_last_stream() {
    let (setup, connection) = start().await;
    setup.cut_by(&connection, "id-1", &["id-1"]).await;
    let brief = with(claims_with("exp", json!(now() + 4)), "jti", json!("brief"));
    let brief = setup.sign(brief);
    let mut stream = open(&connection, &brief).await;
    assert!(is_cut(&mut stream).await, "a token that has expired is not cut");
    assert_eq!(setup.stat("streams.cut.expired").await, 1);
}
