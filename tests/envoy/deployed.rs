//! `deploy/kubernetes`, run as in its pod: Envoy with the arguments of the manifest, and the files of its volumes, in
//! folders as a kubelet creates them. Only paths and ports differ.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Instant;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;
use tokio::time::sleep;
use zonegate_testkit::certificates::Certificates;
use zonegate_testkit::control_plane::{self, ControlPlane};
use zonegate_testkit::kuma::free_port;
use zonegate_testkit::process::{Log, Process};
use zonegate_testkit::zone_proxy::{Claimed, Connection};

use crate::form::{FilterOnly, WasmOnly};
use crate::hardened::wait_ready;
use crate::harness::{LIMIT, claims, from_environment, policy};

const DEPLOY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy");
const SHIPPED: &str = include_str!("../../envoy/gateway.yaml");
const SERVICE: &str = "kuma-control-plane.kuma-system.svc";

fn read(path: &str) -> String {
    fs::read_to_string(format!("{DEPLOY}/{path}")).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn yaml(text: &str) -> Value {
    serde_saphyr::from_str(text).unwrap()
}

/// The files are copies, because neither kubectl nor helm reads files outside its folder.
#[test]
fn the_files_for_kubernetes_are_the_shipped_ones_with_other_addresses() {
    if FilterOnly::Module.is_left_out() {
        return;
    }
    for (file, service, port) in [
        ("kubernetes/base/envoy/gateway.yaml", SERVICE, 5678),
        ("kubernetes/overlays/global/gateway.yaml", "kuma-global-zone-sync.kuma-system.svc", 5685),
    ] {
        let mut wanted = yaml(SHIPPED);
        let resources = &mut wanted["static_resources"];
        resources["listeners"][0]["address"]["socket_address"]["port_value"] = json!(port);
        resources["listeners"][1]["address"]["socket_address"]["address"] = json!("0.0.0.0");
        let cluster = &mut resources["clusters"][0];
        let socket = json!({ "address": service, "port_value": port });
        let place = "/load_assignment/endpoints/0/lb_endpoints/0/endpoint/address/socket_address";
        *cluster.pointer_mut(place).unwrap() = socket;
        let tls = &mut cluster["transport_socket"]["typed_config"];
        tls["sni"] = json!(SERVICE);
        let trust = &mut tls["common_tls_context"]["combined_validation_context"];
        trust["default_validation_context"]["match_typed_subject_alt_names"][0]["matcher"] =
            json!({ "exact": SERVICE });
        assert_eq!(yaml(&read(file)), wanted, "{file}");
    }
    assert_eq!(read("helm/zonegate/files/gateway.yaml"), SHIPPED);
    for name in ["gateway-certificate.yaml", "control-plane-ca.yaml"] {
        let shipped = fs::read_to_string(format!("{DEPLOY}/../envoy/sds/{name}")).unwrap();
        assert_eq!(read(&format!("kubernetes/base/envoy/{name}")), shipped);
        assert_eq!(read(&format!("helm/zonegate/files/{name}")), shipped);
    }
    let ecds = fs::read_to_string(format!("{DEPLOY}/../envoy/ecds/zonegate.yaml")).unwrap();
    let start = read("helm/zonegate/files/zonegate.yaml");
    assert!(ecds.starts_with(&start) && start.ends_with("        value:\n"));
    assert!(read("kubernetes/overlays/kubernetes-zone/zonegate.yaml").starts_with(&start));
}

/// A volume, as a kubelet fills it: `name` is a link to `..data/name`, and `..data` is a link to a folder.
struct Volume(PathBuf);

impl Volume {
    fn new(path: PathBuf, files: &[(&str, String)]) -> Self {
        fs::create_dir(&path).unwrap();
        let volume = Self(path);
        for (name, _) in files {
            symlink(format!("..data/{name}"), volume.0.join(name)).unwrap();
        }
        volume.swap("..1", files);
        volume
    }

    /// Replaces the files, all at once.
    fn swap(&self, folder: &str, files: &[(&str, String)]) {
        fs::create_dir(self.0.join(folder)).unwrap();
        for (name, text) in files {
            fs::write(self.0.join(folder).join(name), text).unwrap();
        }
        symlink(folder, self.0.join("..data_tmp")).unwrap();
        fs::rename(self.0.join("..data_tmp"), self.0.join("..data")).unwrap();
    }
}

/// The arguments of the container in the manifest, and the volume at each mount path.
struct Pod {
    arguments: Vec<String>,
    mounts: Vec<(String, Value)>,
}

impl Pod {
    fn read() -> Self {
        let deployment = yaml(&read("kubernetes/base/deployment.yaml"));
        let spec = &deployment["spec"]["template"]["spec"];
        let container = &spec["containers"][0];
        assert_eq!(container["command"], json!(["envoy"]));
        let arguments = container["args"].as_array().unwrap().iter();
        let arguments = arguments.map(|one| one.as_str().unwrap().to_owned()).collect();
        let volumes = spec["volumes"].as_array().unwrap();
        let mounts = container["volumeMounts"].as_array().unwrap().iter().map(|mount| {
            let volume = volumes.iter().find(|volume| volume["name"] == mount["name"]).unwrap();
            (mount["mountPath"].as_str().unwrap().to_owned(), volume.clone())
        });
        Self { arguments, mounts: mounts.collect() }
    }
}

#[tokio::test]
async fn the_pod_of_a_zone_serves_and_takes_a_config_map_for_a_push() {
    if FilterOnly::Module.is_left_out() {
        return;
    }
    if WasmOnly::StopIterationFlag.is_left_out() {
        return; // the images of these manifests have the module in wasm
    }
    let dir = TempDir::new().unwrap();
    let etc = dir.path().join("etc");
    fs::create_dir(&etc).unwrap();
    let certificates =
        Certificates::generate_for(dir.path(), &[SERVICE, "zonegate.kuma-system"]).unwrap();
    let control_plane =
        ControlPlane::start(control_plane::Options::new(&certificates)).await.unwrap();
    let (admin, proxies, probes) =
        (free_port().unwrap(), free_port().unwrap(), free_port().unwrap());
    let here = |text: &str| {
        let text = text
            .replace("/etc/zonegate/zonegate.wasm", path(&from_environment("ZONEGATE_WASM")))
            .replace("/etc/zonegate", path(&etc))
            .replace("port_value: 9901", &format!("port_value: {admin}"))
            .replace("port_value: 9903", &format!("port_value: {probes}"))
            .replace("0.0.0.0, port_value: 5678", &format!("127.0.0.1, port_value: {proxies}"));
        let behind = format!("127.0.0.1, port_value: {}", control_plane.address().port());
        text.replace(&format!("{SERVICE}, port_value: 5678"), &behind)
    };
    let base = |name: &str| here(&read(&format!("kubernetes/base/envoy/{name}")));
    let shipped = read("kubernetes/overlays/kubernetes-zone/zonegate.yaml");
    let pod = Pod::read();
    let mut policy_volume = None;
    for (place, volume) in &pod.mounts {
        let place = etc.join(place.strip_prefix("/etc/zonegate/").unwrap());
        let files = match volume["name"].as_str().unwrap() {
            "envoy" => vec![("gateway.yaml", base("gateway.yaml"))],
            "sds" => ["gateway-certificate.yaml", "control-plane-ca.yaml"]
                .into_iter()
                .map(|name| (name, base(name)))
                .collect(),
            "policy" => vec![("zonegate.yaml", here(&shipped))],
            // The keys of the Secrets, by their names in the manifest.
            "tls" => {
                let secret = |key: &str| match key {
                    "tls.crt" => certificates.gateway.certificate.clone(),
                    "tls.key" => certificates.gateway.key.clone(),
                    "ca.crt" => certificates.ca.clone(),
                    other => panic!("{other}"),
                };
                let sources = volume["projected"]["sources"].as_array().unwrap().iter();
                let items = sources.flat_map(|one| one["secret"]["items"].as_array().unwrap());
                let text = |item: &Value, name: &str| item[name].as_str().unwrap().to_owned();
                let files = items.map(|item| (text(item, "path"), secret(&text(item, "key"))));
                files.map(|(name, content)| (&*name.leak(), content)).collect()
            }
            other => panic!("{other}"),
        };
        let is_policy = volume["name"] == "policy";
        let volume = Volume::new(place, &files);
        if is_policy {
            policy_volume = Some(volume);
        }
    }
    let mut command = Command::new(from_environment("ENVOY_PATH"));
    command.args(pod.arguments.iter().map(|one| here(one)));
    let mut envoy = Process::start(command, Log::File, dir.path().join("envoy.log")).unwrap();
    let probes = SocketAddr::from(([127, 0, 0, 1], probes));
    let start = Instant::now();
    while tokio::net::TcpStream::connect(probes).await.is_err() {
        assert!(
            envoy.ended().unwrap().is_none() && start.elapsed() < LIMIT,
            "{}",
            envoy.log_tail()
        );
        sleep(std::time::Duration::from_millis(50)).await;
    }
    wait_ready(probes, 200).await;
    // The policy in the manifest has no key for the zone token.
    let key = zonegate_issuer::SigningKey::generate(2048).unwrap();
    let token = key.sign_raw(r#"{"alg":"RS256","kid":"1"}"#, claims().to_string());
    let gateway = SocketAddr::from(([127, 0, 0, 1], proxies));
    let connect = || Connection::open(gateway, &certificates.ca);
    let refused = connect().await.unwrap().sotw(Some(&token), Claimed::INGRESS).await.unwrap_err();
    assert!(refused.message().starts_with("zonegate: unknown_kid: "), "{refused:?}");
    // Another ConfigMap, with the key of the token.
    let mut other = yaml(&here(&shipped));
    other["resources"][0]["typed_config"]["config"]["configuration"]["value"] = policy(&key);
    policy_volume.unwrap().swap("..2", &[("zonegate.yaml", other.to_string())]);
    let start = Instant::now();
    loop {
        let stream = connect().await.unwrap().sotw(Some(&token), Claimed::INGRESS).await;
        if let Ok(mut stream) = stream {
            assert!(stream.next().await.unwrap().is_some(), "the control plane answers");
            break;
        }
        assert!(start.elapsed() < LIMIT, "{stream:?}: {}", envoy.log_tail());
        sleep(std::time::Duration::from_millis(50)).await;
    }
    envoy.stop().await;
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}
