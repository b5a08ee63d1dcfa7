//! Pushes back to an earlier policy that open streams still use. Envoy reuses its configuration without telling the
//! filter.
//!
//! By `StringValue`, so that the bytes of the configuration are equal; one worker.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::time::timeout;
use zonegate_testkit::zone_proxy::{Claimed, Connection};

use crate::harness::{Bench, LIMIT, Setup};
use crate::open_stream::{Sotw, goes_on, is_cut, open};

/// How long streams are tried after a push back: longer than any possible delay.
const TRIED: Duration = Duration::from_secs(4);

/// The state after three pushes: of A, which revokes `id-a`, of B, which revokes `id-b`, and of A again, with open
/// streams that began under each.
struct WentBack {
    setup: Setup,
    connection: Connection,
    /// One stream under each policy. Neither policy revokes them.
    kept: [Sotw; 2],
    /// A stream that began under B, with `id-a`.
    revoked: Sotw,
}

async fn went_back() -> WentBack {
    let setup = Bench::text().start().await;
    let connection = setup.connect().await;
    setup.push_with(json!({ "revocations": ["id-a"] })).await;
    setup.refused_as(&connection, &setup.witness("id-a"), "revoked").await;
    let under_a = open(&connection, &setup.token_of("id-1")).await;
    setup.push_with(json!({ "revocations": ["id-b"] })).await;
    setup.refused_as(&connection, &setup.witness("id-b"), "revoked").await;
    setup.refused_as(&connection, &setup.witness("id-a"), "wrong_zone").await;
    let under_b = open(&connection, &setup.token_of("id-2")).await;
    let revoked = open(&connection, &setup.token_of("id-a")).await;
    setup.push_with(json!({ "revocations": ["id-a"] })).await;
    WentBack { setup, connection, kept: [under_a, under_b], revoked }
}

/// The reason for which a stream is refused; `None` if it is let in. Every stream must be answered.
async fn reason(connection: &Connection, token: &str) -> Option<String> {
    let answer = timeout(LIMIT, connection.sotw(Some(token), Claimed::INGRESS)).await;
    match answer.expect("a stream is not answered") {
        Ok(_) => None,
        Err(refused) => Some(refused.message().split(": ").nth(1).unwrap().to_owned()),
    }
}

#[tokio::test]
async fn every_stream_is_answered_with_its_own_reason() {
    let WentBack { setup, connection, mut kept, mut revoked } = went_back().await;
    let wrong_zone = setup.witness("id-1");
    let mut tried = 0;
    let start = Instant::now();
    while start.elapsed() < TRIED {
        assert_eq!(reason(&connection, "garbage").await.as_deref(), Some("malformed_token"));
        assert_eq!(reason(&connection, &wrong_zone).await.as_deref(), Some("wrong_zone"));
        assert_eq!(reason(&connection, &setup.token_of("id-3")).await, None);
        tried += 1;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // These streams showed that Envoy went back, so streams that the policy revokes are cut.
    assert!(is_cut(&mut revoked).await);
    setup.control_plane.push();
    for stream in &mut kept {
        assert!(goes_on(stream).await);
    }
    drop((revoked, kept));
    assert_eq!(setup.denied("malformed_token").await, tried);
    // The access log has one end for each stream.
    let refused = |line: &Value| line["verdict"] == "deny";
    let lines = access_log(&setup, |lines| {
        lines.iter().filter(|line| line["reason"] == "malformed_token").count() as u64 == tried
            && lines
                .iter()
                .any(|line| token_of(line).contains(" jti=id-a ") && line["verdict"] == "allow")
    });
    for line in lines.await {
        let status = &line["grpc_status"];
        match line["reason"].as_str() {
            Some("malformed_token" | "revoked") => {
                assert!(refused(&line) && status == "Unauthenticated", "{line}");
            }
            Some("wrong_zone") => assert!(refused(&line) && status == "PermissionDenied", "{line}"),
            None => assert_eq!(line["verdict"], "allow", "{line}"),
            other => panic!("{other:?}: {line}"),
        }
    }
}

fn token_of(line: &Value) -> &str {
    line["token"].as_str().unwrap_or_default()
}

/// The access log, once it has the wanted lines.
async fn access_log(setup: &Setup, has: impl Fn(&[Value]) -> bool) -> Vec<Value> {
    let start = Instant::now();
    loop {
        let log = setup.gateway.log().unwrap();
        let lines = log.lines().filter(|line| line.starts_with('{'));
        let lines: Vec<Value> = lines.filter_map(|line| serde_json::from_str(line).ok()).collect();
        if has(&lines) {
            return lines;
        }
        assert!(start.elapsed() < LIMIT, "not in the access log: {log}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// By then the policy that Envoy went back to is in force, and nothing else replaces it.
#[tokio::test]
async fn a_token_that_the_policy_revokes_stays_out() {
    let WentBack { setup, connection, kept, mut revoked } = went_back().await;
    setup.refused_as(&connection, &setup.witness("id-a"), "revoked").await;
    let start = Instant::now();
    let mut others = Vec::new();
    while start.elapsed() < TRIED {
        assert_eq!(reason(&connection, &setup.token_of("id-a")).await.as_deref(), Some("revoked"));
        // B revokes the token, A does not. Either may count, but the stream is answered.
        let by_b = reason(&connection, &setup.token_of("id-b")).await;
        assert!(matches!(by_b.as_deref(), None | Some("revoked")), "{by_b:?}");
        // Open streams of both policies come and go.
        others.push(open(&connection, &setup.token_of("id-3")).await);
        if others.len() > 5 {
            others.remove(0);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(is_cut(&mut revoked).await);
    drop((kept, others));
    // A new policy is certainly in force.
    setup.push_with(json!({ "revocations": ["id-c"] })).await;
    setup.refused_as(&connection, &setup.witness("id-c"), "revoked").await;
    for id in ["id-a", "id-b"] {
        assert_eq!(reason(&connection, &setup.token_of(id)).await, None, "{id}");
    }
}
