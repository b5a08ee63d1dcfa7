//! The command line: `zonegate <verb> …`.
//!
//! In: the process's arguments. Out: an exit code: 0 done, 2 the arguments or a file's contents are
//! wrong, 1 anything else, such as a file that cannot be read. Results go to standard output or to a
//! file, errors to standard error. A verb is a file here; what it does is in the library.

mod demo;
mod failure;
mod generate;
mod input;
mod output;
mod sync;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// The operator's side of Zonegate, which checks Kuma zone tokens in front of a control plane.
#[derive(Parser)]
#[command(name = "zonegate", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    #[command(subcommand)]
    Generate(generate::Generate),
    Sync(sync::SyncArgs),
    #[command(subcommand)]
    Demo(demo::Demo),
}

impl Verb {
    fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Generate(what) => what.run(),
            Self::Sync(args) => args.run(),
            Self::Demo(what) => what.run(),
        }
    }
}

/// Does what the process's arguments say.
pub fn main() -> ExitCode {
    match Cli::try_parse() {
        Ok(Cli { verb }) => {
            verb.run().map_or_else(|error| failure::report(&error), |()| ExitCode::SUCCESS)
        }
        Err(error) => failure::report_usage(&error),
    }
}
