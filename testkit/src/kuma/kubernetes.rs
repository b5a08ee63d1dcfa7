//! kuma-cp in Kubernetes mode: the control plane of a zone whose store is an API server, and whose
//! proxies have service-account tokens.
//!
//! In: a cluster of [`crate::kubernetes`]. Out: a running [`KubernetesControlPlane`], ready, or an error with the end
//! of its log. It serves its webhooks, but they are not registered with the API server.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::sleep;

use super::{Api, Home, free_port};
use crate::certificates::Identity;
use crate::kubernetes::Cluster;
use crate::process::{Log, Process};

/// The namespace of its own objects.
const SYSTEM_NAMESPACE: &str = "kuma-system";
/// How long kuma-cp may take to be ready.
const START: Duration = Duration::from_secs(60);
/// Time between two polls.
const LOOK: Duration = Duration::from_millis(50);

/// A running control plane. It is killed when dropped.
#[derive(Debug)]
pub struct KubernetesControlPlane {
    process: Process,
    address: SocketAddr,
    api: Api,
    diagnostics: Api,
    _dir: TempDir,
}

impl KubernetesControlPlane {
    /// Installs Kuma's custom resource definitions in `cluster`, starts kuma-cp there, and waits until it is ready. It
    /// presents `identity` on all its ports with TLS.
    ///
    /// # Errors
    /// The cluster refuses the definitions; or kuma-cp cannot be started, ends, or is not ready in time.
    pub async fn start(
        home: &Home,
        cluster: &Cluster,
        zone: &str,
        identity: &Identity,
    ) -> anyhow::Result<Self> {
        let dir = tempfile::Builder::new().prefix("zonegate-kuma-cp-").tempdir()?;
        install(home, cluster, dir.path()).await?;
        let [dp_server, api, api_tls, diagnostics] = four_ports()?;
        let configuration = configuration(dir.path(), zone, identity)?;
        let mut command = home.command("kuma-cp", dir.path());
        let file = dir.path().join("kuma-cp.yaml");
        fs::write(&file, configuration.to_string())?;
        let kubernetes = cluster.api().address();
        command
            .args(["run", "--config-file"])
            .arg(&file)
            .env("KUBECONFIG", cluster.kubeconfig())
            // As in a pod; kuma-cp does not start without these variables.
            .env("KUBERNETES_SERVICE_HOST", kubernetes.ip().to_string())
            .env("KUBERNETES_SERVICE_PORT", kubernetes.port().to_string())
            .env("KUMA_DP_SERVER_PORT", dp_server.to_string())
            .env("KUMA_API_SERVER_HTTP_PORT", api.to_string())
            .env("KUMA_API_SERVER_HTTPS_PORT", api_tls.to_string())
            .env("KUMA_DIAGNOSTICS_SERVER_PORT", diagnostics.to_string());
        let process = Process::start(command, Log::File, dir.path().join("kuma-cp.log"))?;
        let mut started = Self {
            process,
            address: local(dp_server),
            api: Api::new(local(api)),
            diagnostics: Api::new(local(diagnostics)),
            _dir: dir,
        };
        match started.ready().await {
            Ok(()) => Ok(started),
            Err(error) => {
                let tail = started.process.log_tail();
                Err(anyhow!("{error:#}; kuma-cp's log ends:\n{tail}"))
            }
        }
    }

    async fn ready(&mut self) -> anyhow::Result<()> {
        let begun = Instant::now();
        while begun.elapsed() < START {
            if let Some(status) = self.process.ended()? {
                bail!("kuma-cp did not start ({status})");
            }
            if matches!(self.diagnostics.get("/ready").await, Ok(Some(_))) {
                return Ok(());
            }
            sleep(LOOK).await;
        }
        bail!("kuma-cp was not ready within {} s", START.as_secs())
    }

    /// The address of its dataplane server: discovery and bootstrap, TLS.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its API, plain HTTP on loopback.
    pub fn api(&self) -> &Api {
        &self.api
    }

    /// The process, with its log.
    pub fn process(&self) -> &Process {
        &self.process
    }
}

/// Creates the definitions that kumactl prints, and the namespace.
async fn install(home: &Home, cluster: &Cluster, dir: &Path) -> anyhow::Result<()> {
    let text = home.kumactl(dir, ["install", "crds"]).await?;
    let path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    let documents = text.split("---\n").map(str::trim);
    for document in documents.filter(|document| !document.is_empty()) {
        let definition: Value = serde_saphyr::from_str(document).context("kumactl install crds")?;
        cluster.api().create(path, &definition).await?;
    }
    cluster.api().create_namespace(SYSTEM_NAMESPACE).await?;
    Ok(())
}

/// Kuma: `pkg/config/app/kuma-cp/kuma-cp.defaults.yaml`. JSON is YAML.
fn configuration(dir: &Path, zone: &str, identity: &Identity) -> anyhow::Result<Value> {
    let webhooks = dir.join("webhooks");
    fs::create_dir(&webhooks)?;
    fs::write(webhooks.join("tls.crt"), &identity.certificate)?;
    fs::write(webhooks.join("tls.key"), &identity.key)?;
    let loopback = json!({ "enabled": true, "interface": "127.0.0.1" });
    Ok(json!({
        "environment": "kubernetes",
        "mode": "zone",
        "store": { "type": "kubernetes", "kubernetes": { "systemNamespace": SYSTEM_NAMESPACE } },
        "multizone": { "zone": { "name": zone } },
        "general": {
            "workDir": dir,
            "tlsCertFile": identity.certificate_path,
            "tlsKeyFile": identity.key_path,
        },
        "runtime": {
            "kubernetes": {
                "admissionServer": { "port": free_port()?, "certDir": webhooks },
                "injector": { "caCertFile": identity.certificate_path },
            },
        },
        "apiServer": { "http": loopback, "https": loopback },
        "interCp": {
            "catalog": { "instanceAddress": "127.0.0.1" },
            "server": { "port": free_port()? },
        },
        "monitoringAssignmentServer": { "enabled": false },
        "reports": { "enabled": false },
    }))
}

fn four_ports() -> anyhow::Result<[u16; 4]> {
    Ok([free_port()?, free_port()?, free_port()?, free_port()?])
}

fn local(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}
