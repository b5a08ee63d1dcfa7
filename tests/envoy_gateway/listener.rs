//! The policy in an EnvoyExtensionPolicy, so that a push is a change of the listener.

use std::net::SocketAddr;
use std::time::{Duration, Instant};
use std::{fs, str};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::time::sleep;
use zonegate_testkit::zone_proxy::Connection;

use crate::other_gateways::{LIMIT, Open, assert_gates, path, variable};
use crate::world::{DRAIN, World};

#[tokio::test]
#[ignore = "needs Envoy Gateway: make test-envoy-gateway"]
async fn a_dynamic_module_gates_and_a_push_cuts_the_revoked_stream_and_drains_the_others() {
    let mut world = World::new().await;
    let library = variable("ZONEGATE_NATIVE");
    let image = "oci://registry.example.org/zonegate:1-native-amd64";
    let flags = ["--module-url", image, "--module", path(&library)];
    let objects: Vec<Value> =
        serde_saphyr::from_multiple(&world.render("envoy-gateway-native", &flags)).unwrap();
    assert_eq!(objects.len(), 4, "{objects:?}");
    a_push_cuts_the_revoked_stream_and_drains_the_others(
        &mut world,
        objects,
        "/spec/dynamicModule/0/config",
    )
    .await;
    world.end().await;
}

/// Envoy Gateway fetches the module, and Envoy gets it from Envoy Gateway.
#[tokio::test]
#[ignore = "needs Envoy Gateway: make test-envoy-gateway"]
async fn the_module_in_wasm_gates_too() {
    let mut world = World::new().await;
    let module = fs::read(variable("ZONEGATE_WASM")).unwrap();
    let url = format!("http://{}/zonegate.wasm", served(module).await);
    let sum = std::process::Command::new("sha256sum").arg(variable("ZONEGATE_WASM")).output();
    let sum = sum.unwrap().stdout;
    let sum = str::from_utf8(&sum).unwrap().split_whitespace().next().unwrap();
    let flags = ["--module-url", &url, "--module-sha256", sum];
    let mut objects: Vec<Value> =
        serde_saphyr::from_multiple(&world.render("envoy-gateway", &flags)).unwrap();
    assert_eq!(objects.len(), 3, "{objects:?}");
    objects.extend(envoy_gateway_on_loopback(&world));
    a_push_cuts_the_revoked_stream_and_drains_the_others(
        &mut world,
        objects,
        "/spec/wasm/0/config",
    )
    .await;
    world.end().await;
}

async fn a_push_cuts_the_revoked_stream_and_drains_the_others(
    world: &mut World,
    mut objects: Vec<Value>,
    policy: &str,
) {
    world.apply(&objects);
    let good = world.zone.token("good");
    let connection = world.start(&good).await;
    assert_gates(&connection, &good).await;
    let mut open = Open::of(&world.zone, &connection).await;
    objects[0].pointer_mut(policy).unwrap()["revocations"] = json!(Open::REVOKED);
    let begun = Instant::now();
    open.assert_a_push_cuts(&world.zone, || world.apply(&objects)).await;
    // The other stream ends after its listener was drained.
    open.assert_the_other_ends().await;
    assert!(begun.elapsed() > DRAIN);
    let connection = connected(world).await;
    open.assert_stays_out(&connection).await;
    assert_gates(&connection, &good).await;
}

async fn connected(world: &World) -> Connection {
    let begun = Instant::now();
    loop {
        match world.connect().await {
            Ok(connection) => return connection,
            Err(error) => assert!(begun.elapsed() < LIMIT, "{error:#}"),
        }
        sleep(Duration::from_millis(50)).await;
    }
}

/// A server that answers every request with this module.
async fn served(module: Vec<u8>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let _ = client.read(&mut [0; 4096]).await;
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                module.len()
            );
            let _ = client.write_all(head.as_bytes()).await;
            let _ = client.write_all(&module).await;
        }
    });
    address
}

/// Envoy fetches modules from Envoy Gateway, by the name that Envoy Gateway has in a cluster and with files at the
/// paths of its pod. Here Envoy Gateway is on this machine, and the files are where `certgen` put them.
fn envoy_gateway_on_loopback(world: &World) -> [Value; 2] {
    let certificates = world.zone.folder().join("config/certs/envoy");
    let encoded = |name: &str| STANDARD.encode(fs::read(certificates.join(name)).unwrap());
    let replace = |path: &str, value: Value| {
        json!({
            "type": "type.googleapis.com/envoy.config.cluster.v3.Cluster",
            "name": "wasm_cluster",
            "operation": { "op": "replace", "path": path, "value": value },
        })
    };
    let endpoint = "/load_assignment/endpoints/0/lb_endpoints/0/endpoint";
    let context = "/transport_socket/typed_config/common_tls_context/validation_context";
    [
        json!({ "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls",
            "metadata": { "name": "envoy", "namespace": "envoy-gateway-system" },
            "data": { "tls.crt": encoded("tls.crt"), "tls.key": encoded("tls.key") } }),
        json!({ "apiVersion": "gateway.envoyproxy.io/v1alpha1", "kind": "EnvoyPatchPolicy",
            "metadata": { "name": "loopback", "namespace": "default" },
            "spec": {
                "targetRef": { "group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "edge" },
                "type": "JSONPatch",
                "jsonPatches": [
                    replace(&format!("{endpoint}/address/socket_address/address"), json!("127.0.0.1")),
                    replace(&format!("{context}/trusted_ca/filename"), json!(certificates.join("ca.crt"))),
                ],
            } }),
    ]
}
