//! `zonegate completion`.
//!
//! In: the name of a shell. Out: a script that completes verbs, flags and values. The user decides where the script
//! belongs.

use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use clap_complete::{Shell, generate};

use super::{command, output};

const EXAMPLES: &str = "\
Examples:
  In this bash, and in every one from now on:
  $ source <(zonegate completion bash)
  $ zonegate completion bash > /etc/bash_completion.d/zonegate

  In zsh, fish and PowerShell:
  $ zonegate completion zsh > \"${fpath[1]}/_zonegate\"
  $ zonegate completion fish > ~/.config/fish/completions/zonegate.fish
  > zonegate completion powershell | Out-String | Invoke-Expression";

/// Print the completions of a shell
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Completion {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

impl Completion {
    /// Prints the script.
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let mut script = Vec::new();
        generate(self.shell, &mut command(), "zonegate", &mut script);
        let script = String::from_utf8(script).context("the script is no text")?;
        output::print(&script).context("could not write to standard output")?;
        Ok(ExitCode::SUCCESS)
    }
}
