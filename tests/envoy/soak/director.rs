//! The events of the soak: rounds of a minute with pushes and an outage, and restarts of Envoy in the first half.

use std::sync::Arc;
use std::time::Duration;

use rand::RngExt;
use serde_json::{Value, json};
use tokio::time::{Instant, interval, sleep, sleep_until, timeout};
use zonegate_testkit::gateway::{Gateway, Pushed};

use super::CLIENTS;
use super::world::{World, count};

/// The length of a round.
const ROUND: Duration = Duration::from_secs(60);
/// How long the control plane is down.
const OUTAGE: Duration = Duration::from_secs(4);
/// How many clients' tokens one push revokes.
const REVOKED: usize = 5;
/// How many ids stay revoked.
const LIST: usize = 50;
/// How long the previous Envoy may take to end after a hot restart.
const GONE: Duration = Duration::from_secs(60);
/// How long it may take until a revoked client has another token.
const REPLACED: Duration = Duration::from_secs(10);

/// How Envoy is restarted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Restart {
    Hot,
    Cold,
}

/// Makes the control plane send a message on every stream, four times a second, until the soak is over.
pub(super) async fn talk(world: Arc<World>) {
    let mut interval = interval(Duration::from_millis(250));
    while !world.is_over() {
        interval.tick().await;
        if let Some(control_plane) = &*world.control_plane.lock().unwrap() {
            control_plane.push();
        }
    }
}

/// Plays rounds for `length`. In the first half Envoy is restarted, in alternating ways, every five minutes or three
/// times, whichever is more often. The second half has no restarts, so that Envoy's memory can be compared.
pub(super) async fn direct(world: &World, length: Duration) {
    let start = Instant::now();
    let end = start + length;
    let between = (length / 2 / 4).min(Duration::from_secs(300));
    let (mut restart, mut next) = (Restart::Hot, start + between);
    let (mut revoked, mut before) = (Vec::new(), None);
    while Instant::now() + ROUND / 2 < end {
        let round = Instant::now();
        push_good(world, &mut revoked, &mut before).await;
        sleep_until(round + ROUND / 6).await;
        push_bad(world).await;
        sleep_until(round + ROUND / 3).await;
        push_back(world, &revoked, &before).await;
        sleep_until(round + ROUND / 2).await;
        outage(world).await;
        if Instant::now() >= next && Instant::now() < start + length / 2 {
            sleep(Duration::from_secs(5)).await;
            restart_envoy(world, restart).await;
            restart = if restart == Restart::Hot { Restart::Cold } else { Restart::Hot };
            next += between;
        }
        sleep_until((round + ROUND).min(end)).await;
        forget_requests(world);
    }
}

/// Revokes the token of the first client, which is connected, and waits until the client has another one.
pub(super) async fn revoke_one(world: &World) {
    let id = || world.ids.lock().unwrap()[0].clone();
    let revoked = id();
    push(world, &world.policy(std::slice::from_ref(&revoked)), Pushed::Accepted).await;
    world.revoke(std::slice::from_ref(&revoked));
    let deadline = Instant::now() + REPLACED;
    while id() == revoked {
        assert!(Instant::now() < deadline, "a revoked client is still connected");
        sleep(Duration::from_millis(50)).await;
    }
}

/// The ids that the push before the newest one revokes.
type Before = Option<Vec<String>>;

async fn push_good(world: &World, revoked: &mut Vec<String>, before: &mut Before) {
    *before = Some(revoked.clone());
    for _ in 0..REVOKED {
        let client = rand::rng().random_range(0..CLIENTS);
        let id = world.ids.lock().unwrap()[client].clone();
        if !revoked.contains(&id) {
            revoked.push(id);
        }
    }
    revoked.drain(..revoked.len().saturating_sub(LIST));
    world.happens("push");
    push(world, &world.policy(revoked), Pushed::Accepted).await;
    world.revoke(revoked);
}

async fn push_bad(world: &World) {
    let mut policy = world.policy(&[]);
    policy["zone"] = json!("");
    world.happens("bad push");
    push(world, &policy, Pushed::Rejected).await;
}

/// Pushes the policy before the last one, and soon the last one again.
async fn push_back(world: &World, revoked: &[String], before: &Before) {
    let before = before.clone().unwrap_or_default();
    // While the two policies overlap, a refusal is not an error.
    world.revoke(&[]);
    world.happens("push back");
    push(world, &world.policy(&before), Pushed::Accepted).await;
    sleep(Duration::from_secs(2)).await;
    push(world, &world.policy(revoked), Pushed::Accepted).await;
    world.revoke(revoked);
}

async fn push(world: &World, policy: &Value, wanted: Pushed) {
    let pushed = world.gateway.lock().await.as_ref().unwrap().push(policy).await.unwrap();
    assert_eq!(pushed, wanted);
    count(&world.seen.pushes);
    if wanted == Pushed::Accepted {
        world.options.lock().unwrap().policy = policy.clone();
    }
}

/// The control plane ends, at once or gracefully, and another one starts in its place.
async fn outage(world: &World) {
    world.happens("control plane away");
    let gone = world.control_plane.lock().unwrap().take().unwrap();
    if rand::rng().random_bool(0.5) {
        gone.stop().await
    } else {
        drop(gone)
    }
    sleep(OUTAGE).await;
    let control_plane = world.new_control_plane().await;
    *world.control_plane.lock().unwrap() = Some(control_plane);
    count(&world.seen.outages);
}

async fn restart_envoy(world: &World, restart: Restart) {
    count(&world.seen.restarts);
    let mut gateway = world.gateway.lock().await;
    match restart {
        Restart::Hot => {
            world.happens("hot restart");
            let next = gateway.as_ref().unwrap().successor().await.unwrap();
            let mut old = gateway.replace(next).unwrap();
            drop(gateway);
            timeout(GONE, old.wait()).await.expect("the old Envoy does not end").unwrap();
            world.replaced.lock().unwrap().push(old);
        }
        Restart::Cold => {
            world.happens("restart");
            let options = world.options.lock().unwrap().clone();
            gateway.take().unwrap().stop().await;
            *gateway = Some(Gateway::start_first(options).await.unwrap());
        }
    }
}

/// Drops the record of thousands of past requests.
fn forget_requests(world: &World) {
    if let Some(control_plane) = &*world.control_plane.lock().unwrap() {
        control_plane.recorder().clear();
    }
}
