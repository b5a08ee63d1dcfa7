//! The gate in front of a global control plane's KDS server: which zones pass, and which streams a push ends.

use prost::Message;
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::time::timeout;
use zonegate::gate::{ADS_DELTA, ADS_SOTW, BOOTSTRAP, HDS, KDS};
use zonegate_issuer::SigningKey;
use zonegate_testkit::gateway::Pushed;
use zonegate_testkit::raw_client::{End, RawRequest, grpc_frame};
use zonegate_testkit::zone_control_plane::Zone;
use zonegate_testkit::zone_proxy::{Claimed, discovery_request};

use crate::harness::{Bench, LIMIT, Setup, ZONE, claims_with, grpc_headers, now};

const SYNC: &str = KDS[0];

/// The default policy, with this key as kid 1.
fn policy(key: &SigningKey) -> Value {
    json!({
        "profile": "globalKds",
        "publicKeys": [{ "kid": "1", "key": key.public_key_pem() }],
    })
}

async fn start() -> Setup {
    let mut bench = Bench::new();
    bench.options.policy = policy(&bench.key);
    bench.start().await
}

/// The claims of a good token for a zone control plane.
fn claims(zone: &str, id: &str) -> Value {
    let mut claims = claims_with("Scope", json!(["cp"]));
    claims["Zone"] = json!(zone);
    claims["jti"] = json!(id);
    claims
}

impl Setup {
    fn zone_token(&self, zone: &str) -> String {
        self.sign(claims(zone, "id-1"))
    }

    /// The status and message for a request with these headers.
    async fn ask(&self, path: &str, headers: Vec<(&'static str, Vec<u8>)>) -> (u32, String) {
        let request = RawRequest { method: "POST", path, headers, chunks: vec![], end: End::Never };
        let answer = self.raw().await.send(request).await.unwrap();
        let status = answer.grpc_status().unwrap_or_else(|| panic!("{path}: {answer:?}"));
        (status, answer.grpc_message().unwrap())
    }

    /// Asserts that no request has reached the control plane. A good request does.
    async fn assert_no_zone_arrived(&self) {
        let recorder = self.control_plane.recorder();
        assert_eq!(recorder.count(), 0, "{:?}", recorder.requests());
        let token = self.zone_token(ZONE);
        let zone = Zone { token: Some(&token), client_id: &[ZONE] };
        self.connect().await.health_check(zone).await.unwrap();
        assert_eq!(recorder.count(), 1);
        recorder.clear();
    }
}

fn with_client_ids(token: &str, client_ids: &[&str]) -> Vec<(&'static str, Vec<u8>)> {
    let mut headers = grpc_headers(token);
    headers.extend(client_ids.iter().map(|id| ("client-id", id.as_bytes().to_vec())));
    headers
}

#[tokio::test]
async fn a_zone_with_its_token_has_all_six_methods() {
    let setup = start().await;
    let token = setup.zone_token(ZONE);
    let zone = Zone { token: Some(&token), client_id: &[ZONE] };
    let connection = setup.connect().await;
    let interval = connection.health_check(zone).await.unwrap().interval.unwrap();
    assert_eq!(interval.seconds, 300);
    let mut down = connection.global_to_zone(zone).await.unwrap();
    assert!(down.next().await.unwrap().is_some());
    // The client sends nothing first: if the gate waited for a message, none would ever come.
    let mut up = connection.zone_to_global(zone).await.unwrap();
    assert_eq!(up.next().await.unwrap().unwrap().type_url, "Dataplane");
    let mut shown = Vec::new();
    for method in ["StreamXDSConfigs", "StreamStats", "StreamClusters"] {
        shown.push(connection.show(method, zone).await.unwrap());
    }
    setup.gateway.wait_stat("zonegate.streams.open", 5, LIMIT).await.unwrap();
    assert_eq!(setup.control_plane.push(), 5);
    assert!(down.next().await.unwrap().is_some() && up.next().await.unwrap().is_some());
    for stream in &mut shown {
        assert_eq!(stream.next().await.unwrap().unwrap().request_id, "1");
    }
    let seen = setup.control_plane.recorder().requests();
    let mut paths: Vec<_> = seen.iter().map(|request| request.path.as_str()).collect();
    paths.sort_unstable();
    let mut all = KDS;
    all.sort_unstable();
    assert_eq!(paths, all);
    for request in &seen {
        assert_eq!(request.header("authorization").collect::<Vec<_>>(), [token.as_bytes()]);
        assert_eq!(request.header("client-id").collect::<Vec<_>>(), [ZONE.as_bytes()]);
    }
    assert_eq!((setup.stat("allowed").await, setup.stat("kid.1.allowed").await), (6, 6));
}

/// Tokens and client ids that do not match, each with its answer.
#[tokio::test]
async fn a_token_that_does_not_prove_the_zone_is_refused() {
    let setup = start().await;
    let token = |name: &str, value: Value| {
        let mut claims = claims(ZONE, "id-1");
        claims[name] = value;
        setup.sign(claims)
    };
    let good = setup.zone_token(ZONE);
    let wrong_zone = |says: &str| {
        format!(
            r#"wrong_zone: the token is for zone "zone-1", the caller says that it is zone {says}"#
        )
    };
    let out_of_scope = "out_of_scope: the token has";
    let cases: Vec<(String, &[&str], u32, String)> = vec![
        (good.clone(), &["zone-2"], 7, wrong_zone(r#""zone-2""#)),
        (good.clone(), &["Zone-1"], 7, wrong_zone(r#""Zone-1""#)),
        (good.clone(), &["zone-1,zone-1"], 7, wrong_zone(r#""zone-1,zone-1""#)),
        (good.clone(), &["zone-10"], 7, wrong_zone(r#""zone-10""#)),
        // A token without a zone is good for a zone proxy; here it would be good for every zone.
        (token("Zone", json!("")), &[ZONE], 7, "wrong_zone: the token names no zone".into()),
        (token("Zone", json!(null)), &[ZONE], 7, "wrong_zone: the token names no zone".into()),
        (
            token("Zone", json!("")),
            &[""],
            3,
            "malformed_request: the request has no client-id".into(),
        ),
        (good.clone(), &[], 3, "malformed_request: the request has no client-id".into()),
        (good.clone(), &[ZONE, ZONE], 3, "malformed_request: the request has more than one".into()),
        (good.clone(), &[ZONE, "zone-2"], 3, "malformed_request: the request has more".into()),
        (good.clone(), &["zone-2", ZONE], 3, "malformed_request: the request has more".into()),
        (token("Scope", json!(["ingress", "egress"])), &[ZONE], 7, out_of_scope.into()),
        (token("Scope", json!(["CP"])), &[ZONE], 7, out_of_scope.into()),
        (token("Scope", json!(null)), &[ZONE], 7, out_of_scope.into()),
        (token("exp", json!(now() - 60)), &[ZONE], 16, "expired: ".into()),
        (String::new(), &[ZONE], 16, "missing_token: the request has no zone token".into()),
        (format!("Bearer {good}"), &[ZONE], 16, "malformed_token: ".into()),
        (format!("{good},{good}"), &[ZONE], 16, "multiple_tokens: ".into()),
    ];
    for (token, client_ids, status, message) in &cases {
        let (seen, said) = setup.ask(SYNC, with_client_ids(token, client_ids)).await;
        assert_eq!(seen, *status, "{client_ids:?}: {said}");
        let wanted = format!("zonegate: {message}");
        assert!(said.starts_with(&wanted), "{client_ids:?}:\n  said   {said}\n  wanted {wanted}");
    }
    assert_eq!(setup.denied("malformed_request").await, 5);
    assert_eq!(setup.denied("wrong_zone").await, 6);
    setup.assert_no_zone_arrived().await;
}

/// Other scopes beside `cp` do no harm.
#[tokio::test]
async fn a_token_may_have_more_scopes_than_one() {
    let setup = start().await;
    let mut claims = claims(ZONE, "id-1");
    claims["Scope"] = json!(["ingress", "cp"]);
    let token = setup.sign(claims);
    let zone = Zone { token: Some(&token), client_id: &[ZONE] };
    assert!(setup.connect().await.health_check(zone).await.is_ok());
}

#[tokio::test]
async fn every_other_path_is_denied() {
    let setup = start().await;
    let query = format!("{SYNC}?x");
    let twice = format!("/{SYNC}");
    for path in [
        ADS_SOTW,
        ADS_DELTA,
        HDS,
        BOOTSTRAP,
        query.as_str(),
        twice.as_str(),
        "/kuma.mesh.v1alpha1.KDSSyncService/",
        "/kuma.mesh.v1alpha1.KDSSyncService/globalToZoneSync",
        "/kuma.mesh.v1alpha1.KDSSyncService/GlobalToZoneSync/",
        "/kuma.mesh.v1alpha1.KDSSyncService/GlobalToZone%53ync",
        "/kuma.mesh.v1alpha1.GlobalKDSService/GlobalToZoneSync",
        "/kuma.mesh.v1alpha1.InterCPEnvoyAdminForwardService/XDSConfig",
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    ] {
        let headers = with_client_ids(&setup.zone_token(ZONE), &[ZONE]);
        let (status, said) = setup.ask(path, headers).await;
        assert_eq!(status, 12, "{path}: {said}");
        let wanted = "zonegate: path_denied: only zone control planes are served here: KDS";
        assert_eq!(said, wanted, "{path}");
    }
    setup.assert_no_zone_arrived().await;
}

/// Conversely, a gate for zone proxies denies KDS.
#[tokio::test]
async fn a_gate_for_zone_proxies_denies_kds() {
    let setup = Bench::new().start().await;
    for path in KDS {
        let headers = with_client_ids(&setup.zone_token(ZONE), &[ZONE]);
        let (status, said) = setup.ask(path, headers).await;
        assert_eq!(status, 12, "{path}: {said}");
        assert!(said.starts_with("zonegate: path_denied: only what proxies"), "{path}: {said}");
    }
    setup.assert_nothing_arrived().await;
}

#[tokio::test]
async fn a_push_cuts_the_streams_of_a_revoked_zone_and_of_no_other() {
    let setup = start().await;
    let (east, west) =
        (setup.sign(claims("east", "id-east")), setup.sign(claims("west", "id-west")));
    let connection = setup.connect().await;
    let revoked = Zone { token: Some(&east), client_id: &["east"] };
    let mut gone = connection.zone_to_global(revoked).await.unwrap();
    let mut stays =
        connection.zone_to_global(Zone { token: Some(&west), client_id: &["west"] }).await.unwrap();
    assert!(gone.next().await.unwrap().is_some() && stays.next().await.unwrap().is_some());
    let mut pushed = policy(&setup.key);
    pushed["revocations"] = json!("id-east");
    assert_eq!(setup.gateway.push(&pushed).await.unwrap(), Pushed::Accepted);
    assert!(timeout(LIMIT, gone.next()).await.unwrap().is_err());
    setup.gateway.wait_stat("zonegate.streams.cut.revoked", 1, LIMIT).await.unwrap();
    setup.control_plane.push();
    assert!(timeout(LIMIT, stays.next()).await.unwrap().unwrap().is_some());
    let refused = setup.connect().await.zone_to_global(revoked).await.unwrap_err();
    assert!(refused.message().starts_with("zonegate: revoked: "), "{refused:?}");
}

#[tokio::test]
async fn in_shadow_mode_a_wrong_zone_passes_and_is_counted() {
    let mut bench = Bench::new();
    bench.options.policy = policy(&bench.key);
    let setup = bench.set("mode", json!("shadow")).start().await;
    let token = setup.zone_token(ZONE);
    let zone = Zone { token: Some(&token), client_id: &["zone-2"] };
    let mut stream = setup.connect().await.zone_to_global(zone).await.unwrap();
    assert!(stream.next().await.unwrap().is_some());
    assert_eq!(setup.stat("would_deny.wrong_zone").await, 1);
    assert_eq!(setup.denied("wrong_zone").await, 0);
}

/// The metrics exist from the start, also for zones that a push adds, and Prometheus shows the zone as a label.
#[tokio::test]
async fn the_zones_that_are_listed_are_counted_one_by_one() {
    let mut bench = Bench::new();
    bench.options.policy = policy(&bench.key);
    bench.options.policy["countZones"] = json!(["east"]);
    let setup = bench.set("mode", json!("shadow")).start().await;
    let zero = setup.gateway.stat("zonegate.zone.east.would_deny").await.unwrap();
    assert_eq!(zero, Some(0));
    let connection = setup.connect().await;
    let expires_at = now() + 3_600;
    for zone in ["east", "west"] {
        let without = Zone { token: None, client_id: &[zone] };
        connection.health_check(without).await.unwrap();
        connection.health_check(without).await.unwrap();
        let token = setup.sign(claims(zone, "id-1"));
        connection.health_check(Zone { token: Some(&token), client_id: &[zone] }).await.unwrap();
    }
    let of_east = async |name: &str| setup.stat(&format!("zone.east.{name}")).await;
    assert_eq!((of_east("would_deny").await, of_east("allowed").await), (2, 1));
    assert_eq!(setup.stat("would_deny.missing_token").await, 4);
    let shown = of_east("token_expires_at").await;
    assert!(shown.abs_diff(expires_at) < 10, "{shown}, not {expires_at}");
    assert_eq!(setup.gateway.stat("zonegate.zone.west.would_deny").await.unwrap(), None);

    let mut pushed = policy(&setup.key);
    pushed["countZones"] = json!(["east", "west"]);
    assert_eq!(setup.gateway.push(&pushed).await.unwrap(), Pushed::Accepted);
    let without = Zone { token: None, client_id: &["west"] };
    let start = std::time::Instant::now();
    while setup.stat("zone.west.denied").await == 0 {
        assert!(start.elapsed() < LIMIT, "the zone that was pushed is not counted");
        // The push takes effect on one worker after the other.
        let _ = setup.connect().await.health_check(without).await;
    }
    assert_eq!((of_east("would_deny").await, of_east("denied").await), (2, 0));
    let metrics = setup.gateway.prometheus().await.unwrap();
    for line in
        ["zonegate_zone_would_deny{zone=\"east\"} 2", "zonegate_zone_allowed{zone=\"east\"} 1"]
    {
        assert!(metrics.lines().any(|seen| seen == line), "no {line}");
    }
}

/// A push may change the profile; a stream that is held then was meant for the old profile.
#[tokio::test]
async fn a_held_stream_does_not_outlive_its_profile() {
    let setup = Bench::new().start().await;
    let go_on = Notify::new();
    let frame = grpc_frame(&discovery_request(Claimed::INGRESS).encode_to_vec());
    let chunks = vec![frame[..7].to_vec(), frame[7..].to_vec()];
    let headers = grpc_headers(&setup.token());
    let request = RawRequest { method: "POST", path: ADS_SOTW, headers, chunks, end: End::Stream };
    let raw = setup.raw().await;
    let push = async {
        setup.gateway.wait_stat("http.zonegate.downstream_rq_active", 1, LIMIT).await.unwrap();
        let pushed = policy(&setup.key);
        assert_eq!(setup.gateway.push(&pushed).await.unwrap(), Pushed::Accepted);
        go_on.notify_one();
    };
    let (answer, ()) = tokio::join!(raw.send_paused(request, &go_on), push);
    let answer = answer.unwrap();
    assert_eq!(answer.grpc_status(), Some(12), "{answer:?}");
    assert_eq!(setup.control_plane.recorder().count(), 0);
}

/// The shipped file, with another key.
#[tokio::test]
async fn the_shipped_policy_serves_zone_control_planes() {
    let shipped: Value =
        serde_saphyr::from_str(include_str!("../../envoy/global-kds/zonegate.yaml")).unwrap();
    let place = "/resources/0/typed_config/config/configuration/value";
    let mut bench = Bench::new();
    bench.options.policy = shipped.pointer(place).unwrap().clone();
    bench.options.policy["publicKeys"][0]["key"] = json!(bench.key.public_key_pem());
    let setup = bench.start().await;
    setup.assert_no_zone_arrived().await;
}
