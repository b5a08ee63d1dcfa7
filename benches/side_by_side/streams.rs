//! Scenarios e, f and g: streams that stay open, with a control plane behind the gate.

use std::net::{Ipv4Addr, SocketAddr};

use crate::chain::{EXT_AUTHZ, Subject};
use crate::control_plane::ControlPlane;
use crate::envoy::{Behind, Envoy};
use crate::herd::Herd;
use crate::messages::{self, Direction, SIZES, Stream};
use crate::requests::{Bench, jwt_cache};
use crate::results::{ADDED, BACK, CPU, EACH, EACH_ADDED, RESIDENT, Row, Scenario, Value};
use crate::tokens::Kind;

/// Any free port of this machine.
const ANY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
/// How often the control plane goes away.
const STORMS: usize = 3;

/// One subject's herd.
struct Held {
    name: String,
    /// KiB.
    each: f64,
    resident: f64,
    milliseconds: Vec<f64>,
    cpu: Vec<f64>,
}

/// Messages on an open stream.
pub(crate) async fn messages(bench: &Bench<'_>) -> anyhow::Result<Vec<Scenario>> {
    let token = bench.tokens.of(Kind::Good, 1)?.remove(0);
    let mut plane = ControlPlane::start(ANY).await?;
    let mut envoys = Vec::new();
    let mut streams = Vec::new();
    for subject in subjects(bench) {
        let envoy = start(bench, &subject, &plane).await?;
        streams.push(Stream::open(&envoy, &mut plane, &token).await?);
        envoys.push(envoy);
    }
    let all: Vec<&Envoy> = envoys.iter().collect();
    let turns = (bench.settings.rounds, bench.settings.requests);
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

/// Streams held open, and a control plane that goes away and comes back.
pub(crate) async fn herds(bench: &Bench<'_>, count: usize) -> anyhow::Result<[Scenario; 2]> {
    let mut all = Vec::new();
    for subject in subjects(bench) {
        eprintln!("f, g: {count} proxies, {}", subject.name);
        all.push(held(bench, &subject, count).await?);
    }
    let bare = (all[0].each, all[0].cpu.clone());
    let f = all.iter().map(|held| memory_row(held, bare.0)).collect();
    let g = all.iter().map(|held| storm_row(held, &bare.1)).collect();
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
    let mut herd = Herd::open(&envoy, plane, &tokens).await?;
    let resident = envoy.resident()?;
    let each = (resident - before) as f64 / 1024.0 / count as f64;
    let (mut milliseconds, mut cpu) = (Vec::new(), Vec::new());
    for _ in 0..STORMS {
        let (back, storm) = herd.storm(&envoy).await?;
        herd = back;
        milliseconds.push(storm.milliseconds);
        cpu.push(storm.cpu);
    }
    let name = envoy.name.clone();
    stop(vec![envoy]).await;
    Ok(Held { name, each, resident: resident as f64 / f64::from(1 << 20), milliseconds, cpu })
}

fn memory_row(held: &Held, bare: f64) -> Row {
    let values = vec![
        Value::new(EACH, vec![held.each]),
        Value::new(EACH_ADDED, vec![held.each - bare]),
        Value::new(RESIDENT, vec![held.resident]),
    ];
    Row { subject: held.name.clone(), values }
}

fn storm_row(held: &Held, bare: &[f64]) -> Row {
    let added = held.cpu.iter().zip(bare).map(|(cpu, bare)| cpu - bare).collect();
    let values = vec![
        Value::new(BACK, held.milliseconds.clone()),
        Value::new(CPU, held.cpu.clone()),
        Value::new(ADDED, added),
    ];
    Row { subject: held.name.clone(), values }
}

/// No filter, the native one, and this one.
fn subjects(bench: &Bench<'_>) -> Vec<Subject> {
    let mut subjects = bench.subjects([jwt_cache()]);
    subjects.retain(|subject| subject.name != EXT_AUTHZ);
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
