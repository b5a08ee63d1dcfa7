//! Keys in kuma-cp's own file: for one mesh, and for every mesh.

use serde_json::json;
use zonegate_issuer::SigningKey;
use zonegate_testkit::kuma::DataplaneKey;

use super::{Meshes, OTHER, render, sidecar, token};
use crate::harness::{Bench, MESH};
use crate::kumactl::Way;

/// The verdict on a token in a mesh.
enum Verdict {
    LetIn,
    /// The beginning of the gate's text, and a part of Kuma's.
    Refused(&'static str, &'static str),
}

const LET_IN: Verdict = Verdict::LetIn;
const OF_ANOTHER_KEY: Verdict = Verdict::Refused("invalid_signature: ", "verification error");

/// `zonegate config render` makes the policy from kuma-cp's file and from the secrets of both meshes. The gate and the
/// control plane choose the same key.
#[tokio::test]
#[ignore = "needs KUMA_HOME: make test-kuma"]
async fn a_key_without_a_mesh_is_good_in_every_mesh() {
    let [every, shared, own] = [(); 3].map(|()| SigningKey::generate(2048).unwrap());
    let mut bench = Bench::new();
    let key = |mesh: Option<&str>, kid: &str, key: &SigningKey| DataplaneKey {
        mesh: mesh.map(str::to_owned),
        kid: kid.to_owned(),
        key: key.public_key_pem().to_owned(),
    };
    bench.options.dataplane_keys = vec![
        key(Some(MESH), "own", &own),
        key(Some(MESH), "shared", &own),
        key(None, "every", &every),
        key(None, "shared", &shared),
    ];
    let setup = bench.start().await;
    let meshes = Meshes::of(setup.control_plane.api()).await;
    let base = json!({ "proxies": { "dataplane": "dpToken" } });
    let file = setup.control_plane.configuration().to_str().unwrap();
    let policy = render(&setup, &base, &["--kuma-cp-config", file]).await;
    let fields = ["zone", "publicKeys", "proxies", "dpToken"];
    let fields = fields.map(|field| (field, policy[field].clone()));
    setup.push(&fields).await;
    let unknown = |kid| Verdict::Refused("unknown_kid: ", kid);
    for (key, kid, in_default, in_other) in [
        (&every, "every", LET_IN, LET_IN),
        // If two keys have this kid, the key for every mesh counts, even in the mesh of the other key.
        (&shared, "shared", LET_IN, LET_IN),
        (&own, "shared", OF_ANOTHER_KEY, OF_ANOTHER_KEY),
        (&own, "own", LET_IN, unknown("there is no signing key with KID own")),
        // The meshes' own keys have this kid.
        (&meshes.default, "1", LET_IN, OF_ANOTHER_KEY),
        (&meshes.other, "1", OF_ANOTHER_KEY, LET_IN),
    ] {
        for (mesh, verdict) in [(MESH, in_default), (OTHER, in_other)] {
            let token = token(key, kid, &[]);
            let message = sidecar(mesh, "web");
            let gate = setup.connects_by(Way::Gateway, &*token, &message).await;
            let kuma = setup.connects_by(Way::Straight, &*token, &message).await;
            match verdict {
                Verdict::LetIn => assert_eq!((gate, kuma), (Ok(()), Ok(())), "{kid} in {mesh}"),
                Verdict::Refused(ours, theirs) => {
                    let (gate, kuma) = (gate.unwrap_err(), kuma.unwrap_err());
                    assert!(
                        gate.starts_with(&format!("zonegate: {ours}")),
                        "{kid} in {mesh}: {gate}"
                    );
                    assert!(kuma.contains(theirs), "{kid} in {mesh}: {kuma}");
                }
            }
        }
    }
}
