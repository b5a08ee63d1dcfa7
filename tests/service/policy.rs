//! The policy file: checked again and again, in every form, and taken or refused as a whole.

use std::fs;
use std::os::unix::fs::symlink;

use serde_json::json;
use tokio::time::timeout;
use zonegate_testkit::gateway::{Service, ServiceProtocol};

use crate::by_headers::{Asked, auth};
use crate::world::{LIMIT, World, policy, wait_stat};

const ACCEPTED: &str = "zonegate.config.accepted";
const REJECTED: &str = "zonegate.config.rejected";

async fn is_let_in(service: &Service, token: &str) -> bool {
    auth(service, &Asked::stream(token)).await.status == 200
}

#[tokio::test]
async fn without_a_policy_everything_is_refused_and_it_is_not_ready() {
    let world = World::new();
    let token = world.token(json!({}));
    let service = world.serve_whatever(&world.file()).await;
    wait_stat(&service, REJECTED, 1).await;
    assert_eq!(service.get("/ready").await.unwrap().0, 503);
    let refused = auth(&service, &Asked::stream(&token)).await;
    assert_eq!((refused.status, refused.reason()), (403, "policy_unavailable"));
    // A bad policy changes nothing.
    world.write(&json!({ "zone": "zone-1" }));
    wait_stat(&service, REJECTED, 2).await;
    assert_eq!(service.get("/ready").await.unwrap().0, 503);
    world.write(&world.options.policy);
    wait_stat(&service, ACCEPTED, 1).await;
    assert_eq!(service.get("/ready").await.unwrap().0, 200);
    assert!(is_let_in(&service, &token).await);
}

#[tokio::test]
async fn a_bad_file_is_refused_and_counted_and_the_policy_before_stays() {
    let world = World::new();
    let token = world.token(json!({}));
    let service = world.serve().await;
    let bad = [
        "zone: [".to_owned(),
        String::new(),
        json!({ "zone": "zone-1", "publicKeys": [] }).to_string(),
        policy(&world.key, json!({ "modes": "enforce" })).to_string(),
    ];
    for (count, text) in (1..).zip(bad) {
        fs::write(world.folder().join(".new"), &text).unwrap();
        fs::rename(world.folder().join(".new"), world.file()).unwrap();
        wait_stat(&service, REJECTED, count).await;
        assert!(is_let_in(&service, &token).await, "{text}");
    }
    assert!(service.log().unwrap().contains("modes: unknown field"), "{}", service.log().unwrap());
    // A missing file is reported, and changes nothing either.
    fs::remove_file(world.file()).unwrap();
    wait_stat(&service, REJECTED, 5).await;
    assert!(is_let_in(&service, &token).await);
    world.write(&policy(&world.key, json!({ "revocations": "id-1" })));
    wait_stat(&service, ACCEPTED, 2).await;
    assert!(!is_let_in(&service, &token).await);
    assert_eq!(service.stat("zonegate.config.revocations").await.unwrap(), Some(1));
}

/// The file is in a ConfigMap, and has the form that a filter reads.
#[tokio::test]
async fn the_symlink_swap_of_a_config_map_is_a_push() {
    let world = World::new();
    let token = world.token(json!({}));
    let map = world.folder().join("map");
    let ecds = |fields| {
        let form = zonegate_testkit::gateway::Form::Wasm;
        let mut file: serde_json::Value = serde_saphyr::from_str(form.ecds()).unwrap();
        let place = format!("/resources/0/typed_config{}/value", form.policy());
        *file.pointer_mut(&place).unwrap() = policy(&world.key, fields);
        file.to_string()
    };
    for (version, fields) in [("..1", json!({})), ("..2", json!({ "revocations": "id-1" }))] {
        fs::create_dir_all(map.join(version)).unwrap();
        fs::write(map.join(version).join("zonegate.yaml"), ecds(fields)).unwrap();
    }
    symlink("..1", map.join("..data")).unwrap();
    symlink("..data/zonegate.yaml", map.join("zonegate.yaml")).unwrap();
    let service = world.serve_whatever(&map.join("zonegate.yaml")).await;
    wait_stat(&service, ACCEPTED, 1).await;
    assert!(is_let_in(&service, &token).await);
    symlink("..2", map.join("..data_tmp")).unwrap();
    fs::rename(map.join("..data_tmp"), map.join("..data")).unwrap();
    wait_stat(&service, ACCEPTED, 2).await;
    assert!(!is_let_in(&service, &token).await);
}

/// Envoy asks the service, which reads the file that `zonegate revoke` changed.
#[tokio::test]
async fn what_the_tool_revokes_is_cut() {
    let setup = World::new().gateway(ServiceProtocol::ExtProc).await;
    let token = setup.world.token(json!({}));
    let mut stream = setup.open(&token).await.unwrap();
    let file = setup.gateway.policy_file();
    // The tool edits YAML and JSON in place.
    let revoked = std::process::Command::new(env!("CARGO_BIN_EXE_zonegate"))
        .arg("revoke")
        .arg(&file)
        .arg(&token)
        .output()
        .unwrap();
    assert!(revoked.status.success(), "{revoked:?}");
    assert!(timeout(LIMIT, stream.next()).await.unwrap().is_err());
}
