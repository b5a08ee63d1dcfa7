//! The rollout of zone tokens at a global control plane: shadow mode, the walk-through, the commands of the page, and
//! the parts of Kuma's own tools.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use zonegate_issuer::SigningKey;
use zonegate_tool::plugin_config::plugin_file::PluginConfiguration;

use super::STREAMS;
use super::world::{Claims, Global, KID};
use crate::harness::{LIMIT, home};

const PAGE: &str = include_str!("../../../docs/global-kds.md");

/// The first block of commands after a line of the page.
fn block_after(line: &str) -> &'static str {
    let (_, after) = PAGE.split_once(line).unwrap_or_else(|| panic!("the page has no {line:?}"));
    after.split("```\n").nth(1).unwrap()
}

/// The steps of the page for the global control plane: a policy made from its secrets, and a token made by its API.
#[tokio::test]
#[ignore = "needs KUMA_HOME: make test-kuma"]
async fn the_commands_of_the_page_bring_the_first_zone_in() {
    // The policy that the harness has pushed lets nobody in.
    let stranger = SigningKey::generate(2048).unwrap();
    let keys = json!([{ "kid": KID, "key": stranger.public_key_pem() }]);
    let mut global = Global::start(&[("publicKeys", keys), ("countZones", json!([]))]).await;
    let dir = TempDir::new().unwrap();
    let bin = dir.path().join("bin");
    std::fs::create_dir(&bin).unwrap();
    symlink(env!("CARGO_BIN_EXE_zonegate"), bin.join("zonegate")).unwrap();
    let api = global.control_plane.api().address();
    let address = format!("http://{api}");
    let add = ["config", "control-planes", "add", "--name", "here", "--address", &address];
    let config = ["--config-file", "kumactl.yaml"];
    home().kumactl(dir.path(), config.iter().chain(&add)).await.unwrap();
    let kumactl = home().program("kumactl");
    let kumactl =
        format!("#!/bin/sh\nexec {} --config-file kumactl.yaml \"$@\"\n", kumactl.display());
    std::fs::write(bin.join("kumactl"), kumactl).unwrap();
    let mode = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(bin.join("kumactl"), mode).unwrap();
    let policy = block_after("**Make the policy of the secrets").replace("sudo ", "");
    let policy = policy.replace("/etc/zonegate/ecds/", "ecds/");
    let token = block_after("**Issue the token of the first zone.**");
    let token = token.replace("localhost:5681", &api.to_string());
    let verify = "zonegate verify east.token --config zonegate.yaml --client-id east";
    assert!(PAGE.contains(verify));
    let commands = format!("mkdir ecds\n{policy}\n{token}\n{verify}");
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let mut shell = Command::new("sh");
    let output = shell.args(["-euc", &commands]).env("PATH", path).current_dir(dir.path());
    let output = output.output().unwrap();
    assert!(output.status.success(), "{commands}\n{output:?}");
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("verdict   allowed as control-plane\n"), "{said}");

    global.push_file(&dir.path().join("ecds/zonegate.yaml")).await;
    let east = std::fs::read_to_string(dir.path().join("east.token")).unwrap();
    let east = global.zone("east", &east).await;
    global.wait_online("east", true).await;
    global.assert_synced("one", &east.control_plane).await;
    assert!(global.stat("zone.east.allowed").await > 0);
    assert_eq!(global.stat("zone.east.would_deny").await, 0);
    // The next step in "which zones have their side".
    let mut zonegate = Command::new(env!("CARGO_BIN_EXE_zonegate"));
    zonegate.args(["config", "render", "--base", "zonegate.yaml", "--mode", "enforce"]);
    let output = zonegate.args(["--output-file", "enforce.yaml"]).current_dir(dir.path()).output();
    assert!(output.unwrap().status.success());
    global.push_file(&dir.path().join("enforce.yaml")).await;
    let west = global.zone_without_side("west").await;
    west.process().wait_log("zonegate: missing_token: ", LIMIT).await.unwrap();
    assert!(global.is_online("east").await && !global.is_online("west").await);
}

/// A zone without its side is counted in shadow mode, and kept out when the mode changes to enforce.
#[tokio::test]
#[ignore = "needs KUMA_HOME: make test-kuma"]
async fn in_shadow_mode_the_zones_that_lack_their_side_are_counted() {
    let mut global = Global::start(&[("mode", json!("shadow"))]).await;
    let token = global.token(Claims { zone: "east", id: "id-1", seconds: 3_600 });
    let _east = global.zone("east", &token).await;
    let west = global.zone_without_side("west").await;
    global.wait_online("east", true).await;
    global.wait_online("west", true).await;
    global.assert_synced("one", &west).await;
    global.wait_at_least("zone.west.would_deny", STREAMS + 1).await;
    global.wait_at_least("zone.east.allowed", STREAMS + 1).await;
    let others =
        ["zone.west.allowed", "zone.west.denied", "zone.east.would_deny", "zone.east.denied"];
    for name in others {
        assert_eq!(global.stat(name).await, 0, "{name}");
    }
    assert_eq!(global.stat("zone.west.token_expires_at").await, 0);
    global.wait_stat("streams.shadowed", STREAMS).await;

    let cut = json!({ "onEnforce": "cut" });
    global.push(&[("mode", json!("enforce")), ("openStreams", cut)]).await;
    global.wait_stat("streams.shadowed", 0).await;
    assert!(global.stat("streams.cut.enforced").await >= 1);
    let said = "zonegate: missing_token: the request has no zone token";
    west.process().wait_log(said, LIMIT).await.unwrap();
    global.wait_online("west", false).await;
    assert!(global.is_online("east").await);
    global.wait_at_least("zone.west.denied", 1).await;
}

/// The walk-through with the key of a real global control plane, and real zones. One zone gets its side later.
#[tokio::test]
#[ignore = "needs KUMA_HOME: make test-kuma"]
async fn the_example_brings_two_zones_in() {
    let mut global = Global::start(&[]).await;
    let dir = TempDir::new().unwrap();
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/global-kds"));
    let api = global.control_plane.api().address();
    let mut script = Command::new(root.join("run"));
    script
        .arg(dir.path())
        .env("ZONEGATE", env!("CARGO_BIN_EXE_zonegate"))
        .env("KUMACTL", home().program("kumactl"))
        .env("CONTROL_PLANE", format!("http://{api}"));
    let output = script.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let readme = std::fs::read_to_string(root.join("README.md")).unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(readme.contains(&said), "the output has changed:\n{said}");
    let token = |name: &str| std::fs::read_to_string(dir.path().join(name)).unwrap();

    global.push_file(&dir.path().join("1-shadow.yaml")).await;
    let east = global.zone("east", &token("east.token")).await;
    let west = global.zone_without_side("west").await;
    global.wait_online("east", true).await;
    global.wait_online("west", true).await;
    assert!(global.stat("zone.west.would_deny").await > 0);
    assert_eq!(global.stat("zone.east.would_deny").await, 0);
    // West gets its side while the gateway is in shadow mode.
    west.stop().await;
    let shadowed = global.stat("zone.west.would_deny").await;
    let west = global.zone("west", &token("west.token")).await;
    global.wait_online("west", true).await;
    assert_eq!(global.stat("zone.west.would_deny").await, shadowed);

    global.push_file(&dir.path().join("2-enforce.yaml")).await;
    global.assert_synced("one", &east.control_plane).await;
    global.assert_synced("two", &west.control_plane).await;
    global.push_file(&dir.path().join("3-revoked.yaml")).await;
    east.wait_log("zonegate: revoked: ").await;
    global.wait_online("east", false).await;
    east.side.set_token(&token("east-new.token")).unwrap();
    global.wait_online("east", true).await;
    assert_eq!(global.stat("zone.west.denied").await, 0);
}

/// `zonegate sync` keeps the profile in the gateway's file, and adds keys and revocations from the secrets.
#[tokio::test]
#[ignore = "needs KUMA_HOME: make test-kuma"]
async fn what_is_revoked_at_the_global_control_plane_takes_the_zone_off() {
    let global = Global::start(&[]).await;
    let api = global.control_plane.api();
    let file = global.gateway.folder().join("ecds/zonegate.yaml");
    let mut sync = tokio::process::Command::new(env!("CARGO_BIN_EXE_zonegate"));
    sync.args(["sync", "--interval", "1s", "--address", &format!("http://{}", api.address())])
        .arg("--output-file")
        .arg(&file)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    let _sync = sync.spawn().unwrap();
    let east = global.token(Claims { zone: "east", id: "id-east", seconds: 3_600 });
    let west = global.token(Claims { zone: "west", id: "id-west", seconds: 3_600 });
    let (east, _west) = (global.zone("east", &east).await, global.zone("west", &west).await);
    global.wait_online("east", true).await;
    global.wait_online("west", true).await;
    api.set_secret("zone-token-revocations", b"id-east").await.unwrap();
    east.wait_log("zonegate: revoked: ").await;
    global.wait_online("east", false).await;
    assert!(global.is_online("west").await);
    assert_eq!(global.stat("zone.west.denied").await, 0);
    let policy = PluginConfiguration::find(&std::fs::read(&file).unwrap()).unwrap();
    let policy: Value = serde_json::from_slice(&policy.json).unwrap();
    let kept = ["profile", "countZones"].map(|name| policy[name].clone());
    assert_eq!(kept, [json!("globalKds"), json!(["east", "west"])]);
}

/// The patch for Kubernetes fits kumactl's output: kuma-cp gets the Envoy beside it and connects to it.
#[tokio::test]
#[ignore = "needs KUMA_HOME: make test-kuma"]
async fn the_side_of_a_zone_fits_into_the_deployment_of_kuma() {
    let dir = TempDir::new().unwrap();
    let install = ["install", "control-plane", "--without-kubernetes-connection", "--mode", "zone"];
    let zone = ["--zone", "east", "--kds-global-address", "grpc://127.0.0.1:5685"];
    let all = home().kumactl(dir.path(), install.iter().chain(&zone)).await.unwrap();
    let documents = all.split("\n---\n");
    let mut deployments = documents.filter(|document| document.contains("\nkind: Deployment\n"));
    let mut deployment: Value = serde_saphyr::from_str(deployments.next().unwrap()).unwrap();
    let patch = include_str!("../../../examples/global-kds/kubernetes/sidecar.yaml");
    let patch: Value = serde_saphyr::from_str(patch).unwrap();
    let control_plane = "/spec/template/spec/containers/0";
    let environment = deployment.pointer(control_plane).unwrap()["env"].as_array().unwrap();
    let address =
        json!({ "name": "KUMA_MULTIZONE_ZONE_GLOBAL_ADDRESS", "value": "grpc://127.0.0.1:5685" });
    assert!(environment.contains(&address), "{environment:?}");
    assert_eq!(deployment["metadata"]["name"], "kuma-control-plane");
    assert_eq!(deployment["metadata"]["namespace"], "kuma-system");
    // Containers and volumes are identified by name, and Kuma's have other names.
    for list in ["containers", "volumes"] {
        let names = |value: &Value| -> Vec<String> {
            let items = value["spec"]["template"]["spec"][list].as_array().unwrap();
            items.iter().map(|item| item["name"].as_str().unwrap().to_owned()).collect()
        };
        let (there, new) = (names(&deployment), names(&patch));
        assert!(new.iter().all(|name| !there.contains(name)), "{there:?} {new:?}");
    }
    // kubectl applies the patch, if it is installed.
    std::fs::write(dir.path().join("deployment.json"), deployment.take().to_string()).unwrap();
    let file =
        concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/global-kds/kubernetes/sidecar.yaml");
    let mut kubectl = Command::new("kubectl");
    kubectl.args(["patch", "--local", "--patch-file", file, "-o", "json", "-f"]);
    match kubectl.arg(dir.path().join("deployment.json")).output() {
        Err(error) => println!("skipped: kubectl: {error}"),
        Ok(output) => {
            assert!(output.status.success(), "{output:?}");
            let patched: Value = serde_json::from_slice(&output.stdout).unwrap();
            let containers = patched["spec"]["template"]["spec"]["containers"].as_array().unwrap();
            let names: Vec<&str> =
                containers.iter().map(|container| container["name"].as_str().unwrap()).collect();
            assert_eq!(names, ["zone-side", "control-plane"]);
        }
    }
}

/// kumactl refuses the scope without asking the control plane. The API of kuma-cp accepts any scope.
#[tokio::test]
#[ignore = "needs KUMA_HOME: make test-kuma"]
async fn kumactl_issues_no_token_for_a_control_plane_and_kuma_cp_does() {
    let global = Global::start(&[]).await;
    let api = global.control_plane.api();
    let hour = Duration::from_secs(3_600);
    let token = api.zone_token("east", &["cp"], hour).await.unwrap();
    let _east = global.zone("east", &token).await;
    global.wait_online("east", true).await;
    let dir = TempDir::new().unwrap();
    std::fs::write(dir.path().join("key.pem"), &*global.key.to_pem()).unwrap();
    let offline =
        ["generate", "zone-token", "--zone", "east", "--valid-for", "1h", "--scope", "cp"];
    let offline = offline.iter().chain(&["--signing-key-path", "key.pem", "--kid", KID]);
    let refused = home().kumactl(dir.path(), offline).await.unwrap_err().to_string();
    assert!(
        refused.contains("invalid --scope values: [cp] (supported scopes: [ingress egress])"),
        "{refused}"
    );
    // kumactl refuses the scope online too, as the administrator of this control plane.
    let address = format!("http://{}", global.control_plane.api().address());
    let add = ["config", "control-planes", "add", "--name", "here", "--address", &address];
    let online = ["generate", "zone-token", "--zone", "east", "--valid-for", "1h", "--scope", "cp"];
    let config = ["--config-file", "kumactl.yaml"];
    home().kumactl(dir.path(), config.iter().chain(&add)).await.unwrap();
    let refused = home().kumactl(dir.path(), config.iter().chain(&online)).await;
    let refused = refused.unwrap_err().to_string();
    assert!(refused.contains("invalid --scope values: [cp]"), "{refused}");
}
