//! Alternating rounds: every subject gets the same requests, one subject after the other, in an order
//! that moves on with each round.
//!
//! In: running Envoys and the requests of each round. Out: a row each, with the added cost over the
//! first subject, which has no filter. Noise of the machine comes and goes slowly compared with a
//! turn, so it meets all subjects of a round, and the median drops the rounds that it spoils.

use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use http::HeaderValue;

use crate::client::{Client, Verdict};
use crate::envoy::Envoy;
use crate::results::{ADDED, CPU, P50, P99, RESIDENT, Row, Settings, Value};

/// A turn of a slow subject ends after this time, with as many requests as it has answered.
const TURN: Duration = Duration::from_secs(2);

/// How many connections take turns. Each zone proxy has its own, so what Envoy knows of a connection
/// is no longer in the CPU's nearest cache when its next request comes.
const CONNECTIONS: usize = 64;

/// The requests of a scenario.
pub(crate) struct Requests {
    /// Before the first round.
    pub(crate) warm_up: Vec<String>,
    /// Of each round.
    pub(crate) rounds: Vec<Vec<String>>,
    /// What a filter makes of them.
    pub(crate) verdict: Verdict,
}

impl Requests {
    /// No two alike: `tokens` are used up.
    pub(crate) fn fresh(tokens: &[String], settings: Settings, verdict: Verdict) -> Self {
        let (warm_up, rest) = tokens.split_at(settings.warm_up.min(tokens.len()));
        let rounds = rest.chunks(settings.requests).take(settings.rounds);
        Self {
            warm_up: warm_up.to_vec(),
            rounds: rounds.map(<[String]>::to_vec).collect(),
            verdict,
        }
    }

    /// The same few again and again.
    pub(crate) fn repeated(tokens: &[String], settings: Settings, verdict: Verdict) -> Self {
        let repeat = |count| tokens.iter().cycle().take(count).cloned().collect::<Vec<_>>();
        Self {
            warm_up: repeat(settings.warm_up),
            rounds: (0..settings.rounds).map(|_| repeat(settings.requests)).collect(),
            verdict,
        }
    }
}

/// One turn of one subject.
struct Turn {
    cpu: f64,
    p50: f64,
    p99: f64,
}

/// Runs a scenario; the first subject is the one without a filter.
pub(crate) async fn run(envoys: &[&Envoy], requests: &Requests) -> anyhow::Result<Vec<Row>> {
    let mut turns: Vec<Vec<Turn>> = envoys.iter().map(|_| Vec::new()).collect();
    let verdict = |index: usize| if index == 0 { Verdict::Passed } else { requests.verdict };
    for (index, envoy) in envoys.iter().enumerate() {
        turn(envoy, &requests.warm_up, verdict(index)).await?;
    }
    for (round, texts) in requests.rounds.iter().enumerate() {
        for offset in 0..envoys.len() {
            let index = (round + offset) % envoys.len();
            let (envoy, turns) = (envoys[index], &mut turns[index]);
            turns.push(turn(envoy, texts, verdict(index)).await?);
        }
    }
    let bare: Vec<f64> = turns[0].iter().map(|turn| turn.cpu).collect();
    envoys.iter().zip(&turns).map(|(envoy, turns)| row(envoy, turns, &bare)).collect()
}

fn row(envoy: &Envoy, turns: &[Turn], bare: &[f64]) -> anyhow::Result<Row> {
    let all = |f: fn(&Turn) -> f64| turns.iter().map(f).collect::<Vec<_>>();
    let cpu = all(|turn| turn.cpu);
    let added = cpu.iter().zip(bare).map(|(cpu, bare)| cpu - bare).collect();
    let mebibytes = envoy.resident()? as f64 / f64::from(1 << 20);
    let values = vec![
        Value::new(CPU, cpu),
        Value::new(ADDED, added),
        Value::new(P50, all(|turn| turn.p50)),
        Value::new(P99, all(|turn| turn.p99)),
        Value::new(RESIDENT, vec![mebibytes]),
    ];
    Ok(Row { subject: envoy.name.clone(), values })
}

async fn turn(envoy: &Envoy, texts: &[String], wanted: Verdict) -> anyhow::Result<Turn> {
    let headers: Vec<HeaderValue> =
        texts.iter().map(|text| text.parse()).collect::<Result<_, _>>()?;
    let mut clients = Vec::with_capacity(CONNECTIONS);
    for header in headers.iter().take(CONNECTIONS) {
        let mut client = Client::connect(envoy.address).await?;
        // Its first request pays for the connection.
        client.ask(header.clone()).await.with_context(|| envoy.name.clone())?;
        clients.push(client);
    }
    let mut times = Vec::with_capacity(headers.len());
    let (start, before) = (Instant::now(), envoy.cpu()?);
    for (index, header) in headers.into_iter().enumerate().skip(CONNECTIONS) {
        let client = &mut clients[index % CONNECTIONS];
        let (verdict, took) = client.ask(header).await.with_context(|| envoy.name.clone())?;
        if verdict != wanted {
            bail!("{}: {verdict:?}, not {wanted:?}", envoy.name);
        }
        times.push(took);
        if start.elapsed() > TURN {
            break;
        }
    }
    let cpu = (envoy.cpu()? - before) as f64 / 1000.0 / times.len() as f64;
    times.sort();
    Ok(Turn { cpu, p50: percentile(&times, 50), p99: percentile(&times, 99) })
}

/// Of sorted times, in microseconds.
fn percentile(times: &[Duration], percent: usize) -> f64 {
    let index = (times.len() * percent / 100).min(times.len().saturating_sub(1));
    times.get(index).map_or(f64::NAN, |time| time.as_secs_f64() * 1e6)
}
