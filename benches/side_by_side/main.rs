//! The side-by-side measurement: the cost of this filter and of its alternatives, in one run.
//!
//! `make bench` gives the Envoy and the module. In: scenarios to run. Out: a table on the terminal and
//! `target/bench/results.json`. Everything is on loopback, each subject in its own Envoy with one worker. The measures
//! are the CPU time of the Envoy process for one operation, as the kernel counts it, and the ratio of two subjects in
//! one run.
#![allow(clippy::indexing_slicing, clippy::arithmetic_side_effects)] // a measurement may panic
#![allow(clippy::cast_precision_loss)] // of microseconds

mod chain;
mod charts;
mod client;
mod control_plane;
mod cpu;
mod envoy;
mod fleet;
mod goals;
mod herd;
mod machine;
mod messages;
mod page;
mod requests;
mod results;
mod rounds;
mod service;
mod start_up;
mod streams;
mod table;
mod tokens;

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Parser;
use tokio::signal::ctrl_c;
use tokio::signal::unix::{SignalKind, signal};

use fleet::Fleet;
use machine::Machine;
use requests::Bench;
use results::{Results, Scenario, Settings, merge};
use tokens::Tokens;

#[derive(Parser)]
struct Arguments {
    /// The Envoy to run.
    #[arg(long)]
    envoy: PathBuf,
    /// The module to measure.
    #[arg(long)]
    module: PathBuf,
    /// The modules that do nothing; see `benches/floor` and `benches/floor_native`.
    #[arg(long)]
    floor: Vec<PathBuf>,
    /// The filter as a dynamic module.
    #[arg(long)]
    native: Option<PathBuf>,
    /// Other modules to compare with.
    #[arg(long, value_delimiter = ',')]
    also: Vec<PathBuf>,
    /// The scenarios to run.
    #[arg(long, value_delimiter = ',', default_value = "a,b,c,d,e,f,g,h,i", value_parser = scenario)]
    only: Vec<char>,
    /// Few and short rounds.
    #[arg(long)]
    quick: bool,
    /// How often each Envoy of scenarios a to d and i is started anew.
    #[arg(long, value_parser = at_least_one)]
    lives: Option<usize>,
    /// How many rounds, in each life.
    #[arg(long)]
    rounds: Option<usize>,
    /// Requests in one turn.
    #[arg(long)]
    requests: Option<usize>,
    /// Write the charts and the tables of docs/performance.md.
    #[arg(long)]
    docs: bool,
    /// cargo passes this flag to every benchmark.
    #[arg(long, hide = true)]
    bench: bool,
}

/// On one thread, to leave the other core to Envoy.
#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    if std::env::args().nth(1).as_deref() == Some(service::SERVE) {
        return service::serve().await;
    }
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        done = measure(Arguments::parse()) => done,
        // Dropping the measurement ends the Envoys that it has started.
        _ = terminate.recv() => bail!("ended by a signal"),
        _ = ctrl_c() => bail!("ended by a signal"),
    }
}

async fn measure(arguments: Arguments) -> anyhow::Result<()> {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    let folder = root.join("target/bench");
    fs::create_dir_all(&folder)?;
    let settings = settings(&arguments);
    let tokens = Tokens::open(&folder)?;
    let module = arguments.module.canonicalize().context("the module")?;
    let machine = Machine::look(&arguments.envoy, &module)?;
    let mut fleet = Fleet::new(arguments.envoy);
    let also = arguments.also.iter().map(|path| root.join(path).canonicalize());
    let also = also.collect::<Result<_, _>>().context("--also")?;
    let floors = arguments.floor.iter().map(|path| path.canonicalize());
    let floors = floors.collect::<Result<_, _>>().context("--floor")?;
    let native =
        arguments.native.map(|path| path.canonicalize()).transpose().context("--native")?;
    let mut bench = Bench {
        fleet: &mut fleet,
        tokens: &tokens,
        settings,
        with_slow: true,
        module,
        native,
        floors,
        also,
    };
    // The proxies of six subjects are connected at the same time, each with a descriptor here; 20,000 is a usual limit.
    let proxies = if arguments.quick { 1_000 } else { 3_000 };
    let (of_requests, others): (Vec<char>, Vec<char>) =
        arguments.only.iter().partition(|id| matches!(id, 'a'..='d' | 'i'));
    let mut scenarios = lives(&of_requests, &mut bench).await?;
    scenarios.extend(run(&others, proxies, &mut bench).await?);
    let mut results = Results { machine, settings, scenarios, goals: Vec::new() };
    results.goals = goals::judge(&results);
    let file = folder.join("results.json");
    serde_json::to_writer_pretty(File::create(&file)?, &results)?;
    if arguments.docs {
        let docs = root.join("docs");
        charts::write(&results, &docs.join("images"))?;
        page::write(&results, &docs.join("performance.md"))?;
    }
    table::print(&results);
    println!("all of it: {}", file.display());
    Ok(())
}

fn at_least_one(text: &str) -> Result<usize, String> {
    text.parse()
        .ok()
        .filter(|number| *number > 0)
        .ok_or_else(|| "not a number from 1 on".to_owned())
}

fn scenario(text: &str) -> Result<char, String> {
    match *text.as_bytes() {
        [id @ b'a'..=b'i'] => Ok(id.into()),
        _ => Err("not one of a to i".to_owned()),
    }
}

fn settings(arguments: &Arguments) -> Settings {
    let (lives, rounds, requests) = if arguments.quick { (3, 4, 500) } else { (10, 12, 1_000) };
    Settings {
        lives: arguments.lives.unwrap_or(lives),
        rounds: arguments.rounds.unwrap_or(rounds),
        requests: arguments.requests.unwrap_or(requests),
        warm_up: 1_500,
    }
}

/// Scenarios of requests, in several lives of every Envoy. The layout of a process in memory makes it faster or slower
/// for as long as it lives, and more rounds in one life do not even this out.
async fn lives(only: &[char], bench: &mut Bench<'_>) -> anyhow::Result<Vec<Scenario>> {
    if only.is_empty() {
        return Ok(Vec::new());
    }
    let count = bench.settings.lives;
    let mut lives = Vec::with_capacity(count);
    for life in 1..=count {
        eprintln!("life {life} of {count}");
        lives.push(run(only, 0, bench).await?);
        bench.fleet.stop().await;
        bench.with_slow = false;
    }
    Ok(merge(lives))
}

async fn run(
    only: &[char],
    proxies: usize,
    bench: &mut Bench<'_>,
) -> anyhow::Result<Vec<Scenario>> {
    let mut scenarios = Vec::new();
    for id in only {
        match id {
            'a' => scenarios.push(bench.every_token_new().await?),
            'b' => scenarios.push(bench.the_same_tokens().await?),
            'c' => scenarios.extend(bench.refusals().await?),
            'd' => scenarios.push(bench.revocation_lists().await?),
            'i' => scenarios.extend(bench.dataplane_tokens().await?),
            'e' => scenarios.extend(streams::messages(bench).await?),
            'f' | 'g' if scenarios.iter().any(|done: &Scenario| done.id == "f") => {}
            'f' | 'g' => scenarios.extend(streams::herds(bench, proxies).await?),
            'h' => scenarios.push(start_up::run(bench).await?),
            other => bail!("no scenario {other}"),
        }
    }
    Ok(scenarios)
}
