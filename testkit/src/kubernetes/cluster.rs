//! etcd and kube-apiserver, on loopback.
//!
//! In: [`Options`], with the keys of the service-account tokens. Out: a running [`Cluster`], ready, or an error with
//! the end of a log. The administrator has a static token; RBAC is in force for everyone else.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{anyhow, bail};
use rand::RngExt;
use serde_json::json;
use tempfile::TempDir;
use tokio::process::Command;
use tokio::time::sleep;

use super::{Api, Programs};
use crate::certificates::Certificates;
use crate::kuma::free_port;
use crate::process::{Log, Process};

/// How long a cluster may take to be ready, on a slow machine.
const START: Duration = Duration::from_secs(180);
/// Time between two polls.
const LOOK: Duration = Duration::from_millis(100);

/// How to run a cluster.
#[derive(Debug, Clone)]
pub struct Options {
    /// The private key, PEM, that tokens are signed with: RSA, or EC on P-256, P-384 or P-521.
    pub signing_key: String,
    /// The public keys, PEM (`PUBLIC KEY`), whose tokens are accepted: that of the signing key, and a former or the
    /// next one.
    pub public_keys: Vec<String>,
    /// The `iss` of the tokens.
    pub issuer: String,
    /// More issuers whose tokens are accepted, such as a former one.
    pub more_issuers: Vec<String>,
    /// The audiences of this API server; the issuer if the list is empty.
    pub audiences: Vec<String>,
}

/// A running cluster. Its two processes are killed when it is dropped.
#[derive(Debug)]
pub struct Cluster {
    api: Api,
    api_server: Process,
    etcd: Process,
    kubeconfig: PathBuf,
    _dir: TempDir,
}

impl Options {
    /// Options with this key pair (PEM). All else is as in most clusters.
    #[must_use]
    pub fn new(signing_key: &str, public_key: &str) -> Self {
        Self {
            signing_key: signing_key.to_owned(),
            public_keys: vec![public_key.to_owned()],
            issuer: "https://kubernetes.default.svc.cluster.local".to_owned(),
            more_issuers: Vec::new(),
            audiences: Vec::new(),
        }
    }
}

impl Cluster {
    /// Starts etcd and an API server, and waits until the server is ready.
    ///
    /// # Errors
    /// One of them cannot be started, ends, or is not ready in time; with the ends of their logs.
    pub async fn start(programs: &Programs, options: &Options) -> anyhow::Result<Self> {
        let dir = tempfile::Builder::new().prefix("zonegate-kubernetes-").tempdir()?;
        let certificates = Certificates::generate(dir.path())?;
        let administrator = format!("{:032x}", rand::rng().random::<u128>());
        let (etcd, store) = start_etcd(&programs.etcd, dir.path())?;
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()?));
        let mut command = Command::new(&programs.api_server);
        command
            .args(arguments(dir.path(), options, &administrator)?)
            .arg(format!("--etcd-servers={store}"))
            .arg(format!("--secure-port={}", address.port()))
            .arg(format!(
                "--tls-cert-file={}",
                certificates.control_plane.certificate_path.display()
            ))
            .arg(format!(
                "--tls-private-key-file={}",
                certificates.control_plane.key_path.display()
            ));
        let api_server = Process::start(command, Log::File, dir.path().join("kube-apiserver.log"))?;
        let api = Api::new(address, &certificates.ca, &administrator)?;
        let kubeconfig = write_kubeconfig(dir.path(), &api, &certificates)?;
        let mut cluster = Self { api, api_server, etcd, kubeconfig, _dir: dir };
        match cluster.ready().await {
            Ok(()) => Ok(cluster),
            Err(error) => {
                let (server, etcd) = (cluster.api_server.log_tail(), cluster.etcd.log_tail());
                Err(anyhow!("{error:#}; kube-apiserver's log ends:\n{server}\netcd's:\n{etcd}"))
            }
        }
    }

    /// The API, with the administrator's token.
    pub fn api(&self) -> &Api {
        &self.api
    }

    /// A configuration for other programs that talk to this cluster as its administrator.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// The API server, with its log.
    pub fn process(&self) -> &Process {
        &self.api_server
    }

    async fn ready(&mut self) -> anyhow::Result<()> {
        let begun = Instant::now();
        while begun.elapsed() < START {
            for (name, process) in
                [("etcd", &mut self.etcd), ("kube-apiserver", &mut self.api_server)]
            {
                if let Some(status) = process.ended()? {
                    bail!("{name} did not start ({status})");
                }
            }
            if matches!(self.api.get("/readyz").await, Ok(Some(text)) if text == "ok") {
                return Ok(());
            }
            sleep(LOOK).await;
        }
        bail!("the API server was not ready within {} s", START.as_secs())
    }
}

/// Returns the process and the address for clients. The data is deleted with the folder, so etcd need not sync it to
/// disk.
fn start_etcd(program: &Path, dir: &Path) -> anyhow::Result<(Process, String)> {
    let clients = format!("http://127.0.0.1:{}", free_port()?);
    let peers = format!("http://127.0.0.1:{}", free_port()?);
    let mut command = Command::new(program);
    command
        .args(["--name=one", "--unsafe-no-fsync"])
        .arg(format!("--data-dir={}", dir.join("etcd").display()))
        .arg(format!("--listen-client-urls={clients}"))
        .arg(format!("--advertise-client-urls={clients}"))
        .arg(format!("--listen-peer-urls={peers}"))
        .arg(format!("--initial-advertise-peer-urls={peers}"))
        .arg(format!("--initial-cluster=one={peers}"));
    Ok((Process::start(command, Log::File, dir.join("etcd.log"))?, clients))
}

fn arguments(dir: &Path, options: &Options, administrator: &str) -> anyhow::Result<Vec<String>> {
    let write = |name: &str, text: &str| {
        let path = dir.join(name);
        fs::write(&path, text).map(|()| path.display().to_string())
    };
    let signing_key = write("service-accounts.key", &options.signing_key)?;
    let users = write("users.csv", &format!("{administrator},administrator,1,system:masters\n"))?;
    let mut arguments = vec![
        "--bind-address=127.0.0.1".to_owned(),
        // The API server refuses a Service with loopback addresses, and nothing uses the Service.
        "--endpoint-reconciler-type=none".to_owned(),
        "--authorization-mode=RBAC".to_owned(),
        // This plugin requires a token volume in each pod, which only a kubelet would use.
        "--disable-admission-plugins=ServiceAccount".to_owned(),
        "--service-cluster-ip-range=10.0.0.0/24".to_owned(),
        format!("--token-auth-file={users}"),
        format!("--service-account-signing-key-file={signing_key}"),
    ];
    for (number, key) in options.public_keys.iter().enumerate() {
        let path = write(&format!("service-accounts-{number}.pem"), key)?;
        arguments.push(format!("--service-account-key-file={path}"));
    }
    for issuer in std::iter::once(&options.issuer).chain(&options.more_issuers) {
        arguments.push(format!("--service-account-issuer={issuer}"));
    }
    if !options.audiences.is_empty() {
        arguments.push(format!("--api-audiences={}", options.audiences.join(",")));
    }
    Ok(arguments)
}

/// JSON is YAML.
fn write_kubeconfig(dir: &Path, api: &Api, certificates: &Certificates) -> anyhow::Result<PathBuf> {
    let cluster = json!({
        "server": format!("https://{}", api.address()),
        "certificate-authority": certificates.ca_path,
    });
    let configuration = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{ "name": "here", "cluster": cluster }],
        "users": [{ "name": "administrator", "user": { "token": api.token() } }],
        "contexts": [{ "name": "here", "context": { "cluster": "here", "user": "administrator" } }],
        "current-context": "here",
    });
    let path = dir.join("kubeconfig.json");
    fs::write(&path, configuration.to_string())?;
    Ok(path)
}
