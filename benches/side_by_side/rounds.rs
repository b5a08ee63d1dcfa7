//! Alternating rounds: every subject gets the same requests, one subject after the other, in an order that rotates with
//! each round.
//!
//! In: running Envoys and the requests of each round. Out: a row for each subject, with the added cost over the first
//! subject, which has no filter. Noise of the machine lasts longer than a turn, so it affects all subjects of a round,
//! and the median drops the rounds that it spoils.

use std::cell::Cell;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use futures_util::future::try_join_all;
use http::HeaderValue;

use crate::client::{ClaimedProxy, Client, Verdict};
use crate::envoy::Envoy;
use crate::results::{ADDED, CPU, P50, P99, RESIDENT, Row, SERVICE, Settings, Value};

/// A turn of a slow subject ends after this time, with as many requests as it has answered.
const TURN: Duration = Duration::from_secs(1);

/// How many connections send requests at the same time, so that Envoy never sleeps between requests. Waking up costs a
/// varying time, on a virtual machine several times the cost of a filter.
const CONNECTIONS: usize = 64;

/// The requests of a scenario.
pub(crate) struct Requests {
    /// The tokens of the requests before the first round.
    pub(crate) warm_up: Vec<String>,
    /// The tokens of each round.
    pub(crate) rounds: Vec<Vec<String>>,
    /// The verdict of a filter on these tokens.
    pub(crate) verdict: Verdict,
    /// The proxy that sends these tokens.
    pub(crate) proxy: ClaimedProxy,
}

impl Requests {
    /// Each token is used once.
    pub(crate) fn fresh(tokens: &[String], settings: Settings, verdict: Verdict) -> Self {
        let (warm_up, rest) = tokens.split_at(settings.warm_up.min(tokens.len()));
        let rounds = rest.chunks(settings.requests).take(settings.rounds);
        Self {
            warm_up: warm_up.to_vec(),
            rounds: rounds.map(<[String]>::to_vec).collect(),
            verdict,
            proxy: ClaimedProxy::INGRESS,
        }
    }

    /// The same few tokens, repeated.
    pub(crate) fn repeated(tokens: &[String], settings: Settings, verdict: Verdict) -> Self {
        let repeat = |count| tokens.iter().cycle().take(count).cloned().collect::<Vec<_>>();
        Self {
            warm_up: repeat(settings.warm_up),
            rounds: (0..settings.rounds).map(|_| repeat(settings.requests)).collect(),
            verdict,
            proxy: ClaimedProxy::INGRESS,
        }
    }
}

/// One turn of one subject, for one operation.
pub(crate) struct Turn {
    /// The CPU time of Envoy and the service, in microseconds.
    cpu: f64,
    /// The part of the service, if there is one.
    service: f64,
    p50: f64,
    p99: f64,
}

/// Runs a scenario of requests; the first subject is the one without a filter.
pub(crate) async fn run(envoys: &[&Envoy], requests: &Requests) -> anyhow::Result<Vec<Row>> {
    let verdict = |index: usize| if index == 0 { Verdict::Passed } else { requests.verdict };
    for (index, envoy) in envoys.iter().enumerate() {
        turn(envoy, &requests.warm_up, verdict(index), requests.proxy).await?;
    }
    alternate(envoys, requests.rounds.len(), async |index, round| {
        turn(envoys[index], &requests.rounds[round], verdict(index), requests.proxy).await
    })
    .await
}

/// Gives every subject a turn in every round; `turn` gets the index of the subject and of the round.
pub(crate) async fn alternate(
    envoys: &[&Envoy],
    rounds: usize,
    mut turn: impl AsyncFnMut(usize, usize) -> anyhow::Result<Turn>,
) -> anyhow::Result<Vec<Row>> {
    let mut turns: Vec<Vec<Turn>> = envoys.iter().map(|_| Vec::new()).collect();
    for round in 0..rounds {
        for offset in 0..envoys.len() {
            let index = (round + offset) % envoys.len();
            let taken = turn(index, round).await;
            turns[index].push(taken.with_context(|| envoys[index].name.clone())?);
        }
    }
    let bare: Vec<f64> = turns[0].iter().map(|turn| turn.cpu).collect();
    envoys.iter().zip(&turns).map(|(envoy, turns)| row(envoy, turns, &bare)).collect()
}

/// Runs `operation` up to `count` times within the time of a turn, in all `lanes` at the same time. `operation` returns
/// how long it took.
pub(crate) async fn metered<L>(
    envoy: &Envoy,
    lanes: &mut [L],
    count: usize,
    operation: impl AsyncFn(&mut L, usize) -> anyhow::Result<Duration>,
) -> anyhow::Result<Turn> {
    let next = Cell::new(0);
    let (start, before) = (Instant::now(), envoy.cpu()?);
    let (next, operation) = (&next, &operation);
    let lanes = lanes.iter_mut().map(|lane| async move {
        let mut times = Vec::with_capacity(count);
        while next.get() < count && start.elapsed() < TURN {
            let index = next.replace(next.get() + 1);
            times.push(operation(lane, index).await?);
        }
        anyhow::Ok(times)
    });
    let mut times = try_join_all(lanes).await?.concat();
    let after = envoy.cpu()?;
    let each = |spent: u64| spent as f64 / 1000.0 / times.len() as f64;
    let (own, service) = (each(after.0 - before.0), each(after.1 - before.1));
    times.sort();
    Ok(Turn {
        cpu: own + service,
        service,
        p50: percentile(&times, 50),
        p99: percentile(&times, 99),
    })
}

fn row(envoy: &Envoy, turns: &[Turn], bare: &[f64]) -> anyhow::Result<Row> {
    let all = |f: fn(&Turn) -> f64| turns.iter().map(f).collect::<Vec<_>>();
    let cpu = all(|turn| turn.cpu);
    let added = cpu.iter().zip(bare).map(|(cpu, bare)| cpu - bare).collect();
    let mebibytes = envoy.resident()? as f64 / f64::from(1 << 20);
    let mut values = vec![
        Value::new(CPU, cpu),
        Value::new(ADDED, added),
        Value::new(P50, all(|turn| turn.p50)),
        Value::new(P99, all(|turn| turn.p99)),
        Value::new(RESIDENT, vec![mebibytes]),
    ];
    if envoy.has_service() {
        values.push(Value::new(SERVICE, all(|turn| turn.service)));
    }
    Ok(Row { subject: envoy.name.clone(), values })
}

async fn turn(
    envoy: &Envoy,
    texts: &[String],
    wanted: Verdict,
    proxy: ClaimedProxy,
) -> anyhow::Result<Turn> {
    let headers: Vec<HeaderValue> =
        texts.iter().map(|text| text.parse()).collect::<Result<_, _>>()?;
    let (first, rest) = headers.split_at(CONNECTIONS.min(headers.len()));
    let mut clients = Vec::with_capacity(CONNECTIONS);
    for header in first {
        let mut client = Client::connect(envoy.address, proxy).await?;
        // The first request of a connection also pays for opening the connection.
        client.ask(header.clone()).await?;
        clients.push(client);
    }
    metered(envoy, &mut clients, rest.len(), async |client, index| {
        let (verdict, took) = client.ask(rest[index].clone()).await?;
        match verdict == wanted {
            true => Ok(took),
            false => bail!("{verdict:?}, not {wanted:?}"),
        }
    })
    .await
}

/// A percentile of sorted times, in microseconds.
fn percentile(times: &[Duration], percent: usize) -> f64 {
    let index = (times.len() * percent / 100).min(times.len().saturating_sub(1));
    times.get(index).map_or(f64::NAN, |time| time.as_secs_f64() * 1e6)
}
