//! Streams on which the control plane talks all the time, and what each client hears.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::{interval, sleep};

use crate::harness::{LIMIT, Setup};
use crate::open_stream::Sotw;

/// Makes the control plane send a message on every stream again and again.
pub(crate) fn talk(setup: &Setup) -> AbortHandle {
    let orders = setup.control_plane.pusher();
    let talking = tokio::spawn(async move {
        let mut interval = interval(Duration::from_millis(100));
        loop {
            interval.tick().await;
            orders.push();
        }
    });
    talking.abort_handle()
}

/// The events that one client saw on its stream.
#[derive(Debug)]
pub(crate) struct Life {
    pub(crate) id: String,
    /// The time and number of each message.
    messages: Vec<(Instant, u64)>,
    /// When it was reset, if it was.
    pub(crate) ended: Option<Instant>,
}

impl Life {
    /// Asserts that the stream went on: no message is missing, and some came before, during and after the cut.
    pub(crate) fn assert_whole(&self, pushed: Instant, last_cut: Instant) {
        assert_eq!(self.ended, None, "{self:?}");
        let numbers: Vec<u64> = self.messages.iter().map(|(_, number)| *number).collect();
        // The first message was the answer to the request.
        let wanted: Vec<u64> = (2..).take(numbers.len()).collect();
        assert_eq!(numbers, wanted, "{self:?}");
        let came = |from: Option<Instant>, to: Option<Instant>| {
            let mut times = self.messages.iter().map(|(time, _)| *time);
            times.any(|time| from.is_none_or(|from| time > from) && to.is_none_or(|to| time < to))
        };
        let (before, after) = (came(None, Some(pushed)), came(Some(last_cut), None));
        assert!(before && came(Some(pushed), Some(last_cut)) && after, "{self:?}");
    }
}

/// Waits until each stream that has not ended gets two more messages: the first may already have been in transit.
pub(crate) async fn all_hear_more(heard: &[Arc<AtomicU64>]) {
    let count = |heard: &Arc<AtomicU64>| heard.load(Ordering::SeqCst);
    let wanted: Vec<u64> = heard.iter().map(|heard| count(heard).saturating_add(2)).collect();
    let start = Instant::now();
    while heard.iter().zip(&wanted).any(|(heard, wanted)| count(heard) < *wanted) {
        assert!(start.elapsed() < LIMIT, "a stream has no more messages");
        sleep(Duration::from_millis(20)).await;
    }
}

/// Waits until this many streams have ended, for their clients.
pub(crate) async fn all_ended(heard: &[Arc<AtomicU64>], count: usize) {
    let start = Instant::now();
    let ended = || heard.iter().filter(|heard| heard.load(Ordering::SeqCst) == u64::MAX).count();
    while ended() < count {
        assert!(start.elapsed() < LIMIT, "{} of {count} streams have ended", ended());
        sleep(Duration::from_millis(20)).await;
    }
}

/// Reads messages until the stream ends, or until all are to stop. Counts them in `heard`; the maximum value means the
/// end.
pub(crate) async fn live(
    id: String,
    mut stream: Sotw,
    heard: Arc<AtomicU64>,
    mut stop: watch::Receiver<bool>,
) -> Life {
    let mut life = Life { id, messages: Vec::new(), ended: None };
    loop {
        tokio::select! {
            next = stream.next() => match next {
                Ok(Some(message)) => {
                    let number = message.version_info.parse().unwrap();
                    life.messages.push((Instant::now(), number));
                    heard.fetch_add(1, Ordering::SeqCst);
                }
                Ok(None) => panic!("{}: the control plane ends no stream", life.id),
                Err(_) => {
                    life.ended = Some(Instant::now());
                    heard.store(u64::MAX, Ordering::SeqCst);
                    return life;
                }
            },
            _ = stop.wait_for(|stop| *stop) => return life,
        }
    }
}
