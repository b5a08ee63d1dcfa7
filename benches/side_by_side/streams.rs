//! Scenarios e, f and g: streams that stay open, with a control plane behind the gate.

use std::net::{Ipv4Addr, SocketAddr};

use crate::chain::{EXT_AUTHZ, EXT_PROC, Subject};
use crate::control_plane::ControlPlane;
use crate::envoy::{Behind, Envoy};
use crate::herd::Herd;
use crate::messages::{self, Direction, SIZES, Stream};
use crate::requests::{Bench, jwt_cache};
use crate::results::{ADDED, BACK, CPU, EACH, EACH_ADDED, RESIDENT, Row, Scenario, Value};
use crate::tokens::Kind;

/// Any free port of this machine.
const ANY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
/// How many streams carry messages at the same time.
const STREAMS: usize = 16;
/// How often the control plane goes away.
const STORMS: usize = 5;

/// The herd of one subject, and its cost.
struct Held {
    envoy: Envoy,
    herd: Herd,
    /// KiB for one stream.
    each: f64,
    resident: f64,
    milliseconds: Vec<f64>,
    cpu: Vec<f64>,
}

/// Messages on open streams.
pub(crate) async fn messages(bench: &Bench<'_>) -> anyhow::Result<Vec<Scenario>> {
    let token = bench.tokens.of(Kind::Good, 1)?.remove(0);
    let mut plane = ControlPlane::start(ANY).await?;
    let mut envoys = Vec::new();
    let mut streams = Vec::new();
    for subject in subjects(bench) {
        let envoy = start(bench, &subject, &plane).await?;
        let mut of_this = Vec::with_capacity(STREAMS);
        for _ in 0..STREAMS {
            of_this.push(Stream::open(&envoy, &mut plane, &token).await?);
        }
        streams.push(of_this);
        envoys.push(envoy);
    }
    let all: Vec<&Envoy> = envoys.iter().collect();
    // This scenario has one life, so it has more rounds.
    let turns = (bench.settings.rounds * 2, bench.settings.requests);
    let mut scenarios = Vec::new();
    for direction in [Direction::Requests, Direction::Responses] {
        for size in SIZES {
            eprintln!("e: {direction:?}, {}", size.name);
            scenarios.push(messages::run(&all, &mut streams, direction, size, turns).await?);
        }
    }
    stop(envoys).await;
    Ok(scenarios)
}

/// Streams held open, and a control plane that goes away and comes back; the subjects take turns.
pub(crate) async fn herds(bench: &Bench<'_>, count: usize) -> anyhow::Result<[Scenario; 2]> {
    let mut all = Vec::new();
    for subject in in_envoy(bench) {
        eprintln!("f, g: {count} proxies, {}", subject.name);
        all.push(held(bench, &subject, count).await?);
    }
    for round in 0..STORMS {
        eprintln!("g: storm {} of {STORMS}", round + 1);
        for _ in 0..all.len() {
            let next = all.remove(0).storm().await?;
            all.push(next);
        }
        // Another subject begins the next round.
        all.rotate_left(1);
    }
    let first = in_envoy(bench).iter().position(|subject| subject.name == all[0].envoy.name);
    all.rotate_right(first.unwrap_or_default());
    let bare = (all[0].each, all[0].cpu.clone());
    let f = all.iter().map(|held| memory_row(held, bare.0)).collect();
    let g = all.iter().map(|held| storm_row(held, &bare.1)).collect();
    stop(all.into_iter().map(|held| held.envoy).collect()).await;
    Ok([
        scenario("f", &format!("{count} streams open, each on a connection of its own"), f),
        scenario("g", &format!("{count} proxies come back at once"), g),
    ])
}

async fn held(bench: &Bench<'_>, subject: &Subject, count: usize) -> anyhow::Result<Held> {
    let plane = ControlPlane::start(ANY).await?;
    let envoy = start(bench, subject, &plane).await?;
    let tokens = bench.tokens.of(Kind::Good, count)?;
    let before = envoy.resident()?;
    let herd = Herd::open(&envoy, plane, &tokens).await?;
    let resident = envoy.resident()?;
    let each = (resident - before) as f64 / 1024.0 / count as f64;
    let resident = resident as f64 / f64::from(1 << 20);
    Ok(Held { envoy, herd, each, resident, milliseconds: Vec::new(), cpu: Vec::new() })
}

impl Held {
    /// Stops and restarts the control plane.
    async fn storm(mut self) -> anyhow::Result<Self> {
        let (herd, storm) = self.herd.storm(&self.envoy).await?;
        self.herd = herd;
        self.milliseconds.push(storm.milliseconds);
        self.cpu.push(storm.cpu);
        Ok(self)
    }
}

fn memory_row(held: &Held, bare: f64) -> Row {
    let values = vec![
        Value::new(EACH, vec![held.each]),
        Value::new(EACH_ADDED, vec![held.each - bare]),
        Value::new(RESIDENT, vec![held.resident]),
    ];
    Row { subject: held.envoy.name.clone(), values }
}

fn storm_row(held: &Held, bare: &[f64]) -> Row {
    let added = held.cpu.iter().zip(bare).map(|(cpu, bare)| cpu - bare).collect();
    let values = vec![
        Value::new(BACK, held.milliseconds.clone()),
        Value::new(CPU, held.cpu.clone()),
        Value::new(ADDED, added),
    ];
    Row { subject: held.envoy.name.clone(), values }
}

/// All subjects but ext_authz, which does not see the messages of a stream.
fn subjects(bench: &Bench<'_>) -> Vec<Subject> {
    let mut subjects = bench.subjects([jwt_cache()]);
    subjects.retain(|subject| subject.name != EXT_AUTHZ);
    subjects
}

/// The subjects without a process of their own, and their floors.
fn in_envoy(bench: &Bench<'_>) -> Vec<Subject> {
    let mut subjects = subjects(bench);
    subjects.retain(|subject| subject.name != EXT_PROC);
    subjects.extend(bench.floor(&["facts"]));
    subjects
}

async fn start(
    bench: &Bench<'_>,
    subject: &Subject,
    plane: &ControlPlane,
) -> anyhow::Result<Envoy> {
    let behind = Behind::ControlPlane(plane.address);
    Envoy::start_with(bench.fleet.envoy().into(), subject, &bench.tokens.key, behind, 1).await
}

async fn stop(envoys: Vec<Envoy>) {
    for envoy in envoys {
        envoy.stop().await;
    }
}

fn scenario(id: &str, title: &str, rows: Vec<Row>) -> Scenario {
    Scenario { id: id.to_owned(), title: title.to_owned(), rows }
}
