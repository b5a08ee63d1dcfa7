//! The walk-throughs in `examples/`, run as they are written.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;
use zonegate::demo::gateway::Pushed;
use zonegate::demo::zone_proxy::Claimed;

use crate::harness::{Bench, Setup};

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
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/rotation");
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
