//! `zonegate config …`: makes, judges and compares configurations of the filter.
//!
//! In: flags and files. Out: a configuration, or a report about one. The library defines configurations and judges
//! them.

mod check;
mod diff;
mod kubernetes;
mod render;
mod report;
mod schema;
mod sources;

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use clap::Subcommand;
use serde_json::Value;
use zonegate::config::Config as Accepted;

use super::failure::{BadInput, warn};
use super::{input, output, printable};
use crate::kuma_inputs::control_plane::ControlPlane;
use crate::plugin_config::plugin_file::{MAX_BYTES, PluginConfiguration};

/// Make, check and compare configurations of the filter
#[derive(Subcommand)]
pub(super) enum Config {
    Render(Box<render::RenderArgs>),
    Check(check::CheckArgs),
    Diff(diff::DiffArgs),
    Schema(schema::SchemaArgs),
}

impl Config {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::Render(args) => args.run(),
            Self::Check(args) => args.run(),
            Self::Diff(args) => args.run(),
            Self::Schema(args) => args.run(),
        }
    }
}

/// A configuration in a file, not judged yet.
struct Found {
    name: String,
    file: Value,
    plugin: PluginConfiguration,
}

impl Found {
    fn read(path: &Path) -> anyhow::Result<Self> {
        let name = input::name(path);
        let bytes = input::public(path, MAX_BYTES, "configuration")?;
        let bad = || BadInput(format!("{name}: no configuration of the filter"));
        let found = PluginConfiguration::open(&bytes).with_context(bad);
        let (plugin, file) = found.inspect_err(|_| warn_of_kuma_3(&name, &bytes))?;
        Ok(Self { name, file, plugin })
    }

    /// The configuration as the filter reads it.
    fn accepted(&self) -> anyhow::Result<Accepted> {
        self.plugin.config().with_context(|| BadInput(format!("{}: refused", self.name)))
    }
}

/// Warns if `bytes` is kuma-cp's own configuration, given by mistake, of a Kuma that refuses zone tokens.
fn warn_of_kuma_3(name: &str, bytes: &[u8]) {
    let Ok(kuma) = ControlPlane::parse(bytes) else { return };
    if let Some(sign) = kuma.no_zone_tokens() {
        warn(&format!("{name}: {sign}"));
    }
}

/// Prints a result to standard output, made safe for a terminal, because parts of it may come from a file.
fn print(text: &str) -> anyhow::Result<()> {
    output::print(&printable::lines(text)).context("could not write to standard output")
}
