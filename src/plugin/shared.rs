//! What all configurations of one VM share: the policy in force for each gateway, and the streams
//! that are open. It outlives a push, which makes a new root context in the same VM.
//!
//! A gateway is known by the name of its plugin, so two filters in one Envoy must have two names.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use proxy_wasm::hostcalls;

use super::exchange::warn;
use super::metrics::metrics;
use crate::gate::{Clock, Policy};
use crate::log_line;
use crate::streams::OpenStreams;
use crate::token::ZoneToken;

thread_local! {
    static COUNTS: RefCell<BTreeMap<Rc<str>, u64>> = const { RefCell::new(BTreeMap::new()) };
    static POLICIES: RefCell<BTreeMap<Rc<str>, Rc<Policy>>> = const { RefCell::new(BTreeMap::new()) };
    static OPEN: RefCell<OpenStreams> = RefCell::default();
}

/// Counts a configuration of `gateway` in this VM.
pub(super) fn count(gateway: &Rc<str>) -> u64 {
    COUNTS.with_borrow_mut(|all| {
        let count = all.entry(Rc::clone(gateway)).or_default();
        *count = count.saturating_add(1);
        *count
    })
}

/// Puts a pushed policy in force, for what is to come and for what is open.
pub(super) fn put_in_force(gateway: &Rc<str>, policy: &Rc<Policy>, clock: Clock) {
    POLICIES.with_borrow_mut(|all| all.insert(Rc::clone(gateway), Rc::clone(policy)));
    // Without a time, what is to be cut is cut at the next tick that has one.
    let now = clock.0.unwrap_or_default();
    OPEN.with_borrow_mut(|open| open.apply(gateway, policy, now));
    cut_due(clock);
}

/// The policy in force at `gateway`.
pub(super) fn in_force(gateway: &str) -> Option<Rc<Policy>> {
    POLICIES.with_borrow(|all| all.get(gateway).cloned())
}

/// Registers the allowed stream of context `id`.
pub(super) fn opened(id: u32, gateway: Rc<str>, token: ZoneToken, policy: Rc<Policy>) {
    OPEN.with_borrow_mut(|open| open.insert(id, gateway, token, policy));
}

/// Forgets it: it has ended.
pub(super) fn closed(id: u32) {
    OPEN.with_borrow_mut(|open| open.remove(id));
}

/// Cuts the streams whose time has come.
pub(super) fn cut_due(clock: Clock) {
    let Ok(now) = clock.now() else { return };
    for (id, why, token) in OPEN.with_borrow_mut(|open| open.take_due(now)) {
        metrics(|metrics| metrics.cut(why));
        warn(|suppressed| log_line::cut(why, &token, suppressed));
        // Ours is the root context: the reset goes to the stream in effect.
        if hostcalls::set_effective_context(id).is_ok() {
            let _ = hostcalls::reset_http_request();
        }
    }
}
