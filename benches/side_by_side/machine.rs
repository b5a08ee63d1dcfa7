//! The machine and the versions of a measurement.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::SystemTime;

use anyhow::Context;
use prost_types::Timestamp;
use serde::{Deserialize, Serialize};
use wasmparser::{Parser, Payload};

/// The machine and the versions of a run.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Machine {
    pub(crate) date: String,
    pub(crate) cpu: String,
    pub(crate) cores: usize,
    pub(crate) kernel: String,
    /// The load at the start: `/proc/loadavg`. With a load over one, other work disturbs the measurement.
    pub(crate) load: String,
    pub(crate) envoy: String,
    pub(crate) zonegate: String,
    pub(crate) module_bytes: u64,
    /// The names of the callbacks for responses that the module exports.
    pub(crate) response_callbacks: Vec<String>,
}

impl Machine {
    pub(crate) fn look(envoy: &Path, module: &Path) -> anyhow::Result<Self> {
        let line = |path: &str| fs::read_to_string(path).map(|text| text.trim().to_owned());
        let mut date = Timestamp::from(SystemTime::now());
        date.nanos = 0;
        Ok(Self {
            date: date.to_string(),
            cpu: cpu_model(&line("/proc/cpuinfo")?).unwrap_or("unknown").to_owned(),
            cores: thread::available_parallelism().map_or(1, usize::from),
            kernel: line("/proc/sys/kernel/osrelease")?,
            load: line("/proc/loadavg")?,
            envoy: envoy_version(envoy)?,
            zonegate: env!("CARGO_PKG_VERSION").to_owned(),
            module_bytes: fs::metadata(module).context("the module")?.len(),
            response_callbacks: response_callbacks(&fs::read(module)?)?,
        })
    }
}

/// The callbacks for responses that `module` exports. Envoy calls into the VM only if an export exists.
fn response_callbacks(module: &[u8]) -> anyhow::Result<Vec<String>> {
    let mut names = Vec::new();
    for payload in Parser::new(0).parse_all(module) {
        if let Payload::ExportSection(section) = payload? {
            for export in section {
                names.push(export?.name.to_owned());
            }
        }
    }
    names.retain(|name| name.starts_with("proxy_on_response"));
    Ok(names)
}

fn cpu_model(info: &str) -> Option<&str> {
    let line = info.lines().find(|line| line.starts_with("model name"))?;
    line.split_once(": ").map(|(_, model)| model)
}

/// From `…/envoy  version: <commit>/1.40.0/Clean/RELEASE/BoringSSL`.
fn envoy_version(envoy: &Path) -> anyhow::Result<String> {
    let output = Command::new(envoy).arg("--version").output().context("running Envoy")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let version = text.split("version: ").nth(1).and_then(|rest| rest.split('/').nth(1));
    Ok(version.unwrap_or("unknown").to_owned())
}
