//! Open streams whose key was removed, recently or long ago; and the counters of each key.

use serde_json::{Value, json};
use zonegate_issuer::SigningKey;
use zonegate_testkit::gateway::Form;
use zonegate_testkit::zone_proxy::Connection;

use crate::form::form;
use crate::harness::{Bench, LIMIT, Setup, claims, claims_with, now};
use crate::open_stream::{Sotw, goes_on, is_cut, open};

fn keys(key: &SigningKey) -> Value {
    json!([{ "kid": "1", "key": key.public_key_pem() }])
}

impl Setup {
    /// Pushes a policy with `fields`, with another key as kid 1, and waits until it is in force.
    async fn replace_key(&self, connection: &Connection, other: &SigningKey, fields: Value) {
        let mut fields = fields;
        fields["publicKeys"] = keys(other);
        fields["revocations"] = json!([format!("push-{}", self.stat("config.accepted").await)]);
        let id = fields["revocations"][0].as_str().unwrap().to_owned();
        self.push_with(fields).await;
        let mut witness = claims();
        witness["Zone"] = json!("elsewhere");
        witness["jti"] = json!(id);
        let witness = other.sign_raw(r#"{"alg":"RS256","kid":"1"}"#, witness.to_string());
        self.refused_as(connection, &witness, "revoked").await;
    }

    async fn assert_goes_on(&self, stream: &mut Sotw) {
        self.control_plane.push();
        assert!(goes_on(stream).await);
    }
}

#[tokio::test]
async fn a_stream_whose_key_was_replaced_before_is_cut_when_that_is_asked_for() {
    let setup = Bench::text().start().await;
    let connection = setup.connect().await;
    let mut stream = open(&connection, &setup.token()).await;
    let other = SigningKey::generate(2048).unwrap();
    let (keep, cut) = (json!({ "onKeyRemoved": "keep" }), json!({ "onKeyRemoved": "cut" }));
    for _ in 0..2 {
        setup.replace_key(&connection, &other, json!({ "openStreams": keep })).await;
        setup.assert_goes_on(&mut stream).await;
    }
    setup.replace_key(&connection, &other, json!({ "openStreams": cut })).await;
    assert!(is_cut(&mut stream).await, "the key was replaced two pushes ago");
    let stat = "zonegate.streams.cut.key_removed";
    setup.gateway.wait_stat(stat, 1, LIMIT).await.unwrap();
}

/// The push that replaced the key was in shadow mode.
#[tokio::test]
async fn a_stream_whose_key_was_replaced_in_shadow_mode_is_cut_by_the_switch() {
    let setup = Bench::text().start().await;
    let connection = setup.connect().await;
    let mut stream = open(&connection, &setup.token()).await;
    let other = SigningKey::generate(2048).unwrap();
    let cut = json!({ "onKeyRemoved": "cut" });
    let mut shadow = setup.policy_with(json!({ "mode": "shadow", "openStreams": cut.clone() }));
    shadow["publicKeys"] = keys(&other);
    setup.gateway.push(&shadow).await.unwrap();
    setup.would_deny(&connection, &setup.token(), "invalid_signature").await;
    setup.assert_goes_on(&mut stream).await;
    setup.replace_key(&connection, &other, json!({ "openStreams": cut })).await;
    assert!(is_cut(&mut stream).await, "the key was replaced in shadow mode");
}

/// A key that is removed and added again is the same key.
#[tokio::test]
async fn a_stream_whose_key_comes_back_is_not_cut() {
    let setup = Bench::text().start().await;
    let connection = setup.connect().await;
    let mut stream = open(&connection, &setup.token()).await;
    let other = SigningKey::generate(2048).unwrap();
    setup.replace_key(&connection, &other, json!({})).await;
    let cut = json!({ "onKeyRemoved": "cut" });
    setup.push_with(json!({ "openStreams": cut, "revocations": ["back"] })).await;
    setup.refused_as(&connection, &setup.witness("back"), "revoked").await;
    setup.assert_goes_on(&mut stream).await;
    assert_eq!(setup.stat("streams.cut.key_removed").await, 0);
}

#[tokio::test]
async fn kids_that_differ_in_one_sign_have_counters_of_their_own() {
    const KIDS: [&str; 5] = ["a.b", "a b", "a_b", "a-b", "a/b"];
    let bench = Bench::text();
    let key = bench.key.public_key_pem();
    let keys: Vec<Value> = KIDS.iter().map(|kid| json!({ "kid": kid, "key": key })).collect();
    let setup = bench.set("publicKeys", json!(keys)).start().await;
    let connection = setup.connect().await;
    let mut wanted = Vec::new();
    for (index, kid) in KIDS.iter().enumerate() {
        for _ in 0..=index {
            let header = json!({ "alg": "RS256", "kid": kid }).to_string();
            let token = setup.key.sign_raw(&header, claims().to_string());
            open(&connection, &token).await.close().await.unwrap();
        }
        wanted.push(index as u64 + 1);
    }
    if form() != Form::Service {
        let stats = setup.gateway.admin("/stats?filter=zonegate%5C.kid%5C.").await.unwrap();
        let counters = stats.lines().filter_map(|line| line.split_once(": "));
        let counters = counters.filter(|(name, _)| name.ends_with(".allowed"));
        let mut seen: Vec<u64> = counters.map(|(_, value)| value.parse().unwrap()).collect();
        seen.sort_unstable();
        assert_eq!(seen, wanted, "{stats}");
    }
    // Each kid has its own label.
    let metrics = setup.gateway.prometheus().await.unwrap();
    let lines = metrics.lines().filter_map(|line| line.strip_prefix("zonegate_kid_allowed{kid=\""));
    let mut seen: Vec<u64> =
        lines.map(|line| line.rsplit_once(' ').unwrap().1.parse().unwrap()).collect();
    seen.sort_unstable();
    assert_eq!(seen, wanted, "{metrics}");
}

/// Streams are counted even if their key has been removed since; Prometheus shows labels.
#[tokio::test]
async fn open_streams_are_counted_by_key_and_by_how_soon_their_tokens_expire() {
    let setup = Bench::text().start().await;
    let connection = setup.connect().await;
    let in_two_days = setup.sign(claims_with("exp", json!(now() + 2 * 86_400)));
    let streams = [open(&connection, &setup.token()).await, open(&connection, &in_two_days).await];
    setup.gateway.wait_stat("zonegate.kid.1.open", 2, LIMIT).await.unwrap();
    let other = SigningKey::generate(2048).unwrap();
    let only_other = json!([{ "kid": "2", "key": other.public_key_pem() }]);
    setup.push_with(json!({ "publicKeys": only_other })).await;
    let of_other = other.sign_raw(r#"{"alg":"RS256","kid":"2"}"#, claims().to_string());
    let stream = open(&connection, &of_other).await;
    setup.gateway.wait_stat("zonegate.kid.2.open", 1, LIMIT).await.unwrap();
    let metrics = setup.gateway.prometheus().await.unwrap();
    for line in [
        r#"zonegate_kid_open{kid="1"} 2"#,
        r#"zonegate_tokens_expiring{within="1d"} 2"#,
        r#"zonegate_tokens_expiring{within="7d"} 3"#,
        r#"zonegate_tokens_expiring{within="30d"} 3"#,
    ] {
        assert!(metrics.lines().any(|one| one == line), "{line}: {metrics}");
    }
    for stream in streams.into_iter().chain([stream]) {
        stream.close().await.unwrap();
    }
    for gauge in ["kid.1.open", "kid.2.open", "tokens.expiring.1d", "tokens.expiring.7d"] {
        setup.gateway.wait_stat(&format!("zonegate.{gauge}"), 0, LIMIT).await.unwrap();
    }
}
