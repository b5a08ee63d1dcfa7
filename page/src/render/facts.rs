//! Sections that are lists of facts: the policy, the last push, streams and tokens.

use zonegate::gate::Mode;

use super::says_why_not;
use super::words::{count, grouped, when};
use crate::html::Html;
use crate::{Gateway, Page, Server};

/// The policy in force.
pub(super) fn policy(html: &mut Html, page: &Page<'_>) {
    html.markup(match page.server {
        Server::Serve(_) => "<section id=\"policy\">\n<h2>Policy in force</h2>\n",
        Server::Sync(_) => "<section id=\"policy\">\n<h2>Policy in the gateway's file</h2>\n",
    });
    let Some((policy, since)) = &page.policy else {
        html.markup("<p>None.</p>\n</section>\n");
        return;
    };
    html.markup("<dl>\n<dt>Mode</dt><dd>").markup(match policy.mode {
        Mode::Enforce => "enforce",
        Mode::Shadow => "shadow",
    });
    html.markup("</dd>\n<dt>Profile</dt><dd>");
    match &policy.zone {
        Some(zone) => html.markup("dpServer, zone ").code(zone),
        None => html.markup("globalKds"),
    };
    html.markup("</dd>\n<dt>Since</dt><dd>").text(when(*since, page.now));
    html.markup("</dd>\n<dt>Generation</dt><dd>");
    match policy.generation.is_empty() {
        true => html.markup("none"),
        false => html.code(&policy.generation),
    };
    html.markup("</dd>\n</dl>\n</section>\n");
}

/// The last push, or the last poll.
pub(super) fn push(html: &mut Html, page: &Page<'_>) {
    html.markup("<section id=\"push\">\n<h2>Last push</h2>\n<dl>\n");
    match page.server {
        Server::Serve(None) => {
            html.markup("<dt>Push</dt><dd>none yet</dd>\n");
        }
        Server::Serve(Some(push)) => {
            html.markup("<dt>Came</dt><dd>").text(when(push.at, page.now)).markup("</dd>\n");
            html.markup("<dt>Result</dt><dd>");
            match &push.refused {
                None => html.markup("accepted"),
                Some(why) => html.markup("refused: ").text(why),
            };
            html.markup("</dd>\n");
        }
        Server::Sync(poll) => {
            html.markup("<dt>File current</dt><dd>");
            match poll.current_at {
                Some(at) => html.text(when(Some(at), page.now)),
                None => html.markup("not since zonegate sync started"),
            };
            html.markup("</dd>\n<dt>Control plane</dt><dd>");
            match poll.failures {
                0 => html.markup("answers"),
                failures => html
                    .text(count(failures, "failed poll", "failed polls"))
                    .markup(", the last one: ")
                    .text(&poll.error),
            };
            html.markup("</dd>\n");
        }
    }
    refused_by_gateway(html, page);
    html.markup("</dl>\n</section>\n");
}

fn refused_by_gateway(html: &mut Html, page: &Page<'_>) {
    html.markup("<dt>Refused by the gateway</dt><dd>");
    match page.gateway {
        Gateway::Seen(counts, _) => {
            html.text(count(counts.rejected, "push", "pushes")).markup(" since it started")
        }
        Gateway::NotAsked | Gateway::NotYet | Gateway::Silent(_) => html.markup("not known here"),
    };
    html.markup("</dd>\n");
}

/// Open streams and their tokens.
pub(super) fn streams(html: &mut Html, page: &Page<'_>) {
    html.markup("<section id=\"streams\">\n<h2>Open streams and their tokens</h2>\n");
    if says_why_not(html, page.gateway)
        && let Gateway::Seen(counts, _) = page.gateway
    {
        let [day, week, month] = counts.expiring;
        html.markup("<dl class=\"numbers\">\n");
        for (name, number) in [
            ("Open", counts.open),
            ("Waiting for a first message", counts.held),
            ("Let in by shadow mode only", counts.shadowed),
            ("Token expires within a day", day),
            ("… within 7 days", week),
            ("… within 30 days", month),
        ] {
            let number = grouped(number);
            html.markup("<dt>").markup(name).markup("</dt><dd>").text(number).markup("</dd>\n");
        }
        html.markup("</dl>\n");
    }
    html.markup("</section>\n");
}
