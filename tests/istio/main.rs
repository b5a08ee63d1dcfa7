//! The output of `config render --format istio…`, translated by istiod's own code (`istiod.go`), and a real Envoy as
//! the gateway.
//!
//! Envoy is a stock Envoy without an agent: it asks istiod directly. There is no TLS, because an agent would have to
//! serve the certificates.
//!
//! `make test-istio` names the programs (`ISTIOD`, `ENVOY_PATH`) and the filter (`ZONEGATE_WASM`).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test may panic
#![allow(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

mod world;

use std::fs;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::time::timeout;
use zonegate_testkit::zone_proxy::{Claimed, Connection, discovery_request};

use crate::world::{LIMIT, World, path, variable};

#[tokio::test]
#[ignore = "needs istiod: make test-istio"]
async fn an_envoy_filter_gates_and_a_push_cuts_the_revoked_stream_alone() {
    let mut world = World::new().await;
    let ecds = world.folder().join("ecds");
    let image = "oci://registry.example.org/zonegate:1";
    let text = world
        .render("istio-ecds", &["--module-url", image])
        .replace("/etc/zonegate/module/plugin.wasm", path(&variable("ZONEGATE_WASM")))
        .replace("/etc/zonegate/ecds", path(&ecds));
    let mut objects: Vec<Value> = serde_saphyr::from_multiple(&text).unwrap();
    let file = objects.remove(0)["data"]["zonegate.yaml"].as_str().unwrap().to_owned();
    assert_eq!(objects.len(), 1, "{objects:?}");
    fs::create_dir(&ecds).unwrap();
    fs::write(ecds.join("zonegate.yaml"), &file).unwrap();
    world.apply(&objects);
    let (good, leaked) = (world.token("good"), world.token("leaked"));
    let connection = world.start(&good).await;
    assert_gates(&connection, &good).await;
    let mut kept = connection.sotw(Some(&good), Claimed::INGRESS).await.unwrap();
    let mut cut = connection.sotw(Some(&leaked), Claimed::INGRESS).await.unwrap();
    assert!(kept.next().await.unwrap().is_some() && cut.next().await.unwrap().is_some());
    let pushed = file.trim_end().to_owned() + "\n          revocations: leaked\n";
    fs::write(ecds.join(".new"), pushed).unwrap();
    let begun = Instant::now();
    fs::rename(ecds.join(".new"), ecds.join("zonegate.yaml")).unwrap();
    assert!(timeout(LIMIT, cut.next()).await.unwrap().is_err());
    println!("cut after {:?}", begun.elapsed());
    assert!(begun.elapsed() < Duration::from_secs(2));
    world.control_plane.push();
    assert!(kept.next().await.unwrap().is_some(), "the other stream has ended");
    let refused = connection.sotw(Some(&leaked), Claimed::INGRESS).await.unwrap_err();
    assert!(refused.message().starts_with("zonegate: revoked: "), "{refused:?}");
    world.end().await;
}

#[tokio::test]
#[ignore = "needs istiod: make test-istio"]
async fn a_wasm_plugin_with_a_module_from_a_file_gates_too() {
    let mut world = World::new().await;
    let module = format!("file://{}", path(&variable("ZONEGATE_WASM")));
    let text = world.render("istio", &["--module-url", &module]);
    let mut objects: Vec<Value> = serde_saphyr::from_multiple(&text).unwrap();
    assert_eq!(objects.len(), 2, "{objects:?}");
    world.apply(&objects);
    let (good, leaked) = (world.token("good"), world.token("leaked"));
    let connection = world.start(&good).await;
    assert_gates(&connection, &good).await;
    let mut kept = connection.sotw(Some(&good), Claimed::INGRESS).await.unwrap();
    let mut cut = connection.sotw(Some(&leaked), Claimed::INGRESS).await.unwrap();
    assert!(kept.next().await.unwrap().is_some() && cut.next().await.unwrap().is_some());
    objects[0]["spec"]["pluginConfig"]["revocations"] = json!("leaked");
    let begun = Instant::now();
    world.apply(&objects);
    assert!(timeout(LIMIT, cut.next()).await.unwrap().is_err());
    println!("cut after {:?}", begun.elapsed());
    world.control_plane.push();
    assert!(kept.next().await.unwrap().is_some(), "the other stream has ended");
    let refused = connection.sotw(Some(&leaked), Claimed::INGRESS).await.unwrap_err();
    assert!(refused.message().starts_with("zonegate: revoked: "), "{refused:?}");
    world.end().await;
}

/// Good streams pass and bad ones are refused, with a small first message and with one of a megabyte.
async fn assert_gates(connection: &Connection, good: &str) {
    let refused = connection.sotw(Some("garbage"), Claimed::INGRESS).await.unwrap_err();
    assert!(refused.message().starts_with("zonegate: malformed_token: "), "{refused:?}");
    let refused = connection.sotw(Some(good), Claimed::EGRESS).await.unwrap_err();
    assert!(refused.message().starts_with("zonegate: out_of_scope: "), "{refused:?}");
    let mut large = discovery_request(Claimed::INGRESS);
    large.resource_names = vec!["x".repeat(1_000_000)];
    let mut passed = connection.sotw_of(Some(good), large).await.unwrap();
    assert!(passed.next().await.unwrap().is_some());
}
