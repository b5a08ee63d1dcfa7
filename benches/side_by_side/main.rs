//! The side-by-side measurement: what this filter costs, and what its alternatives cost, in one run.
//!
//! `make bench` names the Envoy and the module. In: scenarios to run. Out: a table on the terminal and
//! `target/bench/results.json`. Everything is on loopback, each subject in an Envoy of its own with
//! one worker; what counts is CPU time of the Envoy process for one operation, as the kernel counts
//! it, and the ratio of two subjects in one run.
#![allow(clippy::indexing_slicing, clippy::arithmetic_side_effects)] // a measurement may panic
#![allow(clippy::cast_precision_loss)] // of microseconds

mod chain;
mod client;
mod cpu;
mod envoy;
mod fleet;
mod goals;
mod machine;
mod requests;
mod results;
mod rounds;
mod table;
mod tokens;

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Parser;

use fleet::Fleet;
use machine::Machine;
use requests::Bench;
use results::{Results, Scenario, Settings};
use tokens::Tokens;

#[derive(Parser)]
struct Arguments {
    /// The Envoy to run.
    #[arg(long)]
    envoy: PathBuf,
    /// The module to measure.
    #[arg(long)]
    module: PathBuf,
    /// Another module to compare with.
    #[arg(long)]
    also: Option<PathBuf>,
    /// Which scenarios.
    #[arg(long, value_delimiter = ',', default_value = "a,b,c")]
    only: Vec<char>,
    /// Few and short rounds.
    #[arg(long)]
    quick: bool,
    /// How many rounds.
    #[arg(long)]
    rounds: Option<usize>,
    /// Requests in one turn.
    #[arg(long)]
    requests: Option<usize>,
    /// What cargo says to every benchmark.
    #[arg(long, hide = true)]
    bench: bool,
}

/// On one thread: the other core is Envoy's.
#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/bench");
    fs::create_dir_all(&folder)?;
    let settings = settings(&arguments);
    let tokens = Tokens::open(&folder)?;
    let module = arguments.module.canonicalize().context("the module")?;
    let machine = Machine::look(&arguments.envoy, &module)?;
    let mut fleet = Fleet::new(arguments.envoy);
    let also = arguments.also.map(|path| path.canonicalize()).transpose().context("--also")?;
    let mut bench = Bench { fleet: &mut fleet, tokens: &tokens, settings, module, also };
    let scenarios = run(&arguments.only, &mut bench).await?;
    fleet.stop().await;
    let mut results = Results { machine, settings, scenarios, goals: Vec::new() };
    results.goals = goals::judge(&results);
    let file = folder.join("results.json");
    serde_json::to_writer_pretty(File::create(&file)?, &results)?;
    table::print(&results);
    println!("all of it: {}", file.display());
    Ok(())
}

fn settings(arguments: &Arguments) -> Settings {
    let (rounds, requests) = if arguments.quick { (7, 500) } else { (15, 1_000) };
    Settings {
        rounds: arguments.rounds.unwrap_or(rounds),
        requests: arguments.requests.unwrap_or(requests),
        warm_up: 1_500,
    }
}

async fn run(only: &[char], bench: &mut Bench<'_>) -> anyhow::Result<Vec<Scenario>> {
    let mut scenarios = Vec::new();
    for id in only {
        match id {
            'a' => scenarios.push(bench.every_token_new().await?),
            'b' => scenarios.push(bench.the_same_tokens().await?),
            'c' => scenarios.extend(bench.refusals().await?),
            other => anyhow::bail!("no scenario {other}"),
        }
    }
    Ok(scenarios)
}
