//! The state of this gate that the page shows.
//!
//! In: pushes as they come, and the counters. Out: the page, which `zonegate_page` renders.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use zonegate::gate::UnixTime;
use zonegate_page::{Counts, Gateway, History, InForce, Page, Push, Server};

/// The state of this gate.
#[derive(Debug, Default)]
pub(super) struct Shown(Mutex<Seen>);

#[derive(Debug, Default)]
struct Seen {
    policy: Option<(InForce, Option<UnixTime>)>,
    push: Option<Push>,
    history: History,
}

impl Shown {
    /// Records that a push was accepted.
    pub(super) fn accepted(&self, policy: InForce, at: Option<UnixTime>) {
        let mut seen = self.seen();
        seen.policy = Some((policy, at));
        seen.push = Some(Push { at, refused: None });
    }

    /// Records that a push was refused, or could not be read. `line` is the log line about it.
    pub(super) fn refused(&self, line: &str, at: Option<UnixTime>) {
        let why = line.strip_prefix("zonegate: ").unwrap_or(line);
        let why = why.strip_prefix("configuration refused: ").unwrap_or(why);
        self.seen().push = Some(Push { at, refused: Some(why.to_owned()) });
    }

    /// Notes what was counted until `at`, if the last note is old enough.
    pub(super) fn note(&self, at: Duration, counts: impl FnOnce() -> Counts) {
        let mut seen = self.seen();
        if seen.history.is_due(at) {
            seen.history.note(at, &counts().denied);
        }
    }

    /// The page.
    pub(super) fn html(
        &self,
        at: Duration,
        now: Option<UnixTime>,
        counts: impl FnOnce(Option<&InForce>) -> Counts,
    ) -> String {
        let mut seen = self.seen();
        let counts = counts(seen.policy.as_ref().map(|(policy, _)| policy));
        seen.history.note(at, &counts.denied);
        let refusals = seen.history.last_hour(at);
        let page = Page {
            server: Server::Serve(seen.push.as_ref()),
            version: env!("CARGO_PKG_VERSION"),
            now,
            policy: seen.policy.as_ref().map(|(policy, since)| (policy, *since)),
            gateway: Gateway::Seen(&counts, &refusals),
        };
        page.html()
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        // No operation under this lock can leave the state half changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
