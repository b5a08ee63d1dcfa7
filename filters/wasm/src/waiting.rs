//! Streams that are held for their first message, and until when.
//!
//! One list for a VM, so that a stream is refused in time whichever configuration it began under.

use std::cell::RefCell;
use std::rc::Rc;

use proxy_wasm::hostcalls;
use rustc_hash::FxHashMap;
use zonegate::gate::{Clock, Refusal, UnixTime};

use super::exchange::Exchange;

thread_local! {
    static WAITING: RefCell<FxHashMap<u32, Waiting>> = RefCell::default();
}

struct Waiting {
    exchange: Rc<Exchange>,
    until: UnixTime,
}

/// Adds the stream of context `id`.
pub(super) fn add(id: u32, exchange: Rc<Exchange>, now: UnixTime) {
    let until = now.saturating_add(exchange.policy().held_at_most());
    WAITING.with_borrow_mut(|all| all.insert(id, Waiting { exchange, until }));
}

/// Forgets it: it was judged, or has ended.
pub(super) fn remove(id: u32) {
    WAITING.with_borrow_mut(|all| all.remove(&id));
}

/// Refuses those whose time is over.
pub(super) fn deny_overdue(clock: Clock) {
    let Ok(now) = clock.now() else { return };
    for (id, exchange) in take_overdue(now) {
        // Ours is the root context: the answer goes to the stream in effect.
        if hostcalls::set_effective_context(id).is_ok() {
            let waited = exchange.policy().held_at_most();
            exchange.deny(&Refusal::NoFirstMessage { waited }.into());
        }
    }
}

fn take_overdue(now: UnixTime) -> Vec<(u32, Rc<Exchange>)> {
    WAITING.with_borrow_mut(|all| {
        let overdue = all.iter().filter(|(_, waiting)| waiting.until <= now);
        let ids: Vec<u32> = overdue.map(|(id, _)| *id).collect();
        ids.into_iter().filter_map(|id| all.remove(&id).map(|one| (id, one.exchange))).collect()
    })
}
