//! Sections that are tables: refusals, keys, revocations.
//!
//! In: a [`Page`]. Out: HTML, with at most [`ROWS`] rows a table. On a narrow screen a row becomes a block, in which
//! each cell has its heading before it (`data-label`).

use std::cmp::Reverse;
use std::time::Duration;

use zonegate::gate::{Mode, RevocationRule, UnixTime};

use super::says_why_not;
use super::words::{count, date, grouped, span, tokens, utc};
use crate::html::Html;
use crate::{Counts, Gateway, InForce, Key, Page, Refusals, RevokedIds};

/// The most rows of a table, which a browser on a phone shows without delay.
const ROWS: usize = 200;
/// The time over which recent refusals are counted.
const HOUR: Duration = Duration::from_secs(3600);

/// Refusals by reason.
pub(super) fn refusals(html: &mut Html, page: &Page<'_>) {
    html.markup("<section id=\"refusals\">\n<h2>Refusals by reason</h2>\n");
    if says_why_not(html, page.gateway)
        && let Gateway::Seen(counts, refusals) = page.gateway
    {
        if refusals.over < HOUR {
            html.markup("<p>Counted here for ").text(span(refusals.over)).markup(" so far.</p>\n");
        }
        refusals_table(html, counts, refusals);
    }
    html.markup("</section>\n");
}

fn refusals_table(html: &mut Html, counts: &Counts, refusals: &Refusals) {
    if counts.denied.is_empty() {
        html.markup("<p>None since the gateway started.</p>\n");
        return;
    }
    let recently = |what| refusals.denied.get(what).copied().unwrap_or_default();
    let mut rows: Vec<_> =
        counts.denied.iter().map(|(what, all)| (recently(what), *what, *all)).collect();
    // Recent refusals come first.
    rows.sort_by_key(|(recent, what, _)| (Reverse(*recent), *what));
    html.markup("<table class=\"narrow\">\n<thead><tr><th>Reason</th><th>Last hour</th><th>Since the start</th></tr></thead>\n");
    html.markup("<tbody>\n");
    for (recent, (mode, reason), all) in rows {
        html.markup("<tr><td data-label=\"Reason\">").code(reason);
        html.markup(match mode {
            Mode::Enforce => "",
            Mode::Shadow => " (let in by shadow mode)",
        });
        html.markup("</td><td data-label=\"Last hour\" class=\"number\">").text(grouped(recent));
        html.markup("</td><td data-label=\"Since the start\" class=\"number\">").text(grouped(all));
        html.markup("</td></tr>\n");
    }
    html.markup("</tbody>\n</table>\n");
}

/// The keys of the policy, and who uses them.
pub(super) fn keys(html: &mut Html, page: &Page<'_>) {
    html.markup("<section id=\"keys\">\n<h2>Keys</h2>\n");
    match page.policy {
        Some((policy, _)) if !policy.keys.is_empty() => keys_table(html, policy, page.gateway),
        Some(_) | None => {
            html.markup("<p>None.</p>\n");
        }
    }
    html.markup("</section>\n");
}

fn keys_table(html: &mut Html, policy: &InForce, gateway: Gateway<'_>) {
    let counts = match gateway {
        Gateway::Seen(counts, _) => Some(counts),
        Gateway::NotAsked | Gateway::NotYet | Gateway::Silent(_) => None,
    };
    html.markup("<table>\n<thead><tr><th>Kid</th><th>Of</th><th>Fingerprint</th>");
    if counts.is_some() {
        html.markup("<th>Open streams</th><th>Let in</th>");
    }
    html.markup("</tr></thead>\n<tbody>\n");
    for key in policy.keys.iter().take(ROWS) {
        key_row(html, key, counts);
    }
    html.markup("</tbody>\n</table>\n");
    and_more(html, policy.keys.len());
}

fn key_row(html: &mut Html, key: &Key, counts: Option<&Counts>) {
    html.markup("<tr><td data-label=\"Kid\">").code(&key.kid);
    html.markup("</td><td data-label=\"Of\">").text(tokens(key.kind));
    of_mesh(html, key.mesh.as_deref());
    html.markup("<br><small>").text(&key.algorithm).markup("</small>");
    html.markup("</td><td data-label=\"Fingerprint\">").code(&key.fingerprint);
    if let Some(counts) = counts {
        let used = counts.by_key.get(&key.label).copied().unwrap_or_default();
        html.markup("</td><td data-label=\"Open streams\" class=\"number\">")
            .text(grouped(used.open));
        html.markup("</td><td data-label=\"Let in\" class=\"number\">").text(grouped(used.allowed));
    }
    html.markup("</td></tr>\n");
}

/// Revoked ids by list, and rules.
pub(super) fn revocations(html: &mut Html, page: &Page<'_>) {
    html.markup("<section id=\"revocations\">\n<h2>Revocations</h2>\n");
    match page.policy {
        Some((policy, _)) => {
            lists(html, &policy.revoked_ids);
            rules(html, &policy.rules, page.now);
        }
        None => {
            html.markup("<p>None.</p>\n");
        }
    }
    html.markup("</section>\n");
}

fn lists(html: &mut Html, lists: &[RevokedIds]) {
    if lists.is_empty() {
        html.markup("<p>No id is revoked.</p>\n");
        return;
    }
    html.markup("<ul>\n");
    for list in lists.iter().take(ROWS) {
        html.markup("<li>").text(count(u64::try_from(list.ids).unwrap_or(u64::MAX), "id", "ids"));
        html.markup(" of ").text(tokens(list.kind));
        of_mesh(html, list.mesh.as_deref());
        if list.has_empty_entry {
            html.markup(", and every token without an id");
        }
        html.markup("</li>\n");
    }
    html.markup("</ul>\n");
    and_more(html, lists.len());
}

fn rules(html: &mut Html, rules: &[RevocationRule], now: Option<UnixTime>) {
    if rules.is_empty() {
        html.markup("<p>There are no rules.</p>\n");
        return;
    }
    html.markup("<table>\n<thead><tr><th>Rule</th><th>Revokes tokens</th><th>Ends</th><th>Note</th></tr></thead>\n");
    html.markup("<tbody>\n");
    for (place, rule) in rules.iter().take(ROWS).enumerate() {
        html.markup("<tr><td data-label=\"Rule\" class=\"whole\">")
            .code(format_args!("revocationRules[{place}]"));
        html.markup("</td><td data-label=\"Revokes tokens\">");
        about(html, rule);
        html.markup("</td><td data-label=\"Ends\">");
        match rule.until {
            None => html.markup("never"),
            Some(until) => {
                let has_ended = now.is_some_and(|now| now >= until);
                html.markup(if has_ended { "has ended: " } else { "" });
                time(html, utc(until))
            }
        };
        html.markup("</td><td data-label=\"Note\">").text(&rule.note).markup("</td></tr>\n");
    }
    html.markup("</tbody>\n</table>\n");
    and_more(html, rules.len());
}

/// The tokens that a rule revokes: all conditions must hold.
fn about(html: &mut Html, rule: &RevocationRule) {
    let RevocationRule { zone, mesh, name, kid, issued_before, until: _, note: _ } = rule;
    let mut separator = "";
    for (what, value) in [("zone ", zone), ("mesh ", mesh), ("dataplane ", name), ("kid ", kid)] {
        if let Some(value) = value {
            html.markup(separator).markup(what).code(value);
            separator = ", ";
        }
    }
    if let Some(time) = issued_before {
        html.markup(separator).markup("issued before ");
        self::time(html, date(*time));
    }
}

/// A time that is not broken into lines.
fn time(html: &mut Html, time: String) -> &mut Html {
    html.markup("<span class=\"whole\">").text(time).markup("</span>")
}

fn of_mesh(html: &mut Html, mesh: Option<&str>) {
    if let Some(mesh) = mesh {
        html.markup(", mesh ").code(mesh);
    }
}

fn and_more(html: &mut Html, all: usize) {
    if let Some(more) = all.checked_sub(ROWS).filter(|more| *more > 0) {
        let more = u64::try_from(more).unwrap_or(u64::MAX);
        html.markup("<p>And ").text(grouped(more)).markup(" more, which are not shown.</p>\n");
    }
}
