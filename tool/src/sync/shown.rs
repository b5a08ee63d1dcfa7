//! What the page shows of a sync.
//!
//! In: what each poll did, and what the gateway counts where it is asked. Out: the page. What it looks like is
//! `zonegate_page`'s business.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime};

use zonegate::gate::UnixTime;
use zonegate_page::{Counts, Gateway, History, InForce, Page, Poll, Server};

/// What was seen of the control plane, of the file and of the gateway.
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

/// What the gateway said last.
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
    /// The file is current.
    pub(super) fn current(&self) {
        self.seen().poll = Poll { current_at: now(), ..Poll::default() };
    }

    /// What is in the file, since then.
    pub(super) fn in_file(&self, policy: InForce, since: Option<SystemTime>) {
        self.seen().policy = Some((policy, since.and_then(UnixTime::of)));
    }

    /// A poll failed.
    pub(super) fn failed(&self, why: &str) {
        let poll = &mut self.seen().poll;
        poll.failures = poll.failures.saturating_add(1);
        poll.failing_since = poll.failing_since.or_else(now);
        why.clone_into(&mut poll.error);
    }

    /// The gateway will be asked.
    pub(super) fn will_ask(&self) {
        self.seen().gateway = Answer::NotYet;
    }

    /// What the gateway answered: [`Counts`], for the policy in the file.
    pub(super) fn answered(&self, counts: impl FnOnce(Option<&InForce>) -> Counts) {
        let at = self.start.elapsed();
        let mut seen = self.seen();
        let counts = counts(seen.policy.as_ref().map(|(policy, _)| policy));
        seen.history.note(at, &counts.denied);
        seen.gateway = Answer::Counts(counts);
    }

    /// The gateway did not answer.
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
        // Nothing that is done with it leaves it half done.
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn now() -> Option<UnixTime> {
    UnixTime::of(SystemTime::now())
}
