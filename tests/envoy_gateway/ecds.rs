//! The policy in a file that Envoy watches.

use std::time::Duration;

use crate::other_gateways::{EcdsFile, Open, assert_gates, path, variable};
use crate::world::World;

#[tokio::test]
#[ignore = "needs Envoy Gateway: make test-envoy-gateway"]
async fn a_rendered_bundle_gates_and_a_push_cuts_the_revoked_stream_alone() {
    a_push_cuts_the_revoked_stream_alone(&[
        "--module-url",
        "oci://registry.example.org/zonegate:1",
    ])
    .await;
}

#[tokio::test]
#[ignore = "needs Envoy Gateway: make test-envoy-gateway"]
async fn a_rendered_bundle_with_the_dynamic_module_gates_too() {
    let library = variable("ZONEGATE_NATIVE");
    let image = "oci://registry.example.org/zonegate:1-native-amd64";
    a_push_cuts_the_revoked_stream_alone(&["--module-url", image, "--module", path(&library)])
        .await;
}

async fn a_push_cuts_the_revoked_stream_alone(flags: &[&str]) {
    let mut world = World::new().await;
    let rendered = world.render("envoy-gateway-ecds", &[&["--listener", "kuma"], flags].concat());
    let (file, objects) = EcdsFile::of(&world.zone, &rendered);
    assert_eq!(objects.len(), 4, "{objects:?}");
    world.apply(&objects);
    let good = world.zone.token("good");
    let connection = world.start(&good).await;
    assert_gates(&connection, &good).await;
    let mut open = Open::of(&world.zone, &connection).await;
    let took = open.assert_a_push_cuts(&world.zone, || file.revoke(Open::REVOKED)).await;
    assert!(took < Duration::from_secs(2));
    open.assert_stays_out(&connection).await;
    world.end().await;
}
