//! The configuration files that users copy: the real Envoy reads each.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;
use zonegate_testkit::gateway::{Form, asking_a_service};
use zonegate_testkit::zone_proxy::Claimed;

use crate::form::{FilterOnly, form, module};
use crate::harness::{Bench, from_environment};

const ZONE_SIDE: &str = include_str!("../../envoy/global-kds/zone-side.yaml");
const GATEWAY: &str = include_str!("../../envoy/gateway.yaml");
const ZONE_TOKEN: &str = include_str!("../../envoy/global-kds/zone-token.yaml");

/// Every YAML file in `envoy/` and `examples/`, so that no new file is forgotten: each is a bootstrap configuration, or
/// another file includes it.
#[test]
fn every_configuration_file_is_valid() {
    if FilterOnly::Module.is_left_out() {
        return;
    }
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    let files: Vec<_> =
        ["envoy", "examples"].iter().flat_map(|dir| yaml(&root.join(dir))).collect();
    assert!(files.iter().any(|file| file.ends_with("envoy/gateway.yaml")), "{files:?}");
    // Files for other programs have their own tests.
    let is_for_another =
        |file: &PathBuf| file.iter().any(|part| part == "prometheus" || part == "kubernetes");
    let for_envoy = files.into_iter().filter(|file| !is_for_another(file));
    for file in for_envoy {
        let text = fs::read_to_string(&file).unwrap();
        if !is_of_form(&text) {
            continue;
        }
        let dir = TempDir::new().unwrap();
        let text = match text.as_str() {
            // The files that gateway.yaml includes; every other test runs with them.
            _ if file.iter().any(|part| part == "sds") => {
                include_str!("../../envoy/gateway.yaml").to_owned()
            }
            text if text.starts_with("# The filter and its policy") => in_a_gateway(text),
            // The secret that zone-side.yaml includes: `tests/envoy/zone_side.rs` runs with it.
            ZONE_TOKEN => ZONE_SIDE.to_owned(),
            // The parts for a gateway that asks a service.
            parts if file.iter().any(|part| part == "service") => {
                asking_a_service(GATEWAY, parts, 9912).unwrap().to_string()
            }
            _ => text,
        };
        let output = validate(&dir, &text);
        assert!(output.contains("configuration") && output.contains(" OK"), "{file:?}:\n{output}");
    }
}

#[test]
fn an_invalid_file_is_reported() {
    if FilterOnly::Pushes.is_left_out() {
        return;
    }
    let wrong = ZONE_SIDE.replace("overwrite: true", "overwrites: true");
    assert!(!validate(&TempDir::new().unwrap(), &wrong).contains(" OK"));
    let gateway = GATEWAY;
    let wrong = gateway.replace("stream_idle_timeout", "stream_idle_timeoutt");
    assert!(!validate(&TempDir::new().unwrap(), &wrong).contains(" OK"));
    let policy = form().ecds().replace("publicKeys:", "keys:");
    let output = validate(&TempDir::new().unwrap(), &in_a_gateway(&policy));
    assert!(!output.contains(" OK"), "{output}");
}

/// If the policy is refused, Envoy starts and lets nothing through; without the file it does not start.
#[test]
fn envoy_does_not_start_without_the_file_of_the_policy() {
    if FilterOnly::Pushes.is_left_out() {
        return;
    }
    let gateway = GATEWAY;
    let good = form().ecds();
    let dir = TempDir::new().unwrap();
    assert!(validate_with(&dir, gateway, Some(good)).contains(" OK"));
    let output = validate_with(&TempDir::new().unwrap(), gateway, None);
    assert!(output.contains("paths must refer to an existing path"), "{output}");
}

/// Puts the resource of an ECDS file in place of the reference to it, so that `--mode validate` runs the module on its
/// policy.
fn in_a_gateway(ecds: &str) -> String {
    let mut gateway: serde_json::Value = serde_saphyr::from_str(GATEWAY).unwrap();
    let ecds: serde_json::Value = serde_saphyr::from_str(ecds).unwrap();
    let filters =
        "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config/http_filters";
    let filter = gateway.pointer_mut(&format!("{filters}/0")).unwrap();
    let typed = ecds.pointer("/resources/0/typed_config").unwrap();
    *filter = serde_json::json!({ "name": "zonegate", "typed_config": typed });
    gateway.to_string()
}

/// Whether a file names no filter, or the form under test. The other form has its own test run.
fn is_of_form(text: &str) -> bool {
    let others = [Form::Wasm, Form::Native].into_iter().filter(|other| *other != form());
    others.into_iter().all(|other| !text.contains(other.installed()))
}

/// Envoy's output about a configuration, whose paths are replaced by those of existing files.
fn validate(dir: &TempDir, text: &str) -> String {
    validate_with(dir, text, Some(form().ecds()))
}

/// As `validate`, with this text in the policy file, or without the file.
fn validate_with(dir: &TempDir, text: &str, policy: Option<&str>) -> String {
    let bench = Bench::new();
    let module = module();
    let ecds = dir.path().join("ecds");
    fs::create_dir(&ecds).unwrap();
    if let Some(policy) = policy {
        fs::write(ecds.join("zonegate.yaml"), policy).unwrap();
    }
    let sds = dir.path().join("sds");
    fs::create_dir(&sds).unwrap();
    for file in yaml(&Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).join("envoy/sds")) {
        let folder = bench.options.certificate.parent().unwrap();
        let text = fs::read_to_string(&file)
            .unwrap()
            .replace(
                "/etc/zonegate/tls/control-plane-ca.pem",
                path(&bench.options.control_plane_ca),
            )
            .replace("/etc/zonegate/tls", path(folder));
        fs::write(sds.join(file.file_name().unwrap()), text).unwrap();
    }
    let (secret, folder) = (dir.path().join("zone-token.yaml"), dir.path().join("zone-token"));
    fs::create_dir(&folder).unwrap();
    fs::write(&secret, ZONE_TOKEN.replace("/etc/zonegate/zone-token", path(&folder))).unwrap();
    let text = text
        .replace("/etc/zonegate/zone-token.yaml", path(&secret))
        .replace("/etc/zonegate/zone-token", path(&folder))
        .replace("/etc/zonegate/tls/global-gateway-ca.pem", path(&bench.options.control_plane_ca))
        .replace("/etc/zonegate/sds", path(&sds))
        .replace(form().installed(), path(&module))
        .replace("/etc/zonegate/ecds", path(&ecds));
    let file = dir.path().join("envoy.yaml");
    fs::write(&file, text).unwrap();
    let mut envoy = Command::new(from_environment("ENVOY_PATH"));
    let output = envoy.args(["--mode", "validate", "-c"]).arg(&file).output().unwrap();
    let output = [output.stdout, output.stderr].concat();
    String::from_utf8_lossy(&output).into_owned()
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn yaml(dir: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(dir) else { return Vec::new() };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.unwrap().path();
        match path.extension().and_then(|extension| extension.to_str()) {
            _ if path.is_dir() => files.extend(yaml(&path)),
            Some("yaml" | "yml") => files.push(path),
            _ => {}
        }
    }
    files
}

/// Prometheus's own tool reads the files and runs the tests of the rules. `make test` sets its path if the tool is
/// available.
#[test]
fn prometheus_takes_its_files() {
    let Some(promtool) = std::env::var_os("PROMTOOL").filter(|path| !path.is_empty()) else {
        println!("skipped: PROMTOOL is not set");
        return;
    };
    let dir = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).join("examples/prometheus");
    for arguments in [["check", "config", "scrape.yaml"], ["test", "rules", "alerts-test.yaml"]] {
        let output = Command::new(&promtool).args(arguments).current_dir(&dir).output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }
    // The expressions of the dashboard, as rules, with values for its variables as Grafana inserts them.
    let rules: Vec<Value> = expressions(&serde_json::from_str(&dashboard(&dir)).unwrap())
        .into_iter()
        .enumerate()
        .map(|(number, expr)| json!({ "record": format!("panel:{number}"), "expr": expr }))
        .collect();
    assert!(rules.len() > 20, "{rules:?}");
    let rules = json!({ "groups": [{ "name": "dashboard", "rules": rules }] });
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), rules.to_string()).unwrap();
    let output =
        Command::new(&promtool).args(["check", "rules"]).arg(file.path()).output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

fn dashboard(dir: &Path) -> String {
    let text = fs::read_to_string(dir.join("dashboard.json")).unwrap();
    text.replace("$__rate_interval", "5m").replace("$instance", ".*")
}

/// All expressions below `value`.
fn expressions(value: &Value) -> Vec<String> {
    match value {
        Value::Object(members) => {
            let here = members.get("expr").and_then(Value::as_str).map(str::to_owned);
            here.into_iter().chain(members.values().flat_map(expressions)).collect()
        }
        Value::Array(items) => items.iter().flat_map(expressions).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
    }
}

/// `make test` sets the path of func-e if a Go is available to install it.
#[tokio::test]
async fn the_gateway_runs_under_func_e() {
    if FilterOnly::Demo.is_left_out() {
        return;
    }
    let Some(func_e) = std::env::var_os("FUNC_E").filter(|path| !path.is_empty()) else {
        println!("skipped: FUNC_E is not set");
        return;
    };
    let mut bench = Bench::new();
    bench.options.func_e = Some(PathBuf::from(func_e));
    let setup = bench.start().await;
    let token = setup.token();
    let mut stream = setup.connect().await.sotw(Some(&token), Claimed::INGRESS).await.unwrap();
    assert!(stream.next().await.unwrap().is_some());
    let address = setup.gateway.address();
    setup.gateway.stop().await;
    assert!(tokio::net::TcpStream::connect(address).await.is_err(), "Envoy goes on without func-e");
}
