//! The Envoys of a life, each started when it is first needed and kept for the next scenario.

use std::path::{Path, PathBuf};

use zonegate_issuer::SigningKey;

use crate::chain::Subject;
use crate::envoy::Envoy;

/// Running Envoys.
pub(crate) struct Fleet {
    envoy: PathBuf,
    running: Vec<Envoy>,
}

impl Fleet {
    pub(crate) fn new(envoy: PathBuf) -> Self {
        Self { envoy, running: Vec::new() }
    }

    /// The path of the program.
    pub(crate) fn envoy(&self) -> &Path {
        &self.envoy
    }

    /// An Envoy for each of `subjects`, in their order.
    pub(crate) async fn all(
        &mut self,
        subjects: &[Subject],
        key: &SigningKey,
    ) -> anyhow::Result<Vec<&Envoy>> {
        for subject in subjects {
            if !self.running.iter().any(|envoy| envoy.name == subject.name) {
                let envoy = Envoy::start(self.envoy.clone(), subject, key).await?;
                self.running.push(envoy);
            }
        }
        let named = |name: &str| self.running.iter().find(|envoy| envoy.name == name);
        Ok(subjects.iter().filter_map(|subject| named(&subject.name)).collect())
    }

    /// Ends all Envoys. Those that are needed again are restarted.
    pub(crate) async fn stop(&mut self) {
        for envoy in self.running.drain(..) {
            envoy.stop().await;
        }
    }
}
