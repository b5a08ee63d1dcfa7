//! The page, section by section, in the order in which an operator on call needs them.
//!
//! In: a [`Page`]. Out: HTML. Its style is in `page.css`.

mod attention;
mod facts;
mod tables;
mod words;

use attention::{Level, attention};
use words::utc;

use crate::html::Html;
use crate::{Gateway, Page, STYLE, Server};

/// The whole page.
pub(crate) fn page(page: &Page<'_>) -> String {
    let mut html = Html::default();
    html.markup("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>Zonegate</title>\n")
        .markup("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n")
        .markup("<meta name=\"color-scheme\" content=\"light dark\">\n<style>")
        .markup(STYLE)
        .markup("</style>\n</head>\n<body>\n");
    head(&mut html, page);
    html.markup("<main>\n");
    summary(&mut html, page);
    facts::policy(&mut html, page);
    facts::push(&mut html, page);
    tables::refusals(&mut html, page);
    facts::streams(&mut html, page);
    tables::keys(&mut html, page);
    tables::revocations(&mut html, page);
    html.markup("</main>\n");
    foot(&mut html, page);
    html.markup("</body>\n</html>\n");
    html.finish()
}

fn head(html: &mut Html, page: &Page<'_>) {
    let name = match page.server {
        Server::Serve(_) => "zonegate serve",
        Server::Sync(_) => "zonegate sync",
    };
    html.markup("<header>\n<h1>Zonegate</h1>\n<p>").text(name).markup(" ").text(page.version);
    if let Some(now) = page.now {
        html.markup(" <span>as of ").text(utc(now)).markup("</span>");
    }
    html.markup("</p>\n</header>\n");
}

fn summary(html: &mut Html, page: &Page<'_>) {
    let all = attention(page);
    html.markup("<section id=\"attention\">\n<h2>Attention</h2>\n");
    if all.is_empty() {
        let words = match page.gateway {
            Gateway::Seen(..) => "Nothing needs attention.",
            Gateway::NotAsked | Gateway::NotYet | Gateway::Silent(_) => {
                "Nothing that is seen here needs attention. The gateway is not seen here."
            }
        };
        html.markup("<p class=\"good\">").text(words).markup("</p>\n");
    } else {
        html.markup("<ul>\n");
        for (level, words) in all {
            html.markup(match level {
                Level::Wrong => "<li class=\"wrong\"><b>Wrong</b> ",
                Level::Look => "<li class=\"look\"><b>Look</b> ",
            });
            html.text(words).markup("</li>\n");
        }
        html.markup("</ul>\n");
    }
    html.markup("</section>\n");
}

fn foot(html: &mut Html, page: &Page<'_>) {
    html.markup("<footer>\n<p>Reload the page for new values. Programs can read ")
        .markup("<a href=\"/metrics\">/metrics</a>. What each word means and what to do: ");
    html.markup(match page.server {
        Server::Serve(_) => "docs/service.md and docs/troubleshoot.md.",
        Server::Sync(_) => "docs/tool.md and docs/troubleshoot.md.",
    });
    html.markup("</p>\n</footer>\n");
}

/// Writes why nothing is known about the gateway, if so. Returns whether something is known.
fn says_why_not(html: &mut Html, gateway: Gateway<'_>) -> bool {
    match gateway {
        Gateway::Seen(..) => return true,
        Gateway::NotAsked => html
            .markup("<p>Not known here: zonegate sync writes the file and does not see the gateway. Start it with ")
            .markup("<code>--gateway-admin http://127.0.0.1:9901</code>, or ask Envoy: ")
            .markup("<code>curl -s 'localhost:9901/stats?filter=zonegate'</code></p>\n"),
        Gateway::NotYet => html.markup("<p>Not known yet: the gateway has not been asked.</p>\n"),
        Gateway::Silent(error) => html
            .markup("<p>Not known: the gateway's admin interface does not answer: ")
            .text(error)
            .markup("</p>\n"),
    };
    false
}
