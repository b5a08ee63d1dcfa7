//! What `zonegate config render` writes, taken by a real Envoy.

use std::process::Command;

use serde_json::json;
use zonegate::demo::zone_proxy::Claimed;

use crate::ecds::{SOURCE, is_revoked};
use crate::harness::{Bench, LIMIT, ZONE, claims_with, from_environment};

/// From a control plane's secrets to a gateway that lets its tokens in, and not the revoked one.
#[tokio::test]
async fn a_rendered_file_is_served_and_a_token_revoked_in_it() {
    let mut bench = Bench::new();
    let folder = bench.scratch().join("rendered");
    std::fs::create_dir(&folder).unwrap();
    let (secrets, file) = (bench.scratch().join("secrets.json"), folder.join("zonegate.yaml"));
    let secret = |name: &str, data: &str| {
        use base64::Engine;
        let data = base64::engine::general_purpose::STANDARD.encode(data);
        json!({ "type": "GlobalSecret", "name": name, "data": data })
    };
    let list = json!({ "total": 2, "next": null, "items": [
        secret("zone-token-signing-key-1", &bench.key.to_pem()),
        secret("zone-token-revocations", "gone,id-2\n"),
    ]});
    std::fs::write(&secrets, list.to_string()).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_zonegate"))
        .args(["config", "render", "--zone", ZONE, "--secrets"])
        .arg(&secrets)
        .arg("--module")
        .arg(from_environment("ZONEGATE_WASM"))
        .arg("--output")
        .arg(&file)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    bench.options.edits = vec![
        (format!("{SOURCE}/path_config_source/path"), json!(file)),
        (format!("{SOURCE}/path_config_source/watched_directory/path"), json!(folder)),
    ];
    // What the harness itself would have pushed lets nobody in.
    bench.options.policy["zone"] = json!("elsewhere");
    let setup = bench.start().await;
    let token = setup.token();
    let mut stream = setup.connect().await.sotw(Some(&token), Claimed::INGRESS).await.unwrap();
    stream.next().await.unwrap().unwrap();
    let revoked = setup.sign(claims_with("jti", json!("id-2")));
    let refused = setup.connect().await.sotw(Some(&revoked), Claimed::INGRESS).await;
    assert!(refused.err().unwrap().message().starts_with("zonegate: revoked: "));
    assert_eq!(setup.stat("config.revocations").await, 2);
    // The token that is in use: by the token itself, in the file that Envoy watches.
    let revoking = Command::new(env!("CARGO_BIN_EXE_zonegate"))
        .arg("revoke")
        .arg(&file)
        .arg(&token)
        .output()
        .unwrap();
    assert!(revoking.status.success(), "{revoking:?}");
    is_revoked(&setup).await;
    assert!(tokio::time::timeout(LIMIT, stream.next()).await.unwrap().is_err());
}
