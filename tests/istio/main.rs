//! The output of `config render --format istio…`, translated by istiod's own code (`istiod.go`), and a real Envoy as
//! the gateway.
//!
//! Envoy is a stock Envoy without an agent: it asks istiod directly. There is no TLS, because an agent would have to
//! serve the certificates.
//!
//! `make test-istio` names the programs (`ISTIOD`, `ENVOY_PATH`) and the filter (`ZONEGATE_WASM`).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test may panic
#![allow(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

#[path = "../shared/other_gateways.rs"]
mod other_gateways;
mod world;

use std::time::Duration;

use serde_json::{Value, json};

use crate::other_gateways::{EcdsFile, Open, assert_gates, path, variable};
use crate::world::World;

#[tokio::test]
#[ignore = "needs istiod: make test-istio"]
async fn an_envoy_filter_gates_and_a_push_cuts_the_revoked_stream_alone() {
    let mut world = World::new().await;
    let image = "oci://registry.example.org/zonegate:1";
    let rendered = world.render("istio-ecds", &["--module-url", image]);
    let (file, objects) = EcdsFile::of(&world.zone, &rendered);
    assert_eq!(objects.len(), 1, "{objects:?}");
    let took = assert_a_push_cuts(&mut world, &objects, |_| file.revoke(Open::REVOKED)).await;
    assert!(took < Duration::from_secs(2));
    world.end().await;
}

#[tokio::test]
#[ignore = "needs istiod: make test-istio"]
async fn a_wasm_plugin_with_a_module_from_a_file_gates_too() {
    let mut world = World::new().await;
    let module = format!("file://{}", path(&variable("ZONEGATE_WASM")));
    let text = world.render("istio", &["--module-url", &module]);
    let objects: Vec<Value> = serde_saphyr::from_multiple(&text).unwrap();
    assert_eq!(objects.len(), 2, "{objects:?}");
    let mut pushed = objects.clone();
    pushed[0]["spec"]["pluginConfig"]["revocations"] = json!(Open::REVOKED);
    assert_a_push_cuts(&mut world, &objects, |world| world.apply(&pushed)).await;
    world.end().await;
}

/// Starts the gateway with these objects, which gates, and runs `push`. Returns how long the cut took.
async fn assert_a_push_cuts(
    world: &mut World,
    objects: &[Value],
    push: impl FnOnce(&World),
) -> Duration {
    world.apply(objects);
    let good = world.zone.token("good");
    let connection = world.start(&good).await;
    assert_gates(&connection, &good).await;
    let mut open = Open::of(&world.zone, &connection).await;
    let took = open.assert_a_push_cuts(&world.zone, || push(world)).await;
    open.assert_stays_out(&connection).await;
    took
}
