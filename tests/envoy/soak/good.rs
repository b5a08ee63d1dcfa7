//! Good clients: each opens a stream, reads messages, closes it after a while, and soon reconnects.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rand::RngExt;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tonic::{Code, Status};
use zonegate_testkit::zone_proxy::{Claimed, Connection, Stream};

use super::world::{World, count};

/// Longer than any answer takes.
const PATIENCE: Duration = Duration::from_secs(20);
/// Time between two checks whether to leave.
const LOOK: Duration = Duration::from_millis(500);

/// Connects again and again until the soak is over.
pub(super) async fn come_and_go(world: Arc<World>, number: usize) {
    let mut tokens = 0;
    while !world.is_over() {
        let id = format!("proxy-{number}-{tokens}");
        world.ids.lock().unwrap()[number] = id.clone();
        match stay(&world, number, &id).await {
            Ok(()) => {}
            // A client whose token is revoked gets another token.
            Err(status) if status.message().starts_with("zonegate: revoked: ") => tokens += 1,
            Err(status) => {
                if matches!(status.code(), Code::Unauthenticated | Code::PermissionDenied) {
                    count(&world.seen.wronged);
                    println!("client {number} is refused: {status:?}");
                }
                let pause = rand::rng().random_range(50..500);
                sleep(Duration::from_millis(pause)).await;
            }
        }
    }
}

/// One connection with one stream. Returns the status if the stream is refused.
async fn stay(world: &World, number: usize, id: &str) -> Result<(), Status> {
    let unavailable = |error: anyhow::Error| Status::unavailable(error.to_string());
    let opening = timeout(PATIENCE, Connection::open(world.address, &world.ca)).await;
    let connection = opening.map_err(|_| Status::unavailable("no connection"))?;
    let connection = connection.map_err(unavailable)?;
    let token = world.token(id);
    let claimed = if number % 4 < 2 { Claimed::INGRESS } else { Claimed::EGRESS };
    if number.is_multiple_of(2) {
        let stream = answered(world, connection.sotw(Some(&token), claimed)).await?;
        listen(world, id, stream, |message| &message.version_info).await
    } else {
        let stream = answered(world, connection.delta(Some(&token), claimed)).await?;
        listen(world, id, stream, |message| &message.system_version_info).await
    }
}

async fn answered<S>(
    world: &World,
    opening: impl Future<Output = Result<S, Status>>,
) -> Result<S, Status> {
    timeout(PATIENCE, opening).await.unwrap_or_else(|_| {
        count(&world.seen.unanswered);
        Err(Status::unavailable("no answer"))
    })
}

/// Reads until the stream ends, or it is time to leave. The control plane counts the messages of each stream.
async fn listen<Q, A>(
    world: &World,
    id: &str,
    mut stream: Stream<Q, A>,
    version: fn(&A) -> &str,
) -> Result<(), Status> {
    let until = Instant::now() + Duration::from_secs(rand::rng().random_range(15..90));
    let (mut last, mut open) = (0, None);
    while !world.is_over() && (world.is_calm() || Instant::now() < until) {
        let Ok(message) = timeout_at(Instant::now() + LOOK, stream.next()).await else { continue };
        match message {
            Ok(Some(message)) => {
                open.get_or_insert_with(|| Open::new(world));
                let number: u64 = version(&message).parse().unwrap();
                world.seen.lost.fetch_add(number.abs_diff(last + 1), Ordering::Relaxed);
                last = number;
                count(&world.seen.received);
                if world.overstays(id) {
                    count(&world.seen.overstayed);
                }
            }
            // The stream ended: by a push, a restart, or the control plane.
            Ok(None) | Err(_) if open.is_some() => return Ok(()),
            Ok(None) => return Err(Status::unavailable("it ended before it began")),
            Err(status) => return Err(status),
        }
    }
    Ok(())
}

/// A stream with at least one message.
struct Open<'a>(&'a AtomicU64);

impl<'a> Open<'a> {
    fn new(world: &'a World) -> Self {
        count(&world.seen.opened);
        count(&world.seen.open);
        Self(&world.seen.open)
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
