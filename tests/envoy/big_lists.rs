//! How long a push of a long revocation list blocks a worker: a measurement, `make stall`.
//!
//! One worker. A client sends it requests that are refused, in a tight loop; the longest wait is the stall. The token
//! of an open stream is the last in the list: when the stream ends, the list is in force.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::time::{sleep, timeout};
use uuid::Uuid;
use zonegate::gate::ADS_SOTW;
use zonegate_testkit::raw_client::{End, RawConnection, RawRequest};

use crate::ecds::{SOURCE, resource};
use crate::harness::{Bench, Setup, grpc_headers, policy};
use crate::open_stream::{Sotw, open};

const SIZES: [usize; 3] = [1_000, 100_000, 1_000_000];
/// The longest time that a push may take.
const PATIENCE: Duration = Duration::from_secs(180);

/// How the ids are written.
#[derive(Clone, Copy)]
enum Form {
    /// As in the secret: one string.
    Text,
    /// As a list.
    List,
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement: make stall"]
async fn a_push_of_a_long_list() {
    println!(
        "workers |      ids | form | file | longest wait, ms | in force |       memory, MiB       |"
    );
    println!(
        "        |          |      |      | before |  during | after, s | before | 1st | 2nd | later |"
    );
    for workers in [1, 2] {
        for ids in SIZES {
            for (form, file) in [(Form::Text, "yaml"), (Form::Text, "json"), (Form::List, "json")] {
                measure(workers, ids, form, file).await;
            }
        }
    }
}

async fn measure(workers: u32, ids: usize, form: Form, file: &str) {
    let mut bench = Bench::new();
    bench.options.concurrency = workers;
    let folder = bench.scratch().join("lists");
    let file = folder.join(format!("zonegate.{file}"));
    fs::create_dir(&folder).unwrap();
    fs::write(&file, resource(&policy(&bench.key))).unwrap();
    bench.options.edits = vec![
        (format!("{SOURCE}/path_config_source/path"), json!(file)),
        (format!("{SOURCE}/path_config_source/watched_directory/path"), json!(folder)),
    ];
    let setup = bench.start().await;
    let before = setup.resident();
    let list = List::write(&setup, &file, ids, form).await;
    let probe = Probe::start(setup.raw().await);
    sleep(Duration::from_secs(1)).await;
    let calm = probe.longest_wait();
    let (first, in_force) = list.push(&setup).await;
    sleep(Duration::from_secs(1)).await;
    let during = probe.stop().await;
    let (second, _) = List::write(&setup, &file, ids, form).await.push(&setup).await;
    // Envoy releases 64 MiB each second.
    sleep(Duration::from_secs(10)).await;
    let later = setup.resident();
    let mebibytes = |bytes: u64| bytes / 1024 / 1024;
    println!(
        "{workers:7} | {ids:8} | {} | {:4} | {:6.1} | {:7.1} | {:8.2} | {:6} | {:3} | {:3} | {:5} |",
        match form {
            Form::Text => "text",
            Form::List => "list",
        },
        file.extension().unwrap().display(),
        milliseconds(calm),
        milliseconds(during),
        in_force.as_secs_f64(),
        mebibytes(before),
        mebibytes(first),
        mebibytes(second),
        mebibytes(later),
    );
}

/// A list that is written, but not pushed yet.
struct List {
    place: PathBuf,
    written: PathBuf,
    /// The token of this stream is the last of the list.
    stream: Sotw,
}

impl List {
    /// Writes a list of `ids` new ids.
    async fn write(setup: &Setup, file: &Path, ids: usize, form: Form) -> Self {
        let ids: Vec<String> = (0..ids).map(|_| Uuid::new_v4().to_string()).collect();
        let token = setup.token_of(ids.last().unwrap());
        let stream = open(&setup.connect().await, &token).await;
        let mut pushed = policy(&setup.key);
        pushed["openStreams"] = json!({ "cutWithinMilliseconds": 0 });
        pushed["revocations"] = match form {
            Form::Text => Value::String(ids.join(",")),
            Form::List => json!(ids),
        };
        let written = file.with_extension("new");
        fs::write(&written, resource(&pushed)).unwrap();
        Self { place: file.to_owned(), written, stream }
    }

    /// Pushes the list. Returns Envoy's memory after that, and the time until the stream ended.
    async fn push(mut self, setup: &Setup) -> (u64, Duration) {
        let start = Instant::now();
        fs::rename(&self.written, &self.place).unwrap();
        assert!(timeout(PATIENCE, self.stream.next()).await.unwrap().is_err());
        let in_force = start.elapsed();
        (setup.resident(), in_force)
    }
}

/// A client that sends requests which are refused on their headers.
struct Probe {
    stopped: Arc<AtomicBool>,
    longest: Arc<Mutex<Duration>>,
    task: tokio::task::JoinHandle<()>,
}

impl Probe {
    fn start(connection: RawConnection) -> Self {
        let (stopped, longest) =
            (Arc::new(AtomicBool::new(false)), Arc::<Mutex<Duration>>::default());
        let (until, seen) = (Arc::clone(&stopped), Arc::clone(&longest));
        let task = tokio::spawn(async move {
            while !until.load(Ordering::Relaxed) {
                let request = RawRequest {
                    method: "POST",
                    path: ADS_SOTW,
                    headers: grpc_headers("garbage"),
                    chunks: vec![],
                    end: End::Never,
                };
                let start = Instant::now();
                assert_eq!(connection.send(request).await.unwrap().grpc_status(), Some(16));
                let mut longest = seen.lock().unwrap();
                *longest = start.elapsed().max(*longest);
            }
        });
        Self { stopped, longest, task }
    }

    /// The longest wait since the last call.
    fn longest_wait(&self) -> Duration {
        std::mem::take(&mut *self.longest.lock().unwrap())
    }

    async fn stop(self) -> Duration {
        self.stopped.store(true, Ordering::Relaxed);
        self.task.await.unwrap();
        std::mem::take(&mut *self.longest.lock().unwrap())
    }
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}
