//! Dataplanes with `dataplane: dpToken`: sidecars and zone proxies of a mesh, through the gateway, which has the
//! public halves of the control plane's own keys.

mod federated;
mod keys;
mod node_ids;
mod secrets;
mod sidecars;
mod stored;
mod zone_proxies;

use std::fs;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use envoy_types::pb::envoy::service::discovery::v3::DiscoveryRequest;
use serde_json::{Value, json};
use tokio::time::sleep;
use zonegate_issuer::SigningKey;
use zonegate_testkit::kuma::{Api, Kind};
use zonegate_testkit::zone_proxy::{Claimed, discovery_request};

use crate::harness::{Bench, MESH, Setup, now, within};
use crate::kumactl::zonegate;

/// Another mesh.
const OTHER: &str = "other";

/// The keys of two meshes, each made by the control plane, and both with the kid 1.
struct Meshes {
    default: SigningKey,
    other: SigningKey,
}

impl Meshes {
    /// Starts a gateway with the keys of both, which `zonegate config render` finds in kumactl's output.
    async fn start(bench: Bench) -> (Setup, Self) {
        let mut setup = bench.start().await;
        let meshes = Self::of(setup.control_plane.api()).await;
        let mut base = setup.policy.clone();
        base["proxies"] = json!({ "dataplane": "dpToken" });
        base["dpToken"] = json!({ "revocations": { MESH: "gone" } });
        setup.policy = render(&setup, &base, &[]).await;
        setup.push(&[]).await;
        (setup, meshes)
    }

    /// Creates the other mesh, and waits for the keys of both.
    async fn of(api: &Api) -> Self {
        let mesh = json!({ "type": "Mesh", "name": OTHER });
        api.put(&format!("/meshes/{OTHER}"), &mesh).await.unwrap();
        Self { default: key_of(api, MESH).await, other: key_of(api, OTHER).await }
    }
}

/// The policy that `zonegate config render` makes from this base, the secrets of both meshes, and more flags.
async fn render(setup: &Setup, base: &Value, flags: &[&str]) -> Value {
    let dir = setup.scratch();
    fs::write(dir.join("base.json"), base.to_string()).unwrap();
    let mut arguments = vec!["config", "render", "--format", "plugin", "--base", "base.json"];
    for mesh in [MESH, OTHER] {
        let secrets = setup.kumactl(&["get", "secrets", "--mesh", mesh, "-o", "yaml"]).await;
        fs::write(dir.join(format!("{mesh}.yaml")), secrets).unwrap();
    }
    arguments.extend(["--secrets", "default.yaml", "--secrets", "other.yaml"]);
    arguments.extend(flags);
    serde_json::from_str(&zonegate(dir, &arguments)).unwrap()
}

/// The signing key of a mesh. The control plane makes it when the mesh is created.
async fn key_of(api: &Api, mesh: &str) -> SigningKey {
    let path = secret_path(mesh, &format!("dataplane-token-signing-key-{mesh}-1"));
    let text = within(async {
        loop {
            if let Some(text) = api.get(&path).await.unwrap() {
                return text;
            }
            sleep(Duration::from_millis(100)).await;
        }
    });
    let secret: Value = serde_json::from_str(&text.await).unwrap();
    SigningKey::from_secret(&STANDARD.decode(secret["data"].as_str().unwrap()).unwrap()).unwrap()
}

/// Stores a secret of a mesh, new or in place of an older one.
async fn set_mesh_secret(api: &Api, mesh: &str, name: &str, bytes: &[u8]) {
    let data = STANDARD.encode(bytes);
    let secret = json!({ "type": "Secret", "mesh": mesh, "name": name, "data": data });
    api.put(&secret_path(mesh, name), &secret).await.unwrap();
}

fn secret_path(mesh: &str, name: &str) -> String {
    format!("/meshes/{mesh}/secrets/{name}")
}

/// A key of a mesh, in the form of the policy.
fn public(mesh: &str, kid: &str, key: &SigningKey) -> Value {
    json!({ "mesh": mesh, "kid": kid, "key": key.public_key_pem() })
}

/// A token that only these claims restrict.
fn token(key: &SigningKey, kid: &str, claims: &[(&str, Value)]) -> String {
    let header = json!({ "alg": "RS256", "kid": kid, "typ": "JWT" });
    let mut all = json!({ "exp": now() + 3600, "nbf": now() - 5, "jti": "id-1" });
    for (name, value) in claims {
        all[*name] = value.clone();
    }
    key.sign_raw(header.to_string(), all.to_string())
}

/// The first message of a sidecar of our own client. It includes the resource.
fn sidecar(mesh: &str, name: &str) -> DiscoveryRequest {
    let resource = Kind::Dataplane.resource(mesh, name, [8080, 8081]).to_string();
    let claimed = Claimed { proxy_type: Some("dataplane"), resource: Some(&resource) };
    let mut message = discovery_request(claimed);
    message.node.as_mut().unwrap().id = format!("{mesh}.{name}");
    message
}
