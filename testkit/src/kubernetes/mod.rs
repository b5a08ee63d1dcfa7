//! A real Kubernetes API server with its store. It issues and judges service-account tokens.
//!
//! In: the programs that `KUBE_APISERVER` and `ETCD` name. Out: clusters on loopback, each of an API server and etcd
//! only. No kubelet runs pods there, and no controller issues tokens or certificates: a pod is only an object, to which
//! tokens are bound. This module does not download or build the programs; `scripts/kube-apiserver` does.

mod api;
mod cluster;
mod tokens;

use std::path::PathBuf;

use anyhow::{Context, ensure};

pub use api::Api;
pub use cluster::{Cluster, Options};
pub use tokens::{Bound, Review, TokenRequest, User};

/// The hint for a missing program.
const HOW_TO: &str = "make test-kubernetes sets it";

/// The paths of the programs.
#[derive(Debug, Clone)]
pub struct Programs {
    /// kube-apiserver.
    pub api_server: PathBuf,
    /// etcd.
    pub etcd: PathBuf,
}

impl Programs {
    /// The programs that `KUBE_APISERVER` and `ETCD` name.
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
