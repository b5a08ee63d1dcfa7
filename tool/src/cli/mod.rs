//! The command line: `zonegate <verb> …`.
//!
//! In: the process's arguments. Out: an exit code: 0 done, 2 wrong arguments or a wrong file that they name, 1 anything
//! else, such as a file that cannot be written. `verify` exits with 1 for a token that is denied, `config check` for a
//! configuration that is refused, `config diff` for a difference, and all three with 2 for anything else. Results go to
//! standard output or to a file, errors and warnings to standard error. Each verb has a file here; the library does the
//! work.

mod columns;
mod completion;
mod config;
mod demo;
mod failure;
mod generate;
mod input;
mod inspect;
mod key_file;
mod man;
mod output;
mod output_value;
mod pasted;
mod printable;
mod profile;
mod revoke;
mod serve;
mod streams;
mod sync;
mod time;
mod token_text;
mod verify;

use std::process::ExitCode;

use clap::{Command, CommandFactory, Parser, Subcommand};

/// The operator's side of Zonegate, which checks Kuma zone tokens in front of a control plane.
#[derive(Parser)]
#[command(name = "zonegate", version = env!("ZONEGATE_VERSION"), arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    #[command(subcommand)]
    Generate(generate::Generate),
    Inspect(inspect::Inspect),
    Verify(verify::Verify),
    #[command(subcommand)]
    Config(config::Config),
    Revoke(revoke::RevokeArgs),
    Streams(streams::StreamsArgs),
    Sync(sync::SyncArgs),
    Serve(serve::ServeArgs),
    #[command(subcommand)]
    Demo(demo::Demo),
    Completion(completion::Completion),
    Man(man::Manual),
    /// Print the version, as --version does
    #[command(hide = true)]
    Version,
}

impl Verb {
    fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::Generate(what) => what.run().map(done),
            Self::Inspect(inspect) => inspect.run(),
            Self::Verify(verify) => {
                Ok(verify.run().unwrap_or_else(|error| failure::bad_input(&error)))
            }
            Self::Config(what) => what.run(),
            Self::Revoke(args) => args.run(),
            Self::Streams(args) => args.run(),
            Self::Sync(args) => args.run().map(done),
            Self::Serve(args) => args.run().map(done),
            Self::Demo(what) => what.run().map(done),
            Self::Completion(completion) => completion.run(),
            Self::Man(manual) => manual.run(),
            Self::Version => {
                output::line(format_args!("zonegate {}", env!("ZONEGATE_VERSION")));
                Ok(ExitCode::SUCCESS)
            }
        }
    }
}

/// The whole command line, for completions and manual pages.
fn command() -> Command {
    Cli::command()
}

fn done((): ()) -> ExitCode {
    ExitCode::SUCCESS
}

/// Runs the command that the process's arguments name. Returns the exit code.
pub fn main() -> ExitCode {
    match Cli::try_parse() {
        Ok(Cli { verb }) => verb.run().unwrap_or_else(|error| failure::report(&error)),
        Err(error) => failure::report_usage(&error),
    }
}
