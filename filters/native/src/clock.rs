//! The clock of the workers. Envoy gives an HTTP filter no timer, so a thread wakes each worker that has streams ten
//! times a second. Other code wakes a worker whenever there is something new.
//!
//! In: wakers, each of which reaches one gateway on one worker as long as its stream lives. Out: calls of
//! [`stream::woken`](crate::stream::woken) there. A worker without streams is not woken, and
//! takes what is new with its next stream.

use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use zonegate::vm_gateway::TICK;

use crate::abi::Waker;

/// How many ticks the thread continues when no worker has streams: waiting and being woken costs more.
const IDLE_TICKS: u32 = 50;

/// Wakes one gateway on one worker, while it has streams.
#[derive(Default)]
pub(crate) struct Bell(Mutex<Option<Waker>>);

struct Bells {
    all: Vec<Arc<Bell>>,
    has_thread: bool,
}

static BELLS: Mutex<Bells> = Mutex::new(Bells { all: Vec::new(), has_thread: false });
static HUNG_UP: Condvar = Condvar::new();
/// Whether the thread ticks. Otherwise it waits, or does not exist yet.
static TICKS: AtomicBool = AtomicBool::new(false);

impl Bell {
    /// A bell that the clock knows.
    pub(crate) fn new() -> Arc<Self> {
        let bell = Arc::new(Self::default());
        bells().all.push(Arc::clone(&bell));
        bell
    }

    /// Lets the clock ring this bell through `waker`.
    pub(crate) fn hang(&self, waker: Waker) {
        *self.waker() = Some(waker);
        // Either this sees that the thread is about to wait, or the thread sees the bell.
        fence(Ordering::SeqCst);
        if !TICKS.load(Ordering::Relaxed) {
            start();
        }
    }

    /// Stops the clock from ringing this bell. When this function returns, no ring is in progress.
    pub(crate) fn take_down(&self) {
        drop(self.waker().take());
    }

    fn is_hung(&self) -> bool {
        self.waker().is_some()
    }

    /// Rings the bell. Returns whether it has a waker.
    fn ring(&self) -> bool {
        // The lock is held during the call, so that Envoy cannot end the worker at the same time.
        self.waker().as_ref().map(Waker::wake).is_some()
    }

    fn waker(&self) -> MutexGuard<'_, Option<Waker>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Wakes all workers that have streams. Returns whether there are any.
pub(crate) fn wake_all() -> bool {
    let all = bells().all.clone();
    all.iter().filter(|bell| bell.ring()).count() > 0
}

fn start() {
    let mut bells = bells();
    if bells.has_thread {
        HUNG_UP.notify_one();
        return;
    }
    let thread = thread::Builder::new().name("zonegate".to_owned());
    bells.has_thread = thread.spawn(tick).is_ok();
    TICKS.store(bells.has_thread, Ordering::Relaxed);
}

fn tick() {
    let mut idle = 0_u32;
    loop {
        thread::sleep(TICK);
        idle = if wake_all() { 0 } else { idle.saturating_add(1) };
        if idle >= IDLE_TICKS {
            wait();
            idle = 0;
        }
    }
}

/// Waits until a bell has a waker.
fn wait() {
    let mut bells = bells();
    TICKS.store(false, Ordering::Relaxed);
    fence(Ordering::SeqCst);
    while !bells.all.iter().any(|bell| bell.is_hung()) {
        bells = HUNG_UP.wait(bells).unwrap_or_else(PoisonError::into_inner);
    }
    TICKS.store(true, Ordering::Relaxed);
}

fn bells() -> MutexGuard<'static, Bells> {
    BELLS.lock().unwrap_or_else(PoisonError::into_inner)
}
