//! The gate as a service that Envoy Gateway's Envoy asks.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::process::Command;
use tokio::time::sleep;
use zonegate_testkit::process::{Log, Process};
use zonegate_testkit::zone_proxy::Claimed;

use crate::other_gateways::{LIMIT, Open, assert_gates, replace};
use crate::world::World;

/// Envoy Gateway gives each call a timeout of ten seconds.
const TIMEOUT_OF_A_CALL: Duration = Duration::from_secs(10);

#[tokio::test]
#[ignore = "needs Envoy Gateway: make test-envoy-gateway"]
async fn by_ext_proc_all_is_seen_and_a_push_cuts_the_revoked_stream_alone() {
    let mut world = World::new().await;
    let (mut service, file, mut policy) = serve(&world, json!({})).await;
    world.apply(&rendered(&world, "envoy-gateway-ext-proc", listening(&service)));
    let good = world.zone.token("good");
    let connection = world.start(&good).await;
    let mut open = Open::of(&world.zone, &connection).await;
    let since = Instant::now();
    assert_gates(&connection, &good).await;
    policy["revocations"] = json!(Open::REVOKED);
    let push = || replace(&file, &policy.to_string());
    let took = open.assert_a_push_cuts(&world.zone, push).await;
    assert!(took < Duration::from_secs(2));
    open.assert_stays_out(&connection).await;
    sleep((TIMEOUT_OF_A_CALL + Duration::from_secs(1)).saturating_sub(since.elapsed())).await;
    open.assert_the_other_goes_on(&world.zone).await;
    // When the service is gone, nothing passes and open streams are cut.
    service.stop().await;
    open.assert_the_other_is_cut().await;
    assert!(connection.sotw(Some(&good), Claimed::INGRESS).await.is_err());
    world.end().await;
}

#[tokio::test]
#[ignore = "needs Envoy Gateway: make test-envoy-gateway"]
async fn by_ext_auth_the_headers_are_seen() {
    let mut world = World::new().await;
    let (mut service, _, _) = serve(&world, json!({ "bootstrap": "deny" })).await;
    world.apply(&rendered(&world, "envoy-gateway-ext-auth", listening(&service)));
    let good = world.zone.token("good");
    let connection = world.start(&good).await;
    let mut passed = connection.sotw(Some(&good), Claimed::INGRESS).await.unwrap();
    assert!(passed.next().await.unwrap().is_some());
    let refused = connection.sotw(Some("garbage"), Claimed::INGRESS).await.unwrap_err();
    assert!(refused.message().starts_with("zonegate: malformed_token: "), "{refused:?}");
    service.stop().await;
    assert!(connection.sotw(Some(&good), Claimed::INGRESS).await.is_err());
    world.end().await;
}

/// Starts a service with a policy that has the key of the tokens. Returns the service, its policy file, and the policy.
async fn serve(world: &World, fields: Value) -> (Process, PathBuf, Value) {
    let mut policy: Value = serde_json::from_str(&world.render("plugin", &[])).unwrap();
    policy.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    let file = world.zone.folder().join("policy.json");
    replace(&file, &policy.to_string());
    let mut command = Command::new(env!("CARGO_BIN_EXE_zonegate"));
    command.args(["serve", "--listen", "127.0.0.1:0", "--config"]).arg(&file);
    let log = world.zone.folder().join("service.log");
    let service = Process::start(command, Log::File, log).unwrap();
    service.wait_log("listen=", LIMIT).await.unwrap();
    (service, file, policy)
}

fn listening(service: &Process) -> SocketAddr {
    let log = service.log().unwrap();
    let mut words = log.split_whitespace();
    words.find_map(|word| word.strip_prefix("listen=")).unwrap().parse().unwrap()
}

/// The rendered objects, with a Backend in place of the Service of a cluster: a host has no Services.
fn rendered(world: &World, format: &str, service: SocketAddr) -> Vec<Value> {
    let text = world.render(format, &[]);
    let mut objects: Vec<Value> = serde_saphyr::from_multiple(&text).unwrap();
    assert_eq!(objects.len(), 3, "{objects:?}");
    let spec = &mut objects[0]["spec"];
    let place = if spec.get("extProc").is_some() { "/extProc/0" } else { "/extAuth/grpc" };
    let refs = &mut spec.pointer_mut(place).unwrap()["backendRefs"];
    assert_eq!(*refs, json!([{ "name": "zonegate-serve", "port": 9912 }]));
    *refs =
        json!([{ "group": "gateway.envoyproxy.io", "kind": "Backend", "name": "zonegate-serve" }]);
    objects.push(json!({ "apiVersion": "gateway.envoyproxy.io/v1alpha1", "kind": "Backend",
        "metadata": { "name": "zonegate-serve", "namespace": "default" },
        "spec": { "endpoints": [{ "ip": { "address": "127.0.0.1", "port": service.port() } }] } }));
    objects
}
