//! A Kubernetes API server with its store, the real ones: what issues service-account tokens and judges
//! them.
//!
//! In: the programs that `KUBE_APISERVER` and `ETCD` name. Out: clusters on loopback, which consist of
//! an API server and etcd alone. No kubelet runs pods there, and no controller issues tokens or
//! certificates: a pod is an object, which is all that a token is bound to. Nothing here downloads or
//! builds the programs; `scripts/kube-apiserver` does.

mod api;
mod cluster;
mod tokens;

use std::path::PathBuf;

use anyhow::{Context, ensure};

pub use api::Api;
pub use cluster::{Cluster, Options};
pub use tokens::{Bound, Review, TokenRequest, User};

/// What to do where a program is missing.
const HOW_TO: &str = "make test-kubernetes sets it";

/// Where the programs are.
#[derive(Debug, Clone)]
pub struct Programs {
    /// kube-apiserver.
    pub api_server: PathBuf,
    /// etcd.
    pub etcd: PathBuf,
}

impl Programs {
    /// Those that `KUBE_APISERVER` and `ETCD` name.
    ///
    /// # Errors
    /// One of them is not set, or names no file.
    pub fn from_environment() -> anyhow::Result<Self> {
        Ok(Self { api_server: program("KUBE_APISERVER")?, etcd: program("ETCD")? })
    }
}

fn program(variable: &str) -> anyhow::Result<PathBuf> {
    let path = std::env::var_os(variable).filter(|path| !path.is_empty());
    let path = PathBuf::from(path.with_context(|| format!("{variable} is not set: {HOW_TO}"))?);
    ensure!(path.is_file(), "{variable}={} is no file: {HOW_TO}", path.display());
    Ok(path)
}
