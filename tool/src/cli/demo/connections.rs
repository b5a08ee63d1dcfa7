//! The connections through the gateway, and the proxies that bypass it.
//!
//! In: the lines of the access log, and the time. Out: lines for the operator: a stream that is open, a request or
//! stream that has ended. A proxy that got its bootstrap and then opens no stream here is reported. The gateway cannot
//! see why it does not.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use zonegate::text::HumanDuration;

use crate::access_log::{Event, Line, StreamKey, TokenFacts};
use crate::cli::printable::one_line;

/// How long a proxy may take to open its first stream. kuma-dp starts its Envoy within seconds.
const PATIENCE: Duration = Duration::from_secs(15);

/// The connections seen so far.
#[derive(Debug, Default)]
pub(super) struct Connections {
    open: HashSet<StreamKey>,
    bootstrapped: Vec<Bootstrapped>,
}

/// A proxy that got its bootstrap and has no stream yet.
#[derive(Debug)]
struct Bootstrapped {
    peer: String,
    token: Option<TokenFacts>,
    since: Instant,
}

impl Connections {
    /// What is new in a line of the log.
    pub(super) fn take(&mut self, line: &Line, now: Instant) -> Option<String> {
        let is_bootstrap = line.path == "/bootstrap";
        let is_news = match line.event {
            Event::Periodic => self.open.insert(line.key.clone()),
            Event::End => {
                self.open.remove(&line.key);
                true
            }
        };
        let is_let_in = line.verdict.as_deref().is_some_and(|verdict| verdict != "deny");
        if is_let_in && is_bootstrap && line.status == 200 {
            let (peer, token) = (line.peer.clone(), line.token.clone());
            self.bootstrapped.push(Bootstrapped { peer, token, since: now });
        } else if is_let_in && !is_bootstrap {
            self.bootstrapped.retain(|proxy| !proxy.is_peer_of(line));
        }
        is_news.then(|| describe(line))
    }

    /// The proxies whose stream has not come in time. Each is reported once.
    pub(super) fn gone_round(&mut self, now: Instant) -> Vec<String> {
        let is_late =
            |proxy: &mut Bootstrapped| now.saturating_duration_since(proxy.since) >= PATIENCE;
        self.bootstrapped.extract_if(.., is_late).map(|proxy| proxy.warning()).collect()
    }
}

impl Bootstrapped {
    /// Whether the stream is from this proxy: it has the same token, or the same host if there is no token.
    fn is_peer_of(&self, line: &Line) -> bool {
        match (&self.token, &line.token) {
            (Some(one), Some(other)) => (&one.kid, &one.id) == (&other.kid, &other.id),
            _ => host(&self.peer) == host(&line.peer),
        }
    }

    fn warning(&self) -> String {
        let token = self.token.as_ref().map(token).unwrap_or_default();
        format!(
            "WARNING: the proxy at {}{token} got its bootstrap here {} s ago, and no stream of it has come. Either \
             it goes round the gateway, for kuma-cp has told it another address (XDS_HOST and XDS_PORT, above), or \
             its Envoy could not connect (kuma-dp's log says why).",
            one_line(&self.peer),
            PATIENCE.as_secs()
        )
    }
}

fn describe(line: &Line) -> String {
    let path = one_line(line.path.rsplit('/').next().unwrap_or_default());
    let token = line.token.as_ref().map(token).unwrap_or_default();
    let verdict = match (line.verdict.as_deref(), line.reason.as_deref()) {
        (Some("deny"), reason) => format!("denied: {}", reason.unwrap_or_default()),
        (Some("would_deny"), reason) => format!("would be denied: {}", reason.unwrap_or_default()),
        (Some("allow"), _) if line.token.is_none() => "allowed, unchecked".to_owned(),
        (Some("allow"), _) => "allowed".to_owned(),
        (None | Some(_), _) => "not judged".to_owned(),
    };
    let state = match (line.event, line.seen.saturating_since(line.began)) {
        (Event::Periodic, _) => ", open".to_owned(),
        (Event::End, lasted) if lasted < Duration::from_secs(1) => {
            format!(", HTTP {}", line.status)
        }
        (Event::End, lasted) => format!(", ended after {}", HumanDuration(lasted)),
    };
    format!("connection: {} {path}: {}{state}{token}", one_line(&line.peer), one_line(&verdict))
}

/// The holder of the token.
fn token(token: &TokenFacts) -> String {
    let TokenFacts { kind, kid, id, .. } = token;
    format!(" ({} kid={} jti={})", one_line(kind), one_line(kid), one_line(id))
}

fn host(peer: &str) -> String {
    peer.parse::<SocketAddr>().map_or_else(|_| peer.to_owned(), |peer| peer.ip().to_string())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::arithmetic_side_effects)] // a test may panic
mod tests {
    use super::*;

    fn line(event: &str, connection: u64, path: &str, more: &str) -> Line {
        let text = format!(
            r#"{{"time":"2026-11-27T09:30:00.000Z","event":"{event}","connection":{connection},"milliseconds":2000,"status":200,"peer":"10.0.0.7:50{connection}","path":"{path}"{more}}}"#
        );
        Line::parse(&text).unwrap()
    }

    const SOTW: &str =
        "/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources";
    const TOKEN: &str = r#","verdict":"allow","token":"kind=zoneToken kid=1 jti=a zone=z exp=9""#;
    const OTHER: &str = r#","verdict":"allow","token":"kind=zoneToken kid=1 jti=b zone=z exp=9""#;
    const NOBODY: &str = r#","verdict":"allow""#;

    #[test]
    fn a_stream_is_told_once_while_it_is_open_and_once_when_it_ends() {
        let (mut seen, now) = (Connections::default(), Instant::now());
        let open = line("DownstreamPeriodic", 7, SOTW, TOKEN);
        assert_eq!(
            seen.take(&open, now).unwrap(),
            "connection: 10.0.0.7:507 StreamAggregatedResources: allowed, open (zoneToken kid=1 jti=a)"
        );
        assert_eq!(seen.take(&open, now), None);
        assert_eq!(
            seen.take(&line("DownstreamEnd", 7, SOTW, TOKEN), now).unwrap(),
            "connection: 10.0.0.7:507 StreamAggregatedResources: allowed, ended after 2 s (zoneToken kid=1 jti=a)"
        );
        let denied =
            line("DownstreamEnd", 8, "/bootstrap", r#","verdict":"deny","reason":"expired""#);
        assert_eq!(
            seen.take(&denied, now).unwrap(),
            "connection: 10.0.0.7:508 bootstrap: denied: expired, ended after 2 s"
        );
        assert_eq!(seen.gone_round(now + PATIENCE), [""; 0]);
    }

    /// A proxy is recognised by its token, or by its host if no token was checked.
    #[test]
    fn a_proxy_whose_stream_does_not_come_is_pointed_out_once() {
        let now = Instant::now();
        for (bootstrap, stream, is_warned) in [
            (TOKEN, Some(TOKEN), false),
            (TOKEN, Some(OTHER), true),
            (TOKEN, None, true),
            (NOBODY, Some(OTHER), false),
            (TOKEN, Some(r#","verdict":"deny","reason":"expired""#), true),
        ] {
            let mut seen = Connections::default();
            seen.take(&line("DownstreamEnd", 1, "/bootstrap", bootstrap), now);
            if let Some(stream) = stream {
                seen.take(&line("DownstreamPeriodic", 2, SOTW, stream), now);
            }
            let early = PATIENCE.checked_sub(Duration::from_secs(1)).unwrap();
            assert_eq!(seen.gone_round(now + early), [""; 0]);
            let warnings = seen.gone_round(now + PATIENCE);
            assert_eq!(warnings.len(), usize::from(is_warned), "{bootstrap} {stream:?}");
            assert_eq!(seen.gone_round(now + PATIENCE), [""; 0]);
        }
    }
}
