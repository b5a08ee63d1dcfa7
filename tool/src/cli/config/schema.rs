//! `zonegate config schema`.

use std::process::ExitCode;

use clap::Args;

use super::print;
use crate::plugin_config::SCHEMA;

const EXAMPLES: &str = "\
An editor that knows YAML schemas checks a policy as you write it, with a first line such as
  # yaml-language-server: $schema=zonegate.schema.json

Examples:
  $ zonegate config schema > zonegate.schema.json";

/// Print the JSON Schema of the plugin configuration
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) struct SchemaArgs {}

impl SchemaArgs {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let Self {} = self;
        print(SCHEMA)?;
        Ok(ExitCode::SUCCESS)
    }
}
