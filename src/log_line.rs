//! What the gate writes to Envoy's log, and how often.
//!
//! In: a denial and facts of the request. Out: one line of key=value. Values that came from outside
//! are quoted, escaped and cut; a token is never in it.

use std::fmt::Write as _;

use crate::config::Config;
use crate::gate::{Denial, Mode, Permit, Profile, Quoted, UnixTime};
use crate::streams::Cut;
use crate::token::{Arithmetic, ZoneToken};

/// Facts of a request that help to find who was refused.
#[derive(Debug, Default)]
pub struct Origin {
    /// `:path`.
    pub path: String,
    /// Address and port of the peer.
    pub peer: String,
    /// `x-request-id`.
    pub request_id: String,
}

/// The line of a refusal. Kid, jti and zone are there only once verified.
pub fn refusal(mode: Mode, denial: &Denial, origin: &Origin, suppressed: u64) -> String {
    let Denial { refusal, token } = denial;
    let Origin { path, peer, request_id } = origin;
    let mut line = format!(
        "zonegate: {} reason={} path={} peer={} request_id={}",
        denied(mode),
        refusal.reason(),
        Quoted(path),
        Quoted(peer),
        Quoted(request_id)
    );
    if let Some(token) = token {
        let claims = &token.claims;
        let (kid, jti, zone) = (Quoted(&token.kid), Quoted(&claims.id), Quoted(&claims.zone));
        // Writing to a String does not fail.
        let _ = write!(line, " kid={kid} jti={jti} zone={zone}");
    }
    let _ = write!(line, " detail=\"{}\"", refusal.to_string().replace('"', "'"));
    note_suppressed(&mut line, suppressed);
    line
}

/// How many lines were left out before this one.
fn note_suppressed(line: &mut String, suppressed: u64) {
    if suppressed > 0 {
        let _ = write!(line, " suppressed={suppressed}");
    }
}

/// A refusal in one word: carried out, or only counted.
fn denied(mode: Mode) -> &'static str {
    match mode {
        Mode::Enforce => "denied",
        Mode::Shadow => "would_deny",
    }
}

/// The line of an open stream that is cut.
pub fn cut(why: Cut, token: &ZoneToken, suppressed: u64) -> String {
    let (kid, claims) = (Quoted(&token.kid), &token.claims);
    let (jti, zone) = (Quoted(&claims.id), Quoted(&claims.zone));
    let mut line = format!("zonegate: cut reason={why} kid={kid} jti={jti} zone={zone}");
    note_suppressed(&mut line, suppressed);
    line
}

/// The line of a configuration that is now in force.
pub fn accepted(config: &Config, arithmetic: Arithmetic) -> String {
    let policy = &config.policy;
    let mut keys = String::new();
    for (kid, key) in policy.keys.iter() {
        let comma = if keys.is_empty() { "" } else { "," };
        let _ = write!(keys, "{comma}{}={}", Quoted(kid), key.fingerprint());
    }
    format!(
        "zonegate: configured version={} profile={} mode={} crypto={} revocations={} keys={keys}",
        env!("CARGO_PKG_VERSION"),
        profile(&policy.profile),
        match policy.mode {
            Mode::Enforce => "enforce",
            Mode::Shadow => "shadow",
        },
        arithmetic.as_str(),
        policy.revocations.ids(),
    )
}

fn profile(profile: &Profile) -> String {
    match profile {
        Profile::DpServer(server) => format!("dpServer zone={}", Quoted(&server.zone)),
        Profile::GlobalKds => "globalKds".to_owned(),
    }
}

/// A debug line of a connection that passes.
pub fn allowed(permit: &Permit) -> String {
    match permit {
        Permit::ZoneToken { token, caller } => format!(
            "zonegate: allowed caller={caller} kid={} jti={} zone={}",
            Quoted(&token.kid),
            Quoted(&token.claims.id),
            Quoted(&token.claims.zone)
        ),
        Permit::Unchecked(switch) => format!("zonegate: passed unchecked, by {switch:?}"),
    }
}

/// How many lines a worker may write: [`RateLimit::BURST`] at once, then as many a second. A flood
/// of bad connections must not become a flood of log.
#[derive(Debug, Default)]
pub struct RateLimit {
    second: u64,
    written: u32,
    suppressed: u64,
}

impl RateLimit {
    /// Lines a second.
    pub const BURST: u32 = 10;

    /// Whether a line may be written at `now`: how many were left out before it, or `None`.
    pub fn admit(&mut self, now: UnixTime) -> Option<u64> {
        if now.as_secs() != self.second {
            *self = Self { second: now.as_secs(), written: 0, suppressed: self.suppressed };
        }
        if self.written >= Self::BURST {
            self.suppressed = self.suppressed.saturating_add(1);
            return None;
        }
        self.written = self.written.saturating_add(1);
        Some(std::mem::take(&mut self.suppressed))
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;
    use std::time::Duration;

    use super::*;
    use crate::gate::{Refusal, Served};
    use crate::token::{Claims, ZoneToken};

    #[test]
    fn a_line_cannot_be_forged_or_flooded() {
        let claims =
            Claims { id: "a\" zone=\"b\n".into(), zone: "z".repeat(500), ..Claims::default() };
        let token = Some(Rc::new(ZoneToken { kid: "1".into(), claims }));
        let denial = Denial { refusal: Refusal::PathDenied(Served::ZoneProxies), token };
        let origin = Origin { path: "/\u{1b}[2J".into(), ..Origin::default() };
        let line = refusal(Mode::Enforce, &denial, &origin, 3);
        assert!(line.is_ascii() && !line.contains('\n') && !line.contains('\u{1b}'), "{line}");
        assert!(line.contains(r#"jti="a\" zone=\"b\n""#), "{line}");
        assert!(line.contains(&format!("zone=\"{}...\"", "z".repeat(64))), "{line}");
        assert!(line.ends_with("suppressed=3"), "{line}");
    }

    #[test]
    fn a_burst_is_cut_and_counted() {
        let mut limit = RateLimit::default();
        let at = Duration::from_secs;
        let admitted = (0..100).filter_map(|_| limit.admit(at(1))).count();
        assert_eq!(admitted, 10);
        assert_eq!(limit.admit(at(2)), Some(90));
        assert_eq!(limit.admit(at(2)), Some(0));
    }
}
