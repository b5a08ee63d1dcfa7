//! The walk-throughs in `examples/`, run as they are written.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::timeout;
use zonegate_testkit::gateway::Pushed;
use zonegate_testkit::zone_proxy::Claimed;
use zonegate_tool::operator::plugin_file::PluginConfiguration;

use crate::harness::{Bench, LIMIT, Setup, claims};

/// What became of a connection with the token in `file`.
async fn try_token(setup: &Setup, file: &Path) -> String {
    let token = fs::read_to_string(file).unwrap();
    match setup.connect().await.sotw(Some(&token), Claimed::INGRESS).await {
        Ok(_) => "passes".to_owned(),
        Err(refused) => refused.message().split(": ").nth(1).unwrap().to_owned(),
    }
}

#[tokio::test]
async fn the_rotation_goes_as_its_readme_says() {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).join("examples/rotation");
    let dir = TempDir::new().unwrap();
    let mut script = Command::new(root.join("run"));
    script.arg(dir.path()).env("ZONEGATE", env!("CARGO_BIN_EXE_zonegate"));
    let output = script.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let readme = fs::read_to_string(root.join("README.md")).unwrap();
    assert!(readme.contains(&*String::from_utf8(output.stdout).unwrap()), "the output has changed");
    let policy = |name: &str| -> Value {
        serde_saphyr::from_str(&fs::read_to_string(dir.path().join(name)).unwrap()).unwrap()
    };
    let first = policy("1-before.yaml");
    let bench = Bench::new().set("zone", json!("us-east"));
    let setup = bench.set("publicKeys", first["publicKeys"].clone()).start().await;
    for name in ["1-before.yaml", "2-both.yaml", "3-after.yaml"] {
        if name != "1-before.yaml" {
            assert_eq!(setup.gateway.push(&policy(name)).await.unwrap(), Pushed::Accepted);
            // What is signed by nobody tells which keys there are.
            let (kid, reason) = match name {
                "2-both.yaml" => ("new", "invalid_signature"),
                _ => ("old", "unknown_kid"),
            };
            let header = json!({ "alg": "RS256", "kid": kid }).to_string();
            let forged = setup.key.sign_raw(&header, claims().to_string());
            setup.refused_everywhere_as(&forged, reason).await;
        }
        let old = try_token(&setup, &dir.path().join("old.token")).await;
        let new = try_token(&setup, &dir.path().join("new.token")).await;
        let cell =
            |seen: &str| if seen == "passes" { seen.to_owned() } else { format!("`{seen}`") };
        let row = format!("| `{name}` | {} | {} |", cell(&old), cell(&new));
        assert!(readme.contains(&row), "seen: {row}");
    }
    assert_eq!(setup.stat("kid.old.allowed").await, 2);
    assert_eq!(setup.stat("kid.new.allowed").await, 2);
}

/// Runs the script of an example, which must say what its README shows. Ids differ from run to run.
fn run(name: &str) -> TempDir {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).join("examples").join(name);
    let dir = TempDir::new().unwrap();
    let mut script = Command::new(root.join("run"));
    script.arg(dir.path()).env("ZONEGATE", env!("CARGO_BIN_EXE_zonegate"));
    let output = script.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let said = without_ids(&String::from_utf8(output.stdout).unwrap());
    let readme = without_ids(&fs::read_to_string(root.join("README.md")).unwrap());
    assert!(readme.contains(&said), "the output has changed:\n{said}");
    dir
}

fn without_ids(text: &str) -> String {
    let parts = text.split('"');
    let part = |part| if uuid::Uuid::parse_str(part).is_ok() { "ID" } else { part };
    parts.map(part).collect::<Vec<_>>().join("\"")
}

/// The plugin configuration in a file that Envoy watches.
fn policy_in(file: &Path) -> Value {
    let found = PluginConfiguration::find(&fs::read(file).unwrap()).unwrap();
    serde_json::from_slice(&found.json).unwrap()
}

/// A gateway with this policy.
async fn gateway(policy: Value) -> Setup {
    let mut bench = Bench::new();
    bench.options.policy = policy;
    bench.start().await
}

#[tokio::test]
async fn what_is_issued_offline_is_let_in() {
    let dir = run("offline-issuing");
    let setup = gateway(policy_in(&dir.path().join("zonegate.yaml"))).await;
    let token = fs::read_to_string(dir.path().join("ingress.token")).unwrap();
    let connection = setup.connect().await;
    let mut stream = connection.sotw(Some(&token), Claimed::INGRESS).await.unwrap();
    assert!(stream.next().await.unwrap().is_some());
    let refused = connection.sotw(Some(&token), Claimed::EGRESS).await.unwrap_err();
    assert!(refused.message().starts_with("zonegate: out_of_scope: "), "{refused:?}");
}

#[tokio::test]
async fn of_two_tokens_the_leaked_one_is_cut() {
    let dir = run("revocation");
    let path = |name: &str| dir.path().join(name);
    let setup = gateway(policy_in(&path("1-before.yaml"))).await;
    let connection = setup.connect().await;
    let token = |name: &str| fs::read_to_string(path(name)).unwrap();
    let (kept, leaked) = (token("kept.token"), token("leaked.token"));
    let mut keeps = connection.sotw(Some(&kept), Claimed::INGRESS).await.unwrap();
    let mut leaks = connection.sotw(Some(&leaked), Claimed::INGRESS).await.unwrap();
    assert!(keeps.next().await.unwrap().is_some() && leaks.next().await.unwrap().is_some());
    let after = policy_in(&path("zonegate.yaml"));
    assert_eq!(setup.gateway.push(&after).await.unwrap(), Pushed::Accepted);
    assert!(timeout(LIMIT, leaks.next()).await.unwrap().is_err());
    // The worker that cut it has the push; the other one will.
    let start = Instant::now();
    while try_token(&setup, &path("leaked.token")).await != "revoked" {
        assert!(start.elapsed() < LIMIT, "it still passes");
    }
    assert_eq!(try_token(&setup, &path("leaked.token")).await, "revoked");
    assert_eq!(try_token(&setup, &path("kept.token")).await, "passes");
    assert_eq!(setup.stat("streams.cut.revoked").await, 1);
    // The text for the control plane is the ID, as it is in the token.
    let list = fs::read_to_string(path("revoked.txt")).unwrap();
    assert_eq!(after["revocations"], json!(list.trim()));
}
