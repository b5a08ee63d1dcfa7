//! Scenario h: the cost of a start, and the memory of a worker.
//!
//! Every worker has its own VM, and so does the main thread.

use std::time::Instant;

use crate::chain::{EXT_AUTHZ, EXT_PROC};
use crate::envoy::{Behind, Envoy};
use crate::requests::{Bench, jwt_cache};
use crate::results::{READY, READY_CPU, RESIDENT, Row, Scenario, Value, WORKER};

/// How often each subject is started.
const STARTS: usize = 3;

#[derive(Default)]
struct Starts {
    ready: Vec<f64>,
    cpu: Vec<f64>,
    resident: Vec<f64>,
    worker: Vec<f64>,
}

/// Starts every subject, with one worker and with two.
pub(crate) async fn run(bench: &Bench<'_>) -> anyhow::Result<Scenario> {
    let mut subjects = bench.subjects([jwt_cache()]);
    subjects.retain(|subject| ![EXT_AUTHZ, EXT_PROC].contains(&&*subject.name));
    let mut all: Vec<Starts> = subjects.iter().map(|_| Starts::default()).collect();
    eprintln!("h: starting");
    for _ in 0..STARTS {
        for (subject, starts) in subjects.iter().zip(&mut all) {
            let mut resident = Vec::new();
            for workers in [1, 2] {
                let (path, key) = (bench.fleet.envoy().into(), &bench.tokens.key);
                let start = Instant::now();
                let envoy = Envoy::start_with(path, subject, key, Behind::Nothing, workers).await?;
                if workers == 1 {
                    starts.ready.push(start.elapsed().as_secs_f64() * 1000.0);
                    starts.cpu.push(envoy.cpu()?.0 as f64 / 1e6);
                }
                resident.push(envoy.resident()? as f64 / f64::from(1 << 20));
                envoy.stop().await;
            }
            starts.resident.push(resident[0]);
            starts.worker.push(resident[1] - resident[0]);
        }
    }
    let rows = subjects.iter().zip(all).map(|(subject, starts)| row(&subject.name, starts));
    let title = "from the start until the first request is taken, one worker";
    Ok(Scenario { id: "h".to_owned(), title: title.to_owned(), rows: rows.collect() })
}

fn row(name: &str, starts: Starts) -> Row {
    let Starts { ready, cpu, resident, worker } = starts;
    let values = vec![
        Value::new(READY, ready),
        Value::new(READY_CPU, cpu),
        Value::new(RESIDENT, resident),
        Value::new(WORKER, worker),
    ];
    Row { subject: name.to_owned(), values }
}
