//! The policy in a file that Envoy watches.

use std::fs;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::time::timeout;
use zonegate_testkit::zone_proxy::Claimed;

use crate::world::{LIMIT, World, assert_gates, path, variable};

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
    let ecds = world.folder().join("ecds");
    let text = world
        .render("envoy-gateway-ecds", &[&["--listener", "kuma"], flags].concat())
        .replace("/etc/zonegate/module/plugin.wasm", path(&variable("ZONEGATE_WASM")))
        .replace("/etc/zonegate/ecds", path(&ecds));
    let mut objects: Vec<Value> = serde_saphyr::from_multiple(&text).unwrap();
    let file = objects.remove(0)["data"]["zonegate.yaml"].as_str().unwrap().to_owned();
    assert_eq!(objects.len(), 4, "{objects:?}");
    fs::create_dir(&ecds).unwrap();
    fs::write(ecds.join("zonegate.yaml"), &file).unwrap();
    world.apply(&objects);
    let (good, leaked) = (world.token("good"), world.token("leaked"));
    let connection = world.start(&good).await;
    assert_gates(&connection, &good).await;
    let mut kept = connection.sotw(Some(&good), Claimed::INGRESS).await.unwrap();
    let mut cut = connection.sotw(Some(&leaked), Claimed::INGRESS).await.unwrap();
    assert!(kept.next().await.unwrap().is_some() && cut.next().await.unwrap().is_some());
    // A push, as the kubelet's or an operator's.
    let zone = file.lines().find(|line| line.ends_with(" zone: zone-1")).unwrap();
    let revocations = zone.replace("zone: zone-1", "revocations: leaked");
    let pushed = format!("{}\n{revocations}\n", file.trim_end());
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
