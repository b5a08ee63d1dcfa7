//! The output of kubectl and helm for `deploy/kubernetes` and `deploy/helm`: both are equal, match Kubernetes' own
//! schemas, and are accepted by a real API server with the definitions of cert-manager. No kubelet runs the pods here;
//! `tests/envoy/deployed.rs` runs an Envoy with their configuration.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};
use tempfile::TempDir;
use zonegate_issuer::{SigningKey, spki_pem};
use zonegate_testkit::kubernetes::{Cluster, Options, Programs};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
const NAMESPACE: &str = "kuma-system";
/// Each overlay, its mode in the chart, and the file of its policy.
const OVERLAYS: [(&str, &str, &str); 3] = [
    ("kubernetes-zone", "kubernetesZone", "zonegate.yaml"),
    ("universal-zone", "universalZone", "base.yaml"),
    ("global", "global", "zonegate.yaml"),
];

fn program(variable: &str) -> Command {
    let path = std::env::var_os(variable).filter(|path| !path.is_empty());
    Command::new(
        path.unwrap_or_else(|| panic!("{variable} is not set: make test-kubernetes sets it")),
    )
}

fn stdout(output: Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn documents(text: &str) -> Vec<Value> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(text).unwrap();
    documents.into_iter().filter(|one| !one.is_null()).collect()
}

fn overlay(name: &str) -> String {
    kustomized(&format!("overlays/{name}"))
}

/// A folder of `deploy/kubernetes`.
fn kustomized(folder: &str) -> String {
    let folder = format!("{ROOT}/deploy/kubernetes/{folder}");
    stdout(program("KUBECTL").args(["kustomize", &folder]).output().unwrap())
}

/// The chart's output with the policy of an overlay.
fn chart(overlay: &str, mode: &str, policy: &str) -> String {
    let file = format!("{ROOT}/deploy/kubernetes/overlays/{overlay}/{policy}");
    let found: Value = serde_saphyr::from_str(&fs::read_to_string(file).unwrap()).unwrap();
    let value = "/resources/0/typed_config/config/configuration/value";
    let policy = found.pointer(value).unwrap_or(&found);
    // A null removes a default of the chart.
    let mut values = json!({ "mode": mode, "policy": {
        "zone": null, "leewaySeconds": null, "proxies": null, "serviceAccountToken": null,
    }});
    values["policy"].as_object_mut().unwrap().extend(policy.as_object().unwrap().clone());
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("values.yaml");
    fs::write(&file, values.to_string()).unwrap();
    let mut helm = program("HELM");
    helm.args(["template", "zonegate", &format!("{ROOT}/deploy/helm/zonegate")]);
    helm.args(["--namespace", NAMESPACE, "--kube-version", "1.36.0", "--values"]).arg(file);
    stdout(helm.output().unwrap())
}

/// Removes the differences that are intended: the hash in the name of a ConfigMap, which is an annotation in the chart.
/// Parses the text of files, which are compared by content.
fn comparable(document: Value) -> Value {
    let mut document = document;
    if document["kind"] == "ConfigMap" {
        for text in document["data"].as_object_mut().unwrap().values_mut() {
            *text = serde_saphyr::from_str(text.as_str().unwrap()).unwrap();
        }
    }
    strip(document)
}

fn strip(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let kept = fields.into_iter().filter(|(name, value)| {
                let is_checksum = value.get("checksum/envoy").is_some();
                !(name == "annotations" && is_checksum)
            });
            kept.map(|(name, value)| (name, strip(value))).collect()
        }
        Value::Array(items) => items.into_iter().map(strip).collect(),
        Value::String(text) => {
            let hashed = ["zonegate-envoy-", "zonegate-sds-"];
            let name = hashed.iter().find(|name| text.starts_with(**name));
            json!(name.map_or(text.as_str(), |name| name.trim_end_matches('-')))
        }
        other => other,
    }
}

fn sorted(text: &str) -> Vec<(String, Value)> {
    let mut all: Vec<_> = documents(text).into_iter().map(comparable).collect();
    all.sort_by_key(|one| format!("{} {}", one["kind"], one["metadata"]["name"]));
    all.into_iter()
        .map(|one| (format!("{} {}", one["kind"], one["metadata"]["name"]), one))
        .collect()
}

#[test]
#[ignore = "needs kubectl and helm: make test-kubernetes"]
fn the_chart_makes_what_the_overlays_make() {
    for (name, mode, policy) in OVERLAYS {
        let (overlay, chart) = (sorted(&overlay(name)), sorted(&chart(name, mode, policy)));
        assert!(overlay.len() >= 13, "{name}: {}", overlay.len());
        assert_eq!(overlay.len(), chart.len(), "{name}");
        for ((name_there, there), (name_here, here)) in overlay.into_iter().zip(chart) {
            assert_eq!(name_there, name_here, "{name}");
            assert_eq!(there, here, "{name}: {name_here}");
        }
    }
}

/// Whether Kubernetes itself defines the kind of this object.
fn is_built_in(document: &Value) -> bool {
    !document["apiVersion"].as_str().unwrap().starts_with("cert-manager.io/")
}

#[test]
#[ignore = "needs kubectl and kubernetes-validate: make test-kubernetes"]
fn every_object_fits_the_schemas_of_kubernetes() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("objects.json");
    let validate = |objects: &[Value], version: &str| {
        let mut texts = String::new();
        for object in objects {
            texts += &format!("---\n{object}\n");
        }
        fs::write(&file, texts).unwrap();
        let mut command = program("KUBERNETES_VALIDATE");
        command.args(["--strict", "--kubernetes-version", version]).arg(&file).output().unwrap()
    };
    let overlays = OVERLAYS.map(|(name, _, _)| overlay(name));
    for text in overlays.into_iter().chain([kustomized("serve")]) {
        let objects: Vec<Value> = documents(&text).into_iter().filter(is_built_in).collect();
        for version in ["1.31", "1.36"] {
            stdout(validate(&objects, version));
            let mut wrong = objects.clone();
            let deployment = wrong.iter_mut().find(|one| one["kind"] == "Deployment").unwrap();
            deployment["spec"]["template"]["spec"]["containers"][0]["readinessProb"] = json!({});
            assert!(!validate(&wrong, version).status.success(), "a misspelt field is found");
        }
    }
}

/// A cluster with only an API server, and kubectl for it.
pub(crate) struct Kubectl {
    pub(crate) cluster: Cluster,
}

impl Kubectl {
    /// A cluster that knows the definitions of cert-manager, Envoy Gateway and Istio.
    pub(crate) async fn start() -> Self {
        let programs = Programs::from_environment().unwrap_or_else(|error| panic!("{error:#}"));
        let key = SigningKey::generate(2048).unwrap();
        let options = Options::new(&key.to_pem(), &spki_pem(&key.public_key()));
        let cluster = Cluster::start(&programs, &options).await;
        let this = Self { cluster: cluster.unwrap_or_else(|error| panic!("{error:#}")) };
        let crds = PathBuf::from(std::env::var_os("CRDS").expect("CRDS is not set"));
        stdout(this.kubectl(&["apply", "--server-side", "-f"], &crds));
        let established = ["wait", "--for=condition=Established", "crd", "--all", "--timeout=60s"];
        stdout(this.command().args(established).output().unwrap());
        let namespace = json!({ "metadata": { "name": NAMESPACE, "labels": {
            "pod-security.kubernetes.io/enforce": "restricted",
        }}});
        this.cluster.api().create("/api/v1/namespaces", &namespace).await.unwrap();
        this
    }

    fn command(&self) -> Command {
        let mut command = program("KUBECTL");
        command.arg("--kubeconfig").arg(self.cluster.kubeconfig());
        command
    }

    fn kubectl(&self, arguments: &[&str], file: &Path) -> Output {
        self.command().args(arguments).arg(file).output().unwrap()
    }

    /// Applies a text strictly: an unknown field is an error.
    pub(crate) fn apply(&self, text: &str) -> Output {
        let dir = TempDir::new().unwrap();
        let file = dir.path().join("objects.yaml");
        fs::write(&file, text).unwrap();
        self.kubectl(
            &["apply", "--server-side", "--force-conflicts", "--validate=strict", "-f"],
            &file,
        )
    }
}

#[tokio::test]
#[ignore = "needs a Kubernetes API server: make test-kubernetes"]
async fn a_real_api_server_takes_the_manifests() {
    let kubectl = Kubectl::start().await;
    for (name, mode, policy) in OVERLAYS {
        for text in [overlay(name), chart(name, mode, policy)] {
            assert_is_taken(&kubectl, name, &text).await;
        }
    }
    assert_is_taken(&kubectl, "serve", &kustomized("serve")).await;
}

/// Applies all of it, with its pods in a namespace that allows only restricted pods.
async fn assert_is_taken(kubectl: &Kubectl, name: &str, text: &str) {
    let said = stdout(kubectl.apply(text));
    let all = documents(text);
    assert_eq!(said.lines().count(), all.len(), "{name}: {said}");
    let template = all.iter().find(|one| one["kind"] == "Deployment").unwrap();
    let template = &template["spec"]["template"];
    let path = format!("/api/v1/namespaces/{NAMESPACE}/pods");
    let mut pod = json!({ "metadata": template["metadata"], "spec": template["spec"] });
    pod["metadata"]["name"] = json!("zonegate-0");
    kubectl.cluster.api().create(&path, &pod).await.unwrap();
    kubectl.cluster.api().remove(&format!("{path}/zonegate-0")).await.unwrap();
    pod["spec"]["containers"][0]["securityContext"]["runAsUser"] = json!(0);
    pod["spec"]["containers"][0]["securityContext"]["capabilities"] = json!({});
    let refused = kubectl.cluster.api().create(&path, &pod).await.unwrap_err();
    assert!(format!("{refused:#}").contains("restricted"), "{refused:#}");
    let refused = kubectl.apply(&text.replace("readinessProbe:", "readinessProb:"));
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && said.contains("readinessProb"), "{said}");
}
