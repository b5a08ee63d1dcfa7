//! A real Envoy that asks by external processing: cuts, and the fate of streams when the service fails.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio::time::{sleep, timeout};
use tonic::Code;
use zonegate_testkit::gateway::ServiceProtocol;

use crate::world::{LIMIT, World};

#[tokio::test]
async fn a_revocation_cuts_its_stream_within_a_second_and_no_other() {
    let setup = World::new().gateway(ServiceProtocol::ExtProc).await;
    let revoked = setup.world.token(json!({ "jti": "id-a" }));
    let (mut cut, mut kept) = (
        setup.open(&revoked).await.unwrap(),
        setup.open(&setup.world.token(json!({}))).await.unwrap(),
    );
    let start = Instant::now();
    setup.push(json!({ "revocations": "id-a" })).await;
    assert!(timeout(LIMIT, cut.next()).await.unwrap().is_err());
    let elapsed = start.elapsed();
    println!("cut {elapsed:?} after the file was replaced");
    // The file is checked every fifth of a second. The rest is for a busy machine.
    assert!(elapsed < Duration::from_secs(1), "{elapsed:?}");
    setup.control_plane.push();
    assert!(timeout(LIMIT, kept.next()).await.unwrap().unwrap().is_some());
    let refused = setup.open(&revoked).await.err().unwrap();
    assert!(refused.message().starts_with("zonegate: revoked: "), "{refused:?}");
    setup.gateway.wait_stat("zonegate.streams.open", 1, LIMIT).await.unwrap();
}

/// Without the service no stream passes and none stays open. When the service is back, all clients reconnect by
/// themselves.
#[tokio::test]
async fn a_service_that_is_killed_closes_the_gate_until_it_is_there_again() {
    let mut setup = World::new().gateway(ServiceProtocol::ExtProc).await;
    let token = setup.world.token(json!({}));
    let mut stream = setup.open(&token).await.unwrap();
    setup.gateway.take_service().unwrap().kill().await.unwrap();
    let killed = Instant::now();
    assert!(timeout(LIMIT, stream.next()).await.unwrap().is_err(), "a stream outlives its service");
    println!("the open stream was cut {:?} after the service was killed", killed.elapsed());
    setup.control_plane.recorder().clear();
    for _ in 0..5 {
        let refused = setup.open(&token).await.err().unwrap();
        assert_eq!(refused.code(), Code::Unavailable, "{refused:?}");
    }
    assert_eq!(setup.control_plane.recorder().count(), 0);
    setup.gateway.restart_service().await.unwrap();
    let start = Instant::now();
    while let Err(refused) = setup.open(&token).await {
        assert!(start.elapsed() < LIMIT, "{refused:?}");
        sleep(Duration::from_millis(50)).await;
    }
    println!("let in {:?} after the service was there again", start.elapsed());
}

/// However the service ends its call, the stream does not continue without it.
#[tokio::test]
async fn a_service_that_is_told_to_stop_leaves_no_stream_behind() {
    let mut setup = World::new().gateway(ServiceProtocol::ExtProc).await;
    let token = setup.world.token(json!({}));
    let mut stream = setup.open(&token).await.unwrap();
    setup.gateway.take_service().unwrap().stop().await;
    assert!(timeout(LIMIT, stream.next()).await.unwrap().is_err(), "a stream outlives its service");
    assert_eq!(setup.open(&token).await.err().unwrap().code(), Code::Unavailable);
}

/// Envoy Gateway sets a timeout of ten seconds, which cannot be turned off.
#[tokio::test]
async fn a_timeout_of_the_call_ends_no_stream() {
    let mut world = World::new();
    let place = "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config/http_filters/0\
                 /typed_config/grpc_service";
    let grpc = json!({ "envoy_grpc": { "cluster_name": "zonegate-serve" }, "timeout": "1s" });
    world.options.edits.push((place.to_owned(), grpc));
    let setup = world.gateway(ServiceProtocol::ExtProc).await;
    let mut stream = setup.open(&setup.world.token(json!({}))).await.unwrap();
    sleep(Duration::from_secs(3)).await;
    setup.control_plane.push();
    assert!(timeout(LIMIT, stream.next()).await.unwrap().unwrap().is_some());
}

/// The verdict, the reason and the token are in Envoy's access log.
#[tokio::test]
async fn the_access_log_has_verdict_reason_and_token() {
    let setup = World::new().gateway(ServiceProtocol::ExtProc).await;
    drop(setup.open(&setup.world.token(json!({}))).await.unwrap());
    let wrong_zone = setup.world.token(json!({ "Zone": "elsewhere" }));
    setup.open(&wrong_zone).await.err().unwrap();
    setup.gateway.wait_log("\"verdict\":\"allow\"", LIMIT).await.unwrap();
    let token = "\"token\":\"kind=zoneToken kid=1 jti=id-1 zone=zone-1 exp=";
    setup.gateway.wait_log(token, LIMIT).await.unwrap();
    setup.gateway.wait_log("zonegate_wrong_zone", LIMIT).await.unwrap();
    // The service's own log also has the token's identity and the peer's address.
    setup.gateway.wait_log("denied reason=wrong_zone", LIMIT).await.unwrap();
    let log = setup.gateway.log().unwrap();
    let line = log.lines().find(|line| line.contains("denied reason=wrong_zone")).unwrap();
    assert!(line.contains("peer=\"127.0.0.1:"), "{line}");
    let signature = wrong_zone.rsplit('.').next().unwrap();
    assert!(!log.contains(signature), "a token is in the log");
}
