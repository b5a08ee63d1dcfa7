//! The events of weeks at a gateway, in one hour: a measurement, `make soak`.
//!
//! Good clients are connected all the time; strangers send bad requests; policies are pushed, refused and pushed back;
//! the control plane is replaced; Envoy is restarted, in the first half. Every second the soak records how many streams
//! the clients, the gate, Envoy and the control plane have open, Envoy's memory, and lost messages.
//! `ZONEGATE_SOAK_MINUTES` sets the length, `ZONEGATE_SOAK` names the file.
//!
//! For the conditions, see [`World::assert_nothing_went_wrong`], and `judge` in [`samples`].

mod director;
mod good;
mod samples;
mod strangers;
mod world;

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use crate::form::FilterOnly;
use crate::harness::LIMIT;
use samples::Samples;
use world::World;

/// Good clients, each with its own connection, stream and token.
const CLIENTS: usize = 60;
/// How long all of them may take to reconnect.
const SETTLED: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
#[ignore = "an hour long: make soak"]
async fn everything_happens_to_one_gateway() {
    if FilterOnly::Restart.is_left_out() {
        return;
    }
    let minutes = std::env::var("ZONEGATE_SOAK_MINUTES").unwrap_or_else(|_| "60".to_owned());
    let minutes: u64 = minutes.parse().expect("ZONEGATE_SOAK_MINUTES is not a number");
    let file = std::env::var_os("ZONEGATE_SOAK").expect("ZONEGATE_SOAK is not set");
    let world = Arc::new(World::start().await);
    let sampling = tokio::spawn(samples::take(Arc::clone(&world)));
    let mut clients = JoinSet::new();
    for number in 0..CLIENTS {
        clients.spawn(good::come_and_go(Arc::clone(&world), number));
    }
    let mut strangers = strangers::all(&world);
    let talking = tokio::spawn(director::talk(Arc::clone(&world)));
    director::direct(&world, Duration::from_secs(60 * minutes)).await;
    strangers.abort_all();
    while strangers.join_next().await.is_some() {}
    world.happens("calm");
    world.calm();
    let settled = settle(&world).await;
    director::revoke_one(&world).await;
    let settled_again = settle(&world).await;
    world.stop();
    clients.join_all().await;
    talking.await.unwrap();
    let samples: Samples = sampling.await.unwrap();
    fs::write(&file, samples.table(&world)).unwrap();
    println!("{}\n{}", world.summary(), samples.summary());
    settled.and(settled_again).unwrap();
    world.assert_nothing_is_open(LIMIT).await;
    world.assert_nothing_went_wrong();
    samples.judge();
}

/// Waits until clients, gate, Envoy and control plane agree that only the good clients are connected, and all of them.
async fn settle(world: &World) -> anyhow::Result<()> {
    let deadline = tokio::time::Instant::now() + SETTLED;
    loop {
        let truth = world.look().await;
        let wanted = Some(CLIENTS as u64);
        if let Some(truth) = truth
            && [truth.clients, truth.gauge, truth.envoy, truth.control_plane].map(Some)
                == [wanted; 4]
            && truth.held == 0
        {
            return Ok(());
        }
        if tokio::time::Instant::now() > deadline {
            anyhow::bail!("{CLIENTS} clients should be connected, and nobody else: {truth:?}");
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}
