//! The states that need attention: the top of the page.
//!
//! In: a [`Page`]. Out: sentences, the most severe first. `docs/troubleshoot.md` says what to do about each.

use std::time::Duration;

use zonegate::gate::{Mode, Reason};

use super::words::{count, span};
use crate::{Gateway, Page, Server};

/// The severity of a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    /// Someone is refused or let in wrongly.
    Wrong,
    /// Something will go wrong, or may.
    Look,
}

/// More than the time that a control plane takes to restart.
const LONG: Duration = Duration::from_secs(300);
/// Reasons of refusals that concern the gateway, not the client.
const OF_THE_GATEWAY: [Reason; 3] =
    [Reason::ClockUnavailable, Reason::PolicyUnavailable, Reason::Overloaded];

/// The sentences for this page.
pub(super) fn attention(page: &Page<'_>) -> Vec<(Level, String)> {
    let mut all = of_policy(page);
    all.extend(of_pushes(page));
    all.extend(of_gateway(page));
    all.sort_by_key(|(level, _)| *level);
    all
}

fn of_policy(page: &Page<'_>) -> Vec<(Level, String)> {
    let Some((policy, _)) = &page.policy else {
        return vec![match page.server {
            Server::Serve(_) => {
                (Level::Wrong, "There is no policy: every connection is refused.".to_owned())
            }
            Server::Sync(_) => (
                Level::Wrong,
                "The file has not been current since zonegate sync started.".to_owned(),
            ),
        }];
    };
    let mut all = Vec::new();
    if policy.mode == Mode::Shadow {
        let words = "Shadow mode: refusals are only counted; every connection is let in.";
        all.push((Level::Look, words.to_owned()));
    }
    for warning in &policy.warnings {
        all.push((Level::Look, format!("The policy: {warning}.")));
    }
    all
}

fn of_pushes(page: &Page<'_>) -> Option<(Level, String)> {
    match page.server {
        Server::Serve(push) => {
            push?.refused.as_ref()?;
            let words = match page.policy {
                Some(_) => "The last push was refused. The policy before it is in force.",
                None => "The last push was refused.",
            };
            Some((Level::Wrong, words.to_owned()))
        }
        Server::Sync(poll) if poll.failures > 0 => {
            let silent = page.now?.saturating_since(poll.current_at.or(poll.failing_since)?);
            let level = if silent >= LONG { Level::Wrong } else { Level::Look };
            let words = format!(
                "The file has not been brought up to date for {}: tokens that were revoked since then are still let in.",
                span(silent)
            );
            Some((level, words))
        }
        Server::Sync(_) => None,
    }
}

fn of_gateway(page: &Page<'_>) -> Vec<(Level, String)> {
    let (counts, refusals) = match page.gateway {
        Gateway::Seen(counts, refusals) => (counts, refusals),
        Gateway::Silent(_) => {
            let words = "The gateway's admin interface does not answer.";
            return vec![(Level::Wrong, words.to_owned())];
        }
        Gateway::NotAsked | Gateway::NotYet => return Vec::new(),
    };
    let mut all = Vec::new();
    for reason in OF_THE_GATEWAY {
        let denied = refusals.denied.get(&(Mode::Enforce, reason)).copied().unwrap_or_default();
        if denied > 0 {
            let many = count(denied, "connection was", "connections were");
            all.push((Level::Wrong, format!("Within the last hour {many} refused for {reason}.")));
        }
    }
    if let (Server::Sync(_), Some((policy, _))) = (page.server, &page.policy) {
        let wanted = (policy.keys.len(), policy.ids());
        if (u64::try_from(wanted.0), u64::try_from(wanted.1))
            != (Ok(counts.holds.0), Ok(counts.holds.1))
        {
            let words = "The keys or revoked ids in the gateway differ from those in the file: the gateway has not taken the last push.";
            all.push((Level::Wrong, words.to_owned()));
        }
    }
    let [day, week, _] = counts.expiring;
    for (many, within) in [(day, "a day"), (week, "a week")] {
        if many > 0 {
            let streams = count(
                many,
                "open stream has a token that expires",
                "open streams have tokens that expire",
            );
            all.push((Level::Look, format!("{streams} within {within}.")));
            break;
        }
    }
    all
}
