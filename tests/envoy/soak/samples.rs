//! The samples of every second: a table to draw, and whether Envoy's memory kept growing.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::interval;

use super::world::{Look, World};

/// How much more memory Envoy may use at the end of its last run than after its start, in bytes and as a fraction.
/// Allocator and VMs keep varying amounts of free memory.
const GROWTH: u64 = 16 * 1024 * 1024;
const GROWTH_PARTS: u64 = 20;

const MIB: u64 = 1024 * 1024;

/// The values at one moment.
struct Sample {
    seconds: f64,
    look: Look,
    received: u64,
    lost: u64,
}

/// All samples.
pub(super) struct Samples(Vec<Sample>);

/// Takes samples until the soak is over.
pub(super) async fn take(world: Arc<World>) -> Samples {
    let mut samples = Vec::new();
    let mut interval = interval(Duration::from_secs(1));
    while !world.is_over() {
        interval.tick().await;
        if let Some(look) = world.look().await {
            samples.push(Sample {
                seconds: world.seconds(),
                look,
                received: world.seen.received.load(Ordering::Relaxed),
                lost: world.seen.lost.load(Ordering::Relaxed),
            });
        }
    }
    Samples(samples)
}

impl Samples {
    /// As CSV. Each event is in the first sample after it.
    pub(super) fn table(&self, world: &World) -> String {
        let mut text = String::from(
            "seconds,resident_mib,clients,gauge,envoy,control_plane,held,received,lost,event\n",
        );
        let events = world.events();
        let mut events = events.iter().peekable();
        for Sample { seconds, look, received, lost } in &self.0 {
            let Look { resident, clients, gauge, held, envoy, control_plane, pid: _ } = look;
            let resident = *resident as f64 / MIB as f64;
            write!(text, "{seconds:.1},{resident:.1},{clients},{gauge},{envoy},{control_plane}")
                .unwrap();
            let mut names = Vec::new();
            while let Some((_, what)) = events.next_if(|(at, _)| at <= seconds) {
                names.push(*what);
            }
            writeln!(text, ",{held},{received},{lost},{}", names.join(" + ")).unwrap();
        }
        text
    }

    /// The samples of the last Envoy, without the first quarter of its run.
    fn last_life(&self) -> &[Sample] {
        let last = self.0.last().unwrap().look.pid;
        let start = self.0.iter().position(|sample| sample.look.pid == last).unwrap();
        let life = &self.0[start..];
        &life[life.len() / 4..]
    }

    /// The median of Envoy's memory, over the first and over the last third of that time, in bytes.
    fn memory(&self) -> [u64; 2] {
        let life = self.last_life();
        let third = life.len() / 3;
        [&life[..third], &life[life.len() - third..]].map(|samples| {
            let mut all: Vec<u64> = samples.iter().map(|sample| sample.look.resident).collect();
            all.sort_unstable();
            all[all.len() / 2]
        })
    }

    pub(super) fn summary(&self) -> String {
        let [first, last] = self.memory().map(|bytes| bytes as f64 / MIB as f64);
        let life = self.last_life();
        let minutes = (life[life.len() - 1].seconds - life[0].seconds) / 60.0;
        let most = self.0.iter().map(|sample| sample.look.resident).max().unwrap() / MIB;
        format!(
            "Envoy takes {first:.0} MiB at the start of its last {minutes:.1} minutes and {last:.0} MiB at their end; \
             {most} MiB at most"
        )
    }

    /// Asserts that the memory of the last Envoy is flat after its first minutes.
    pub(super) fn judge(&self) {
        let [first, last] = self.memory();
        assert!(last < first + first / GROWTH_PARTS + GROWTH, "{}", self.summary());
    }
}
