//! The gateway as the package installs it: Envoy runs with the installed files by the command of the installed unit,
//! accepts a good proxy and refuses another.
//!
//! Not checked: the unit's sandbox, because systemd would have to run.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;
use tokio::time::sleep;
use zonegate_issuer::SigningKey;
use zonegate_testkit::certificates::Certificates;
use zonegate_testkit::control_plane::{ControlPlane, Options};
use zonegate_testkit::process::{Log, Process};
use zonegate_testkit::zone_proxy::{Claimed, Connection};

use crate::packages::{have_dpkg, installed};
use crate::{named, run, text};

const LIMIT: Duration = Duration::from_secs(30);

#[tokio::test]
#[ignore = "of a release: make test-release"]
async fn the_installed_gateway_runs_with_the_module() {
    runs_with("zonegate.yaml").await;
}

#[tokio::test]
#[ignore = "of a release: make test-release"]
async fn the_installed_gateway_runs_with_the_dynamic_module() {
    runs_with("zonegate-native.yaml").await;
}

async fn runs_with(policy: &str) {
    if !have_dpkg() {
        return;
    }
    let dir = TempDir::new().unwrap();
    let system = installed(&dir);
    let etc = system.join("etc/zonegate");
    link_the_filter(&system);
    fs::create_dir(etc.join("tls")).unwrap();
    let certificates = Certificates::generate(&etc.join("tls")).unwrap();
    fs::copy(&certificates.ca_path, etc.join("tls/control-plane-ca.pem")).unwrap();
    let control_plane = ControlPlane::start(Options::new(&certificates)).await.unwrap();
    let key = SigningKey::generate(2048).unwrap();
    set_gateway(&etc, control_plane.address());
    set_policy(&system, policy, &key);
    let gateway = start(&dir, &system).await;
    let address = listener(&dir, &gateway).await;
    let connection = Connection::open(address, &certificates.ca).await.unwrap();
    let token = token(&key);
    let mut stream = connection.sotw(Some(&token), Claimed::INGRESS).await.unwrap();
    stream.next().await.unwrap();
    assert_eq!(control_plane.recorder().count(), 1);
    let refused = connection.sotw(Some("garbage"), Claimed::INGRESS).await.unwrap_err();
    assert!(refused.message().starts_with("zonegate: malformed_token: "), "{refused:?}");
    assert_eq!(control_plane.recorder().count(), 1);
}

/// Points the links of the package to the unpacked files, because the package's own links lead to the system's files.
fn link_the_filter(system: &Path) {
    for file in ["zonegate.wasm", "libzonegate.so"] {
        let link = system.join("etc/zonegate").join(file);
        assert!(fs::read_link(&link).unwrap().starts_with("/usr/lib/zonegate"));
        fs::remove_file(&link).unwrap();
        std::os::unix::fs::symlink(system.join("usr/lib/zonegate").join(file), link).unwrap();
    }
}

/// Follows step 2 of the page: sets the values marked SET, the paths of this folder, and free ports.
fn set_gateway(etc: &Path, control_plane: SocketAddr) {
    for file in text(run("find", &[etc.to_str().unwrap(), "-name", "*.yaml"])).lines() {
        let text = fs::read_to_string(file).unwrap();
        fs::write(file, text.replace("/etc/zonegate", etc.to_str().unwrap())).unwrap();
    }
    let path = etc.join("gateway.yaml");
    let mut gateway: Value = serde_saphyr::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    let mut set = |pointer: &str, value: Value| {
        let place = gateway.pointer_mut(pointer);
        *place.unwrap_or_else(|| panic!("gateway.yaml has no {pointer}")) = value;
    };
    set("/admin/address/socket_address/port_value", json!(0));
    let cluster = "/static_resources/clusters/0";
    let upstream = format!("{cluster}/load_assignment/endpoints/0/lb_endpoints/0/endpoint/address");
    set(&format!("{upstream}/socket_address/address"), json!(control_plane.ip()));
    set(&format!("{upstream}/socket_address/port_value"), json!(control_plane.port()));
    set(&format!("{cluster}/transport_socket/typed_config/sni"), json!("localhost"));
    let listeners = gateway["static_resources"]["listeners"].as_array_mut().unwrap();
    for listener in listeners {
        listener["address"]["socket_address"]["address"] = json!("127.0.0.1");
        listener["address"]["socket_address"]["port_value"] = json!(0);
    }
    let text = gateway.to_string();
    let name = r#""exact":"kuma-control-plane""#;
    assert!(text.contains(name), "gateway.yaml has no {name}");
    fs::write(path, text.replace(name, r#""exact":"localhost""#)).unwrap();
}

/// The shipped policy with another key, at the path that the gateway watches.
fn set_policy(system: &Path, policy: &str, key: &SigningKey) {
    let text = fs::read_to_string(system.join("usr/share/zonegate/ecds").join(policy)).unwrap();
    let (before, rest) = text.split_once("-----BEGIN").unwrap();
    let (_, after) = rest.split_once("END RSA PUBLIC KEY-----\n").unwrap();
    let indent = before.rsplit('\n').next().unwrap();
    let pem = key.public_key_pem().trim_end().replace('\n', &format!("\n{indent}"));
    let text = format!("{before}{pem}\n{after}");
    let etc = system.join("etc/zonegate");
    let text = text.replace("/etc/zonegate", etc.to_str().unwrap());
    fs::create_dir(etc.join("ecds")).unwrap();
    fs::write(etc.join("ecds/zonegate.yaml"), text).unwrap();
}

/// The words of a command of the installed unit, with the paths of this folder.
fn words(system: &Path, command: &str) -> Vec<String> {
    let unit = system.join("usr/lib/systemd/system/zonegate-gateway.service");
    let unit = fs::read_to_string(unit).unwrap().replace("\\\n", " ");
    let line = unit.lines().find_map(|line| line.strip_prefix(command)).unwrap();
    let etc = system.join("etc/zonegate");
    let words = line.split_whitespace().skip(1);
    words.map(|word| word.replace("/etc/zonegate", etc.to_str().unwrap())).collect()
}

fn admin_file(dir: &TempDir) -> PathBuf {
    dir.path().join("admin-address")
}

async fn start(dir: &TempDir, system: &Path) -> Process {
    run(system.join("usr/bin/zonegate"), &words(system, "ExecStartPre="));
    let mut envoy = Command::new(named("ENVOY_PATH"));
    envoy.args(words(system, "ExecStart="));
    envoy.arg("--admin-address-path").arg(admin_file(dir)).args(["--concurrency", "1"]);
    let gateway = Process::start(envoy, Log::File, dir.path().join("envoy.log")).unwrap();
    // The unit's log flags must show this line.
    gateway.wait_log("zonegate: configured version=", LIMIT).await.unwrap();
    gateway
}

/// The address of the listener, once it is ready.
async fn listener(dir: &TempDir, gateway: &Process) -> SocketAddr {
    let start = Instant::now();
    loop {
        if let Some(address) = look(dir).await {
            return address;
        }
        assert!(start.elapsed() < LIMIT, "{}", gateway.log_tail());
        sleep(Duration::from_millis(20)).await;
    }
}

async fn look(dir: &TempDir) -> Option<SocketAddr> {
    let admin = fs::read_to_string(admin_file(dir)).ok()?;
    get(&admin, "/ready").await?;
    let listeners = get(&admin, "/listeners").await?;
    listeners.lines().find_map(|line| line.strip_prefix("zonegate::")?.trim().parse().ok())
}

/// The answer of Envoy's admin interface; `None` if there is no answer or an error status.
async fn get(admin: &str, path: &str) -> Option<String> {
    let client = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
    let uri = format!("http://{}{path}", admin.trim()).parse().ok()?;
    let answer = client.get(uri).await.ok().filter(|answer| answer.status().is_success())?;
    let body = answer.into_body().collect().await.ok()?.to_bytes();
    String::from_utf8(body.into()).ok()
}

/// A token that is valid for an hour.
fn token(key: &SigningKey) -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let claims = json!({
        "Zone": "default", "Scope": ["ingress"], "jti": "installed",
        "iat": now - 5, "nbf": now - 5, "exp": now + 3600,
    });
    key.sign_raw(r#"{"alg":"RS256","kid":"1","typ":"JWT"}"#, claims.to_string())
}
