//! The walk-throughs in `examples/`, run as they are written.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::timeout;
use zonegate_testkit::gateway::Pushed;
use zonegate_testkit::zone_control_plane::Zone;
use zonegate_testkit::zone_proxy::{Claimed, Connection};
use zonegate_tool::plugin_config::plugin_file::PluginConfiguration;

use crate::harness::{Bench, LIMIT, Setup, claims};
use crate::zone_side;

/// The result of a connection with the token in `file`.
async fn try_token(setup: &Setup, file: &Path) -> String {
    let token = fs::read_to_string(file).unwrap();
    match setup.connect().await.sotw(Some(&token), Claimed::INGRESS).await {
        Ok(_) => "passes".to_owned(),
        Err(refused) => refused.message().split(": ").nth(1).unwrap().to_owned(),
    }
}

#[tokio::test]
async fn the_rotation_goes_as_its_readme_says() {
    let walk = run("rotation");
    let first = policy_in(&walk.path("1-before.yaml"));
    let setup = gateway(first).await;
    for name in ["1-before.yaml", "2-both.yaml", "3-after.yaml"] {
        if name != "1-before.yaml" {
            assert_eq!(
                setup.gateway.push(&policy_in(&walk.path(name))).await.unwrap(),
                Pushed::Accepted
            );
            // A token without a valid signature shows which kids are configured.
            let (kid, reason) = match name {
                "2-both.yaml" => ("new", "invalid_signature"),
                _ => ("old", "unknown_kid"),
            };
            let header = json!({ "alg": "RS256", "kid": kid }).to_string();
            let forged = setup.key.sign_raw(&header, claims().to_string());
            setup.refused_everywhere_as(&forged, reason).await;
        }
        let old = try_token(&setup, &walk.path("old.token")).await;
        let new = try_token(&setup, &walk.path("new.token")).await;
        let cell =
            |seen: &str| if seen == "passes" { seen.to_owned() } else { format!("`{seen}`") };
        let row = format!("| `{name}` | {} | {} |", cell(&old), cell(&new));
        assert!(walk.readme.contains(&row), "seen: {row}");
    }
    assert_eq!(setup.stat("kid.old.allowed").await, 2);
    assert_eq!(setup.stat("kid.new.allowed").await, 2);
}

/// The gateway's answer to a zone's control plane.
async fn ask_kds(connection: &Connection, zone: &str) -> String {
    let client_id = [zone];
    match connection.health_check(Zone { token: None, client_id: &client_id }).await {
        Ok(_) => "passes".to_owned(),
        Err(refused) => format!("`{}`", refused.message().split(": ").nth(1).unwrap()),
    }
}

/// No zone here sends its own token, as in every release of Kuma.
#[tokio::test]
async fn the_global_kds_example_works_as_its_readme_says() {
    let walk = run("global-kds");
    let token = |name: &str| fs::read_to_string(walk.path(name)).unwrap();
    let setup = gateway(policy_in(&walk.path("1-shadow.yaml"))).await;
    let east = setup.zone_side(Some(&token("east.token"))).await;
    let east_new = setup.zone_side(Some(&token("east-new.token"))).await;
    let (old, new) = (zone_side::connect(&east).await, zone_side::connect(&east_new).await);
    let west = setup.connect().await;
    let without = Zone { token: None, client_id: &["east"] };
    let mut open = old.zone_to_global(without).await.unwrap();
    assert!(open.next().await.unwrap().is_some());
    for name in ["1-shadow.yaml", "2-enforce.yaml", "3-revoked.yaml"] {
        if name != "1-shadow.yaml" {
            let policy = policy_in(&walk.path(name));
            assert_eq!(setup.gateway.push(&policy).await.unwrap(), Pushed::Accepted);
        }
        if name == "3-revoked.yaml" {
            assert!(timeout(LIMIT, open.next()).await.unwrap().is_err());
        }
        let row = || async {
            let (old, west) = (ask_kds(&old, "east").await, ask_kds(&west, "west").await);
            let new = ask_kds(&new, "east").await;
            format!("| `{name}` | {old} | {west} | {new} |")
        };
        // The push reaches the workers one after the other.
        let start = Instant::now();
        let mut seen = row().await;
        while !walk.readme.contains(&seen) {
            assert!(start.elapsed() < LIMIT, "seen: {seen}");
            seen = row().await;
        }
        if name == "1-shadow.yaml" {
            assert_eq!(setup.stat("zone.west.would_deny").await, 1);
            assert_eq!(setup.stat("zone.east.would_deny").await, 0);
            assert_eq!(setup.stat("zone.east.allowed").await, 3);
        }
    }
}

/// An example that was run.
struct Walk {
    readme: String,
    work: PathBuf,
    _dir: TempDir,
}

impl Walk {
    /// The path of a file that the example wrote.
    fn path(&self, name: &str) -> PathBuf {
        self.work.join(name)
    }
}

/// Runs the first commands in the README of an example, unchanged, from the root of a checkout. Only the folder that
/// they create is another one. Their output must be as the README shows, except for ids.
fn run(name: &str) -> Walk {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    let dir = TempDir::new().unwrap();
    fs::create_dir_all(dir.path().join("target/debug")).unwrap();
    symlink(root.join("examples"), dir.path().join("examples")).unwrap();
    let tool = dir.path().join("target/debug/zonegate");
    symlink(env!("CARGO_BIN_EXE_zonegate"), tool).unwrap();
    let readme = fs::read_to_string(root.join("examples").join(name).join("README.md")).unwrap();
    let commands = readme.split("```\n").nth(1).unwrap();
    let (_, folder) = commands.lines().next().unwrap().split_once("mkdir ").unwrap();
    let work = dir.path().join("work");
    let commands = commands.replace(folder, work.to_str().unwrap());
    let mut shell = Command::new("sh");
    let output = shell.args(["-euc", &commands]).current_dir(dir.path()).output().unwrap();
    assert!(output.status.success(), "{commands}{output:?}");
    let said = without_ids(&String::from_utf8(output.stdout).unwrap());
    assert!(without_ids(&readme).contains(&said), "the output has changed:\n{said}");
    Walk { readme, work, _dir: dir }
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
async fn a_token_issued_offline_is_let_in() {
    let walk = run("offline-issuing");
    let setup = gateway(policy_in(&walk.path("zonegate.yaml"))).await;
    let token = fs::read_to_string(walk.path("ingress.token")).unwrap();
    let connection = setup.connect().await;
    let mut stream = connection.sotw(Some(&token), Claimed::INGRESS).await.unwrap();
    assert!(stream.next().await.unwrap().is_some());
    let refused = connection.sotw(Some(&token), Claimed::EGRESS).await.unwrap_err();
    assert!(refused.message().starts_with("zonegate: out_of_scope: "), "{refused:?}");
}

#[tokio::test]
async fn of_two_tokens_the_leaked_one_is_cut() {
    let walk = run("revocation");
    let path = |name: &str| walk.path(name);
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
    // The worker that cut the stream has the push; the other one will get it.
    let start = Instant::now();
    while try_token(&setup, &path("leaked.token")).await != "revoked" {
        assert!(start.elapsed() < LIMIT, "it still passes");
    }
    assert_eq!(try_token(&setup, &path("leaked.token")).await, "revoked");
    assert_eq!(try_token(&setup, &path("kept.token")).await, "passes");
    assert_eq!(setup.stat("streams.cut.revoked").await, 1);
    // The list for the control plane is the ID, as in the token.
    let list = fs::read_to_string(path("revoked.txt")).unwrap();
    assert_eq!(after["revocations"], json!(list.trim()));
}
