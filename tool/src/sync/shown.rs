//! The contents of the page.
//!
//! In: the result of each poll, and the gateway's metrics if it is asked for them. Out: the page. `zonegate_page` does
//! the layout.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime};

use zonegate::gate::UnixTime;
use zonegate_page::{Counts, Gateway, History, InForce, Page, Poll, Server};

/// The last known states of the control plane, the file and the gateway.
#[derive(Debug)]
pub(super) struct Shown {
    start: Instant,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    policy: Option<(InForce, Option<UnixTime>)>,
    poll: Poll,
    gateway: Answer,
    history: History,
}

/// The gateway's last response.
#[derive(Debug, Default)]
enum Answer {
    #[default]
    NotAsked,
    NotYet,
    Counts(Counts),
    Nothing(String),
}

impl Default for Shown {
    fn default() -> Self {
        Self { start: Instant::now(), seen: Mutex::default() }
    }
}

impl Shown {
    /// Notes that the file is current.
    pub(super) fn current(&self) {
        self.seen().poll = Poll { current_at: now(), ..Poll::default() };
    }

    /// Notes the policy in the file, and when it was written.
    pub(super) fn in_file(&self, policy: InForce, since: Option<SystemTime>) {
        self.seen().policy = Some((policy, since.and_then(UnixTime::of)));
    }

    /// Notes that a poll failed.
    pub(super) fn failed(&self, why: &str) {
        let poll = &mut self.seen().poll;
        poll.failures = poll.failures.saturating_add(1);
        poll.failing_since = poll.failing_since.or_else(now);
        why.clone_into(&mut poll.error);
    }

    /// Notes that the gateway will be asked.
    pub(super) fn will_ask(&self) {
        self.seen().gateway = Answer::NotYet;
    }

    /// Notes the gateway's response: [`Counts`], for the policy in the file.
    pub(super) fn answered(&self, counts: impl FnOnce(Option<&InForce>) -> Counts) {
        let at = self.start.elapsed();
        let mut seen = self.seen();
        let counts = counts(seen.policy.as_ref().map(|(policy, _)| policy));
        seen.history.note(at, &counts.denied);
        seen.gateway = Answer::Counts(counts);
    }

    /// Notes that the gateway did not respond.
    pub(super) fn no_answer(&self, why: String) {
        self.seen().gateway = Answer::Nothing(why);
    }

    /// The page.
    pub(super) fn html(&self) -> String {
        let seen = self.seen();
        let refusals = seen.history.last_hour(self.start.elapsed());
        let page = Page {
            server: Server::Sync(&seen.poll),
            version: env!("CARGO_PKG_VERSION"),
            now: now(),
            policy: seen.policy.as_ref().map(|(policy, since)| (policy, *since)),
            gateway: match &seen.gateway {
                Answer::NotAsked => Gateway::NotAsked,
                Answer::NotYet => Gateway::NotYet,
                Answer::Counts(counts) => Gateway::Seen(counts, &refusals),
                Answer::Nothing(why) => Gateway::Silent(why),
            },
        };
        page.html()
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        // No operation leaves the value half changed, so a poisoned lock is safe to use.
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn now() -> Option<UnixTime> {
    UnixTime::of(SystemTime::now())
}
