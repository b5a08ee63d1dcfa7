//! What all configurations of one VM share: the policy in force for each gateway, and the streams
//! that are open. It outlives a push, which makes a new root context in the same VM.
//!
//! A gateway is known by the name of its plugin, so two filters in one Envoy must have two names.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use proxy_wasm::hostcalls;
use zonegate::gate::{Clock, Policy, UnixTime};
use zonegate::log_line;
use zonegate::streams::OpenStreams;
use zonegate::token::ZoneToken;

use super::exchange::warn;
use super::metrics::metrics;

thread_local! {
    static GATEWAYS: RefCell<Vec<Gateway>> = const { RefCell::new(Vec::new()) };
    static OPEN: RefCell<OpenStreams> = RefCell::default();
}

/// What this VM knows of a gateway; it serves one, or a few.
struct Gateway {
    name: Rc<str>,
    /// How many configurations it was given.
    configurations: u64,
    in_force: Option<InForce>,
}

/// The policy of a gateway that was pushed last.
struct InForce {
    policy: Rc<Policy>,
    /// Which push it came by.
    push: u64,
    since: UnixTime,
}

/// Counts a configuration of `gateway` in this VM.
pub(super) fn count(gateway: &Rc<str>) -> u64 {
    with_gateway(gateway, |known| {
        known.configurations = known.configurations.saturating_add(1);
        known.configurations
    })
}

fn with_gateway<T>(name: &Rc<str>, f: impl FnOnce(&mut Gateway) -> T) -> T {
    GATEWAYS.with_borrow_mut(|all| {
        if let Some(known) = all.iter_mut().find(|one| one.name == *name) {
            return f(known);
        }
        let mut new = Gateway { name: Rc::clone(name), configurations: 0, in_force: None };
        let result = f(&mut new);
        all.push(new);
        result
    })
}

/// Looks at the policy of `gateway` that was pushed last, if one was.
fn last_push<T>(gateway: &str, f: impl FnOnce(&InForce) -> T) -> Option<T> {
    GATEWAYS.with_borrow(|all| {
        let known = all.iter().find(|one| &*one.name == gateway)?;
        known.in_force.as_ref().map(f)
    })
}

/// Within this time of a push, streams may still begin under the policy before it.
const SWITCH: Duration = Duration::from_secs(2);

/// Puts a pushed policy in force, for what is to come and for what is open.
pub(super) fn put_in_force(gateway: &Rc<str>, policy: &Rc<Policy>, clock: Clock) {
    // Without a time, what is to be cut is cut at the next tick that has one.
    let since = clock.0.unwrap_or_default();
    with_gateway(gateway, |known| {
        let push = known.in_force.as_ref().map_or(0, |last| last.push).saturating_add(1);
        known.in_force = Some(InForce { policy: Rc::clone(policy), push, since });
    });
    OPEN.with_borrow_mut(|open| open.apply(gateway, policy, since));
    cut_due(clock);
}

/// The policy of `gateway` that was pushed last, if one was.
pub(super) fn in_force(gateway: &str) -> Option<Rc<Policy>> {
    last_push(gateway, |last| Rc::clone(&last.policy))
}

/// A stream begins under `policy`; which push is the last one then. Where a push goes back to a
/// policy that open streams still hold on to, Envoy takes its root context up again and does not
/// configure anew: the first stream that begins under it tells.
pub(super) fn begins(gateway: &Rc<str>, policy: &Rc<Policy>, clock: Clock) -> u64 {
    let went_back = last_push(gateway, |last| {
        let settled = clock.0.unwrap_or_default() > last.since.saturating_add(SWITCH);
        settled && !Rc::ptr_eq(&last.policy, policy)
    });
    if went_back.unwrap_or(true) {
        put_in_force(gateway, policy, clock);
    }
    last_push(gateway, |last| last.push).unwrap_or(0)
}

/// The policy of `gateway` that was pushed after `push`, if there was one.
pub(super) fn pushed_after(gateway: &str, push: u64) -> Option<Rc<Policy>> {
    last_push(gateway, |last| (last.push != push).then(|| Rc::clone(&last.policy))).flatten()
}

/// Registers the allowed stream of context `id`.
pub(super) fn opened(id: u32, gateway: Rc<str>, token: Rc<ZoneToken>, policy: Rc<Policy>) {
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
