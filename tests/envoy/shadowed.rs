//! Streams that pass in shadow mode only, and what happens to them after the switch to mode enforce.

use std::time::Instant;

use serde_json::{Value, json};
use zonegate_testkit::gateway::Pushed;
use zonegate_testkit::zone_proxy::{Claimed, Connection};

use crate::harness::{Bench, LIMIT, Setup, claims_with};
use crate::open_stream::{Sotw, goes_on, is_cut, open};

const OPEN: &str = "zonegate.streams.open";
const SHADOWED: &str = "zonegate.streams.shadowed";

/// A gateway in shadow mode, with one good stream and four bad ones.
struct Shadow {
    setup: Setup,
    connection: Connection,
    good: Sotw,
    bad: Vec<Sotw>,
}

/// Bad tokens, refused on the headers or after the first message.
fn bad(setup: &Setup) -> Vec<(Option<String>, Claimed<'static>)> {
    let egress = setup.sign(claims_with("Scope", json!(["egress"])));
    vec![
        (None, Claimed::INGRESS),
        (Some("garbage".to_owned()), Claimed::INGRESS),
        (Some(egress), Claimed::INGRESS),
        (Some(setup.token()), Claimed::DATAPLANE),
    ]
}

async fn start() -> Shadow {
    let setup = Bench::text().set("mode", json!("shadow")).start().await;
    let connection = setup.connect().await;
    let good = open(&connection, &setup.token_of("id-good")).await;
    let mut streams = Vec::new();
    for (token, claimed) in bad(&setup) {
        let mut stream = connection.sotw(token.as_deref(), claimed).await.unwrap();
        stream.next().await.unwrap().unwrap();
        streams.push(stream);
    }
    Shadow { setup, connection, good, bad: streams }
}

impl Shadow {
    /// Pushes these fields, and waits until mode enforce is in force.
    async fn enforce(&self, fields: Value) {
        let policy = self.setup.policy_with(fields);
        let pushed = self.setup.gateway.push(&policy).await.unwrap();
        assert_eq!(pushed, Pushed::Accepted, "{}", self.setup.gateway.log_tail());
        let start = Instant::now();
        // A stream that still passes is dropped.
        while self.connection.sotw(Some("garbage"), Claimed::INGRESS).await.is_ok() {
            assert!(start.elapsed() < LIMIT, "refusals are not carried out");
        }
    }

    async fn counted(&self, open: u64, shadowed: u64) {
        self.setup.gateway.wait_stat(OPEN, open, LIMIT).await.unwrap();
        self.setup.gateway.wait_stat(SHADOWED, shadowed, LIMIT).await.unwrap();
    }
}

#[tokio::test]
async fn streams_that_would_be_denied_are_counted_while_they_are_open() {
    let shadow = start().await;
    shadow.counted(1, 4).await;
    let Shadow { setup, good, bad, .. } = shadow;
    drop(bad);
    setup.gateway.wait_stat(SHADOWED, 0, LIMIT).await.unwrap();
    drop(good);
    setup.gateway.wait_stat(OPEN, 0, LIMIT).await.unwrap();
}

#[tokio::test]
async fn shadowed_streams_stay_open_and_counted_after_the_switch_by_default() {
    let mut shadow = start().await;
    shadow.enforce(json!({ "mode": "enforce" })).await;
    shadow.counted(1, 4).await;
    shadow.setup.control_plane.push();
    for stream in shadow.bad.iter_mut().chain([&mut shadow.good]) {
        assert!(goes_on(stream).await);
    }
    assert_eq!(shadow.setup.stat("streams.cut.enforced").await, 0);
    shadow.bad.clear();
    shadow.counted(1, 0).await;
}

#[tokio::test]
async fn shadowed_streams_are_cut_by_the_switch_if_configured() {
    let mut shadow = start().await;
    shadow.enforce(json!({ "mode": "enforce", "openStreams": { "onEnforce": "cut" } })).await;
    for stream in &mut shadow.bad {
        assert!(is_cut(stream).await);
    }
    let cut = "zonegate.streams.cut.enforced";
    shadow.setup.gateway.wait_stat(cut, 4, LIMIT).await.unwrap();
    shadow.counted(1, 0).await;
    shadow.setup.control_plane.push();
    assert!(goes_on(&mut shadow.good).await);
}

/// The token was verified, so the stream ends as every stream of a revoked token does.
#[tokio::test]
async fn a_shadowed_stream_is_cut_when_its_token_is_revoked() {
    let mut shadow = start().await;
    shadow.enforce(json!({ "mode": "enforce" })).await;
    shadow.counted(1, 4).await;
    shadow.enforce(json!({ "revocations": ["id-1"] })).await;
    let [no_token, garbage, egress, dataplane] = &mut shadow.bad[..] else { panic!() };
    assert!(is_cut(egress).await && is_cut(dataplane).await);
    shadow.setup.gateway.wait_stat("zonegate.streams.cut.revoked", 2, LIMIT).await.unwrap();
    shadow.setup.control_plane.push();
    for stream in [no_token, garbage, &mut shadow.good] {
        assert!(goes_on(stream).await);
    }
}

/// In two pushes: first the switch, then the setting to cut.
#[tokio::test]
async fn shadowed_streams_are_cut_later_if_configured_later() {
    let mut shadow = start().await;
    shadow.enforce(json!({ "mode": "enforce" })).await;
    shadow.counted(1, 4).await;
    shadow.enforce(json!({ "openStreams": { "onEnforce": "cut" } })).await;
    for stream in &mut shadow.bad {
        assert!(is_cut(stream).await);
    }
    shadow.counted(1, 0).await;
}

/// Streams are judged again: a stream that the policy lets in now stays.
#[tokio::test]
async fn a_shadowed_stream_that_the_new_policy_allows_is_not_cut() {
    let bench = Bench::text().set("mode", json!("shadow")).set("revocations", json!(["id-1"]));
    let setup = bench.start().await;
    let connection = setup.connect().await;
    let mut good = open(&connection, &setup.token()).await;
    let mut stranger = connection.sotw(Some("garbage"), Claimed::INGRESS).await.unwrap();
    stranger.next().await.unwrap().unwrap();
    setup.gateway.wait_stat(SHADOWED, 2, LIMIT).await.unwrap();
    let fields = json!({ "mode": "enforce", "openStreams": { "onEnforce": "cut" } });
    let pushed = setup.gateway.push(&setup.policy_with(fields)).await.unwrap();
    assert_eq!(pushed, Pushed::Accepted);
    assert!(is_cut(&mut stranger).await);
    setup.control_plane.push();
    assert!(goes_on(&mut good).await);
    setup.gateway.wait_stat(OPEN, 1, LIMIT).await.unwrap();
    setup.gateway.wait_stat(SHADOWED, 0, LIMIT).await.unwrap();
}

/// In shadow mode a push cuts nothing; the switch cuts the streams later.
#[tokio::test]
async fn a_push_in_shadow_mode_cuts_nothing_and_the_switch_makes_up_for_it() {
    let mut shadow = start().await;
    let revoking = json!({ "mode": "shadow", "revocations": ["id-good"] });
    shadow.setup.push_with(revoking).await;
    // A refused policy would not show, so this checks that the policy is in force.
    let witness = shadow.setup.token_of("id-good");
    shadow.setup.would_deny(&shadow.connection, &witness, "revoked").await;
    shadow.setup.control_plane.push();
    for stream in shadow.bad.iter_mut().chain([&mut shadow.good]) {
        assert!(goes_on(stream).await);
    }
    let stats = shadow.setup.gateway.admin("/stats?filter=streams.cut").await.unwrap();
    assert!(stats.lines().all(|line| line.is_empty() || line.ends_with(": 0")), "{stats}");
    shadow.enforce(json!({ "revocations": ["id-good"] })).await;
    assert!(is_cut(&mut shadow.good).await);
    shadow.setup.control_plane.push();
    for stream in &mut shadow.bad {
        assert!(goes_on(stream).await);
    }
    shadow.counted(0, 4).await;
}
