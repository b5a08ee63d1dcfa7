//! `zonegate sync` for dataplane tokens: keys and revocations of a mesh, in the control plane's secrets.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::time::sleep;
use zonegate_issuer::SigningKey;
use zonegate_testkit::kuma::Kind;

use super::{Meshes, secret_path, set_mesh_secret, sidecar, token};
use crate::harness::{Bench, LIMIT, MESH, Setup, ZONE};
use crate::kumactl::Way;
use crate::sync::Sync;

const REVOCATIONS: &str = "dataplane-token-revocations-default";

/// The base of `sync`: the policy without keys and revocations.
pub(super) fn base() -> Value {
    json!({ "zone": ZONE, "proxies": { "dataplane": "dpToken" } })
}

/// Kuma reads only the global secret. The gate also reads the secret of the mesh, because the documentation puts the
/// ids there.
#[tokio::test]
#[ignore = "needs KUMA_HOME: make test-kuma"]
async fn ids_in_either_revocation_secret_are_revoked_at_the_gate() {
    let setup = Bench::new().start().await;
    let api = setup.control_plane.api();
    let Meshes { default, .. } = Meshes::of(api).await;
    let sync = Sync::with_base(&setup, &base()).await;
    let of = |id: &str| token(&default, "1", &[("jti", json!(id))]);
    setup.wait_sidecar(Way::Gateway, &of("kept"), "").await;
    let start = |id: &str| setup.proxy(Kind::Dataplane, id, Some(&of(id)));
    let proxies = ["in-mesh", "in-global", "kept"].map(|id| (id, start(id)));
    for (name, proxy) in &proxies {
        setup.wait_online(proxy, Kind::Dataplane, name, true).await;
    }
    setup.wait_stat("streams.open", 6).await;
    set_mesh_secret(api, MESH, REVOCATIONS, b"in-mesh").await;
    api.set_secret(REVOCATIONS, b"in-global").await.unwrap();
    for (name, proxy) in &proxies[..2] {
        proxy.wait_log(&format!("zonegate: revoked: token \"{name}\""), LIMIT).await.unwrap();
        setup.wait_online(proxy, Kind::Dataplane, name, false).await;
        setup.wait_sidecar(Way::Gateway, &of(name), "zonegate: revoked: ").await;
    }
    setup.wait_sidecar(Way::Straight, &of("in-global"), "token is revoked").await;
    setup.wait_sidecar(Way::Straight, &of("in-mesh"), "").await;
    setup.wait_sidecar(Way::Gateway, &of("kept"), "").await;
    let [.., (_, kept)] = &proxies;
    setup.wait_online(kept, Kind::Dataplane, "kept", true).await;
    assert!(!kept.process.log().unwrap().contains("zonegate: "));
    sync.stop(&setup).await;
}

/// Rotates the key of a mesh as Kuma's documentation says. The gateway needs no change.
#[tokio::test]
#[ignore = "needs KUMA_HOME: make test-kuma"]
async fn a_key_of_a_mesh_that_is_rotated_in_the_secrets_is_rotated_at_the_gate() {
    let setup = Bench::new().start().await;
    let api = setup.control_plane.api();
    let Meshes { default, .. } = Meshes::of(api).await;
    let sync = Sync::with_base(&setup, &base()).await;
    let old = token(&default, "1", &[]);
    setup.wait_sidecar(Way::Gateway, &old, "").await;
    let second = SigningKey::generate(2048).unwrap();
    let name = |serial: u32| format!("dataplane-token-signing-key-default-{serial}");
    set_mesh_secret(api, MESH, &name(2), second.to_pem().as_bytes()).await;
    sync.says("key added kid=\"default/2\" fingerprint=SHA256:").await;
    let new = api.dataplane_token(MESH, "web").await.unwrap();
    setup.wait_sidecar(Way::Gateway, &new, "").await;
    assert!(setup.stat("kid.default/2.allowed").await >= 1);
    setup.wait_sidecar(Way::Gateway, &old, "").await;
    setup.kumactl(&["delete", "secret", "--mesh", MESH, &name(1)]).await;
    assert!(api.get(&secret_path(MESH, &name(1))).await.unwrap().is_none());
    sync.says("key removed kid=\"default/1\" fingerprint=SHA256:").await;
    setup.wait_sidecar(Way::Gateway, &old, "zonegate: unknown_kid: ").await;
    setup.wait_sidecar(Way::Gateway, &new, "").await;
    setup.wait_sidecar(Way::Straight, &old, "there is no signing key with KID 1").await;
    sync.stop(&setup).await;
}

impl Setup {
    /// Waits until the sidecar `web` is refused with this text, or let in if the text is empty.
    pub(super) async fn wait_sidecar(&self, way: Way, token: &str, wanted: &str) {
        let (start, message) = (Instant::now(), sidecar(MESH, "web"));
        loop {
            let seen = self.connects_by(way, token, &message).await;
            match &seen {
                Ok(()) if wanted.is_empty() => return,
                Err(words) if !wanted.is_empty() && words.contains(wanted) => return,
                _ => assert!(start.elapsed() < LIMIT, "{way:?}: {seen:?}, not {wanted:?}"),
            }
            sleep(Duration::from_millis(50)).await;
        }
    }
}
