//! The secrets that sync reads: zones, meshes, keys and ids.

use std::fs;

use crate::api::Api;
use crate::tool::Place;

#[tokio::test]
async fn odd_ids_in_the_secret_are_warned_of() {
    let (api, place) = (Api::start().await, Place::new());
    api.add_key("1");
    api.revoke("\u{feff}id-1;id-2,\"id-3\"");
    let (code, said) = place.once(&api, &["--zone", "east"]).await;
    assert_eq!(code, 0);
    assert!(said.contains("warning: revocations: entry 1, \"id-1;id-2\": a separator"), "{said}");
    assert!(said.contains("warning: revocations: entry 2, \"\\\"id-3\\\"\": a quote"), "{said}");
}

#[tokio::test]
async fn a_federated_zones_public_keys_count_and_other_secrets_are_not_asked_for() {
    let (api, place) = (Api::start().await, Place::new());
    let key = zonegate_issuer::SigningKey::generate(2048).unwrap();
    api.set("zone-token-signing-public-key-7", key.public_key_pem());
    api.set("admin-user-token", "not for us");
    assert_eq!(place.once(&api, &[]).await.0, 0);
    assert_eq!(place.kids(), ["7"]);
    let asked = api.asked();
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].path, "/global-secrets?name=zone-token&size=1000");
}

/// With a policy that takes dataplane tokens, sync takes their keys and revocations from the secrets of every mesh, and
/// nothing else of `dpToken`.
#[tokio::test]
async fn the_secrets_of_each_mesh_are_followed_where_dataplane_tokens_are_taken() {
    let (api, place) = (Api::start().await, Place::new());
    let key = |mesh: &str, kid: &str| {
        let key = zonegate_issuer::SigningKey::generate(2048).unwrap();
        api.set_in_mesh(
            mesh,
            &format!("dataplane-token-signing-key-{mesh}{kid}"),
            key.to_pem().as_bytes(),
        );
        key
    };
    let (default, east) = (key("default", ""), key("east", "-2"));
    api.set_in_mesh("east", "dataplane-token-revocations-east", "of-mesh");
    api.set("dataplane-token-revocations-east", "global");
    api.set_in_mesh("default", "ca-builtin-key-default", "not for us");
    api.state().page = 1;
    let policy = place.write(
        "gate.yaml",
        "zone: east\nproxies: {ingress: deny, egress: deny, dataplane: dpToken}\n\
         dpToken: {requireWorkload: whenLabelled}\n",
    );
    let (code, said) = place.once(&api, &["--base", &policy]).await;
    assert_eq!(code, 0, "{said}");
    let issuers = place.config().policy.issuers;
    let of_mesh = |mesh: &str| issuers.dp_token.by_mesh.get(mesh).unwrap();
    assert_eq!(of_mesh("default").keys.get("0"), Some(&default.public_key().into()));
    assert_eq!(of_mesh("east").keys.get("2"), Some(&east.public_key().into()));
    assert!(["of-mesh", "global"].iter().all(|id| of_mesh("east").revocations.contains(id)));
    assert_eq!(
        issuers.dp_token.require_workload,
        zonegate::credential::RequireWorkload::WhenLabelled
    );
    assert!(issuers.zone_token.keys.iter().next().is_none());
    assert!(api.asked().iter().all(|asked| asked.path.contains("name=dataplane-token")));
    for secret in api.secret_texts() {
        assert!(!fs::read_to_string(&place.ecds).unwrap().contains(&secret));
    }

    // Without the base, sync keeps the file: only keys and revocations from the secrets change.
    let before = fs::read_to_string(&place.ecds).unwrap();
    fs::write(&place.ecds, before.replace("proxies:", "proxies: # ours")).unwrap();
    let again = key("east", "-3");
    api.state().mesh_secrets.retain(|(_, name, _)| !name.ends_with("east-2"));
    let (code, said) = place.once(&api, &[]).await;
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("key added kid=\"east/3\""), "{said}");
    assert!(said.contains("key removed kid=\"east/2\""), "{said}");
    let issuers = place.config().policy.issuers;
    assert!(fs::read_to_string(&place.ecds).unwrap().contains("proxies: # ours"));
    let keys = &issuers.dp_token.by_mesh["east"].keys;
    assert_eq!((keys.get("2"), keys.get("3")), (None, Some(&again.public_key().into())));
    assert_eq!(
        issuers.dp_token.require_workload,
        zonegate::credential::RequireWorkload::WhenLabelled
    );
}

/// If dataplane tokens are not taken, `dpToken` belongs to the operator, and the secrets of meshes are not requested.
#[tokio::test]
async fn dp_token_settings_stay_if_dataplane_tokens_are_not_taken() {
    let (api, place) = (Api::start().await, Place::new());
    api.add_key("1");
    api.set("dataplane-token-revocations-east", "id");
    assert_eq!(place.once(&api, &["--zone", "east"]).await.0, 0);
    let before = fs::read_to_string(&place.ecds).unwrap();
    let own = "dpToken: { revocations: { east: \"mine\" } } # ours\n          publicKeys:";
    fs::write(&place.ecds, before.replace("publicKeys:", own)).unwrap();
    api.add_key("2");
    let (code, said) = place.once(&api, &[]).await;
    assert_eq!(code, 0, "{said}");
    let after = fs::read_to_string(&place.ecds).unwrap();
    assert!(after.contains("dpToken: { revocations: { east: \"mine\" } } # ours\n"), "{after}");
    assert_eq!(place.kids(), ["1", "2"]);
    assert!(api.asked().iter().all(|asked| asked.path.contains("name=zone-token")));
}

#[tokio::test]
async fn pages_are_followed() {
    let (api, place) = (Api::start().await, Place::new());
    for kid in ["1", "2", "3"] {
        api.add_key(kid);
    }
    api.revoke("id");
    api.state().page = 1;
    assert_eq!(place.once(&api, &["--zone", "east"]).await.0, 0);
    assert_eq!(place.config().policy.zone(), Some("east"));
    assert_eq!(place.kids(), ["1", "2", "3"]);
    assert!(place.config().policy.issuers.zone_token.revocations.contains("id"));
    assert_eq!(api.asked().len(), 4);
}

#[tokio::test]
async fn a_key_of_the_policy_and_one_of_the_secrets_must_not_share_a_kid() {
    let (api, place) = (Api::start().await, Place::new());
    api.add_key("1");
    let policy = serde_json::json!({
        "publicKeys": [{ "kid": "1", "key": include_str!("../data/key-1.pub.pem") }]
    });
    let policy = place.write("gate.json", &policy.to_string());
    let (code, said) = place.once(&api, &["--base", &policy]).await;
    assert_eq!(code, 2);
    let wanted = format!(
        "error: kid \"1\" occurs twice, with different keys: in {policy} and in the control plane \
         (secret zone-token-signing-key-1); remove one\n"
    );
    assert_eq!(said, wanted);
    assert!(!place.ecds.exists());
}
