//! The metrics of each zone at a gate in front of a global control plane.
//!
//! In: requests of zone control planes. Out: counters and gauges by name. The answers to the requests are tested
//! elsewhere.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use zonegate::gate::{Head, KDS, Now, UnixTime};
use zonegate::lifecycle::{Clocks, Effect, Lifecycle, Request, StreamId};
use zonegate::metrics::{Change, Counter, Labels, Metric};

use crate::host::{KEY, START, policy};

/// The token of a zone's control plane.
fn token(zone: &str, expires_at: u64) -> String {
    let claims = json!({ "Zone": zone, "Scope": ["cp"], "exp": expires_at, "jti": "id" });
    KEY.sign_raw(r#"{"alg":"RS256","kid":"1"}"#, claims.to_string())
}

/// A gate with this policy in front of a global control plane.
fn gate(fields: &Value) -> Lifecycle {
    let mut all = json!({ "profile": "globalKds" });
    all.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    let mut life = Lifecycle::default();
    let clocks = Clocks { wall: now(), monotonic: Duration::ZERO };
    life.on_policy(Arc::new(policy(&all)), clocks, &mut Vec::new());
    life
}

fn now() -> Now {
    Now(Some(UnixTime::after_epoch(Duration::from_secs(START))))
}

/// The metrics by zone after a control plane of `zone` sends this token, each name without its prefix.
fn counted(life: &mut Lifecycle, zone: &str, token: &str) -> Vec<String> {
    let request = Request {
        stream: StreamId(1),
        under: life.policy_number(),
        head: Head {
            method: b"POST",
            path: KDS[0].as_bytes(),
            content_type: vec![b"application/grpc"],
            authorization: if token.is_empty() { Vec::new() } else { vec![token.as_bytes()] },
            client_id: vec![zone.as_bytes()],
        },
        request_id: b"",
        header_bytes: 0,
        is_end: false,
    };
    let mut effects = Vec::new();
    let _ = life.on_headers(&request, now(), &mut effects);
    life.on_end(StreamId(1));
    let names = effects.into_iter().filter_map(|effect| match effect {
        Effect::Change(Metric::Counter(counter @ Counter::Zone(..)), _) => Some(counter.name()),
        Effect::Change(Metric::Gauge(gauge), Change::Set(value)) => {
            Some(format!("{} {value}", gauge.name()))
        }
        _ => None,
    });
    names.map(|name| name.strip_prefix("zonegate.zone.").unwrap().to_owned()).collect()
}

#[test]
fn requests_with_and_without_a_token_are_counted_by_zone() {
    for (mode, refused) in [("shadow", "would_deny"), ("enforce", "denied")] {
        let life = &mut gate(&json!({ "mode": mode, "countZones": ["east", "us.west"] }));
        let (expires_at, refused) = (START + 60, |zone| [format!("{zone}.{refused}")]);
        assert_eq!(counted(life, "east", ""), refused("east"));
        assert_eq!(counted(life, "east", &token("us.west", expires_at)), refused("east"));
        assert_eq!(counted(life, "east", &token("east", START)), refused("east"));
        let allowed = counted(life, "east", &token("east", expires_at));
        assert_eq!(allowed, ["east.allowed", &format!("east.token_expires_at {expires_at}")]);
        // The name, in characters that are valid in a metric's name.
        let west = counted(life, "us.west", "").pop().unwrap();
        assert!(west.starts_with("us_west-") && west.ends_with(&refused("")[0]), "{west}");
    }
}

/// A caller can claim any zone, so only configured zones appear in names of metrics.
#[test]
fn a_zone_that_is_not_listed_is_counted_by_nobody() {
    let life = &mut gate(&json!({ "mode": "shadow", "countZones": ["east"] }));
    for zone in ["west", "", "EAST", "east,east", "\u{fffd}"] {
        assert_eq!(counted(life, zone, ""), [""; 0], "{zone}");
        assert_eq!(counted(life, zone, &token(zone, START + 60)), [""; 0], "{zone}");
    }
    assert_eq!(counted(&mut gate(&json!({})), "east", &token("east", START + 60)), [""; 0]);
}

#[test]
fn a_policy_names_all_metrics_that_it_counts() {
    let policy = policy(&json!({ "profile": "globalKds", "countZones": ["east"] }));
    let all = Metric::all(&Labels::of(&policy));
    let of_zones: Vec<String> =
        all.iter().map(Metric::name).filter(|name| name.contains(".zone.")).collect();
    let wanted = ["allowed", "denied", "would_deny", "token_expires_at"];
    assert_eq!(of_zones, wanted.map(|name| format!("zonegate.zone.east.{name}")));
}
