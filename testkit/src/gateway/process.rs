//! How Envoy is started.
//!
//! In: [`Options`] and the written configuration. Out: the running process.

use std::path::Path;

use tokio::process::Command;

use super::admin::ADDRESS_FILE;
use super::epoch::Epoch;
use super::{Delivery, Options};
use crate::process::Process;

/// Starts Envoy, directly or through func-e, in `dir`.
pub(super) fn start(
    options: &Options,
    gateway: &Path,
    dir: &Path,
    epoch: &Epoch,
) -> anyhow::Result<Process> {
    let mut command = match &options.func_e {
        // func-e 1.x runs the Envoy that ENVOY_PATH names and downloads nothing.
        Some(func_e) => {
            let mut command = Command::new(func_e);
            command.arg("run").env("ENVOY_PATH", &options.envoy);
            command
        }
        None => Command::new(&options.envoy),
    };
    command
        .arg("--config-path")
        .arg(gateway)
        .arg("--admin-address-path")
        .arg(dir.join(ADDRESS_FILE))
        .args(["--concurrency", &options.concurrency.to_string()])
        .args(epoch.arguments(dir))
        .args(connections(options.delivery))
        // Lines of the access log are written soon, not after ten seconds.
        .args(["--file-flush-interval-msec", "200"])
        .args(["--log-level", "warning"])
        .args(["--component-log-level", "wasm:info,dynamic_modules:info,config:info"])
        .envs(options.environment.iter().map(|(name, value)| (name, value)))
        .current_dir(dir);
    Process::start(command, options.log, dir.join("envoy.log"))
}

/// Keeps connections open when the listener is replaced, by a long drain time. Envoy asks a connection to close at
/// random, with each response, with a probability equal to the elapsed fraction of the drain time. With a drain time of
/// one day, one test in ten that sent requests for three seconds lost its connection.
fn connections(delivery: Delivery) -> &'static [&'static str] {
    match delivery {
        Delivery::Lds => &["--drain-time-s", "100000000"],
        Delivery::Ecds | Delivery::EcdsText | Delivery::Gateway => &[],
    }
}
