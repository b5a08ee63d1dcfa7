//! The tool and the gateway together: the tool's tokens open streams, and `demo` runs to its end.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Instant;

use serde_json::json;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::time::timeout;
use zonegate_testkit::control_plane::{self, ControlPlane};
use zonegate_testkit::gateway::Pushed;
use zonegate_testkit::zone_proxy::{Claimed, Connection};

use crate::form::{FilterOnly, module};
use crate::harness::{Bench, LIMIT, ZONE, from_environment};

const ZONEGATE: &str = env!("CARGO_BIN_EXE_zonegate");

/// Runs the tool in `dir`.
fn zonegate(dir: &Path, arguments: &[&str]) -> String {
    let Output { status, stdout, stderr } =
        Command::new(ZONEGATE).args(arguments).current_dir(dir).output().unwrap();
    assert!(status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&stderr));
    String::from_utf8(stdout).unwrap()
}

/// The quick start: make a key, a public key and a token; the token is let in; revoke its ID; the token is refused.
#[tokio::test]
async fn a_generated_token_opens_a_stream_until_it_is_revoked() {
    let dir = TempDir::new().unwrap();
    let dir = dir.path();
    let key = ["generate", "signing-key", "--format", "pem", "--output-file", "key.pem"];
    zonegate(dir, &key);
    let public = zonegate(dir, &["generate", "public-key", "--signing-key-path", "key.pem"]);
    let token = ["generate", "zone-token", "--zone", ZONE, "--valid-for", "1h"];
    let signed = ["--scope", "ingress", "--signing-key-path", "key.pem", "--kid", "mine"];
    let token = zonegate(dir, &[token.as_slice(), signed.as_slice()].concat());
    let keys = json!([{ "kid": "mine", "key": public }]);
    let setup = Bench::new().set("publicKeys", keys.clone()).start().await;
    let connection = setup.connect().await;
    let mut stream = connection.sotw(Some(&token), Claimed::INGRESS).await.unwrap();
    assert!(stream.next().await.unwrap().is_some());
    let refused = connection.sotw(Some(&token), Claimed::EGRESS).await.unwrap_err();
    assert!(refused.message().starts_with("zonegate: out_of_scope: "), "{refused:?}");
    let revoking = json!({ "zone": ZONE, "publicKeys": keys, "revocations": [id_of(&token)] });
    assert_eq!(setup.gateway.push(&revoking).await.unwrap(), Pushed::Accepted);
    let start = Instant::now();
    let refused = loop {
        match connection.sotw(Some(&token), Claimed::INGRESS).await {
            Ok(_) => assert!(start.elapsed() < LIMIT, "the push is not in force"),
            Err(refused) => break refused,
        }
    };
    assert!(refused.message().starts_with("zonegate: revoked: "), "{refused:?}");
}

/// The `jti` of a token, read without the project's code.
fn id_of(token: &str) -> String {
    use base64::Engine;
    let claims = token.split('.').nth(1).unwrap();
    let claims = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(claims).unwrap();
    let claims: serde_json::Value = serde_json::from_slice(&claims).unwrap();
    claims["jti"].as_str().unwrap().to_owned()
}

fn programs() -> [String; 4] {
    let text = |path: PathBuf| path.to_str().unwrap().to_owned();
    let envoy = text(from_environment("ENVOY_PATH"));
    ["--envoy".into(), envoy, "--module".into(), text(module())]
}

#[test]
fn the_demo_shows_every_verdict_as_expected() {
    if FilterOnly::Demo.is_left_out() {
        return;
    }
    let output =
        Command::new(ZONEGATE).args(["demo", "verdicts"]).args(programs()).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}");
    assert!(text.contains("verdicts are as expected") && !text.contains("WRONG"), "{text}");
}

#[tokio::test]
async fn the_demo_runs_until_it_is_told_to_stop() {
    if FilterOnly::Demo.is_left_out() {
        return;
    }
    let text = run(&[]).await;
    assert!(text.contains("in front of a demo control plane"), "{text}");
    assert!(text.contains("gateway: configured "), "{text}");
    assert!(text.ends_with("Stopping.\n"), "{text}");
}

/// In front of another control plane, whose certificate is signed by a CA or trusted on first use.
#[tokio::test]
async fn the_gateway_runs_in_front_of_another_control_plane() {
    if FilterOnly::Demo.is_left_out() {
        return;
    }
    let bench = Bench::new();
    let options = control_plane::Options::new(&bench.certificates);
    let control_plane = ControlPlane::start(options).await.unwrap();
    let address = format!("localhost:{}", control_plane.address().port());
    let ca = bench.options.control_plane_ca.to_str().unwrap();
    let text = run(&["--control-plane", &address, "--control-plane-ca", ca]).await;
    assert!(text.contains("signing-key.pem") && !text.contains("Trusting"), "{text}");
    let text = run(&["--control-plane", &address]).await;
    assert!(text.contains("Trusting, for this run, the certificate"), "{text}");
    // One stream in each run.
    assert_eq!(control_plane.recorder().count(), 2);
    let mut pretender = Command::new(ZONEGATE);
    pretender
        .args(["demo", "run", "--port", "0", "--control-plane", "localhost:1"])
        .args(programs());
    let output = pretender.output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("localhost:1"), "{output:?}");
}

#[tokio::test]
async fn a_bad_configuration_is_refused_before_envoy_starts() {
    if FilterOnly::Demo.is_left_out() {
        return;
    }
    let dir = TempDir::new().unwrap();
    let config = dir.path().join("gate.yaml");
    std::fs::write(&config, "zone: a\npublicKeys:\n- kid: '1'\n  key: nothing\n").unwrap();
    let mut command = Command::new(ZONEGATE);
    command.args(["demo", "run", "--config"]).arg(&config).args(programs());
    let output = command.output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{error}");
    assert!(error.contains("gate.yaml: publicKeys[0].key: not PEM"), "{error}");
}

/// Starts `demo run`, opens a stream through it if it prints a key for tokens, stops it by a signal, and returns its
/// output.
async fn run(more: &[&str]) -> String {
    let mut command = tokio::process::Command::new(ZONEGATE);
    command.args(["demo", "run", "--port", "0"]).args(programs()).args(more);
    let mut child = command.stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut text = String::new();
    let read = async {
        while let Some(line) = lines.next_line().await.unwrap() {
            text += &(line.clone() + "\n");
            if line.starts_with("gateway: configured") {
                if text.contains("signing-key.pem") {
                    open_stream(&text).await;
                }
                let pid = child.id().unwrap().to_string();
                assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
            }
        }
    };
    timeout(LIMIT, read).await.unwrap();
    assert!(child.wait().await.unwrap().success(), "{text}");
    text
}

/// Makes a token with the printed key and opens a stream with it.
async fn open_stream(text: &str) {
    // The printed command works from every folder.
    assert!(text.contains(&format!("  {ZONEGATE} generate zone-token --zone ")), "{text}");
    let after =
        |mark: &str| text.split(mark).nth(1).unwrap().split([' ', ')', '\n']).next().unwrap();
    let key = after("A new signing key was made for this run: ");
    let token = ["generate", "zone-token", "--zone", "default", "--valid-for", "1h"];
    let signed = ["--signing-key-path", key, "--kid", "demo"];
    let token = zonegate(Path::new("/"), &[token.as_slice(), signed.as_slice()].concat());
    let ca = std::fs::read_to_string(after("(its CA: ")).unwrap();
    let address = format!("127.0.0.1:{}", after("https://127.0.0.1:")).parse().unwrap();
    let connection = Connection::open(address, &ca).await.unwrap();
    let mut stream = connection.sotw(Some(&token), Claimed::INGRESS).await.unwrap();
    assert!(stream.next().await.unwrap().is_some());
}

/// Two Envoys could share the port, and each would get a part of the connections.
#[test]
fn a_port_in_use_is_refused() {
    if FilterOnly::Demo.is_left_out() {
        return;
    }
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let mut command = Command::new(ZONEGATE);
    let output = command.args(["demo", "run", "--port", &port]).args(programs()).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{error}");
    assert!(error.contains(&format!("port {port} is in use")), "{error}");
}

/// The labels that `stats_tags` in `gateway.yaml` extracts from the counters' names.
#[tokio::test]
async fn prometheus_sees_reasons_and_kids_as_labels() {
    let setup = Bench::new().start().await;
    let token = setup.token();
    let connection = setup.connect().await;
    let mut stream = connection.sotw(Some(&token), Claimed::INGRESS).await.unwrap();
    stream.next().await.unwrap();
    connection.sotw(None, Claimed::INGRESS).await.unwrap_err();
    let mut revoking = crate::harness::policy(&setup.key);
    revoking["revocations"] = json!("id-1");
    setup.gateway.push(&revoking).await.unwrap();
    let cut = "zonegate.streams.cut.revoked";
    setup.gateway.wait_stat(cut, 1, LIMIT).await.unwrap();
    let metrics = setup.gateway.prometheus().await.unwrap();
    for line in [
        "zonegate_allowed{} 1",
        "zonegate_denied{reason=\"missing_token\"} 1",
        "zonegate_kid_allowed{kid=\"1\"} 1",
        "zonegate_streams_cut{why=\"revoked\"} 1",
        "zonegate_config_accepted{} 2",
        "zonegate_config_revocations{} 1",
    ] {
        assert!(metrics.lines().any(|seen| seen == line), "{line} is not in\n{metrics}");
    }
}
