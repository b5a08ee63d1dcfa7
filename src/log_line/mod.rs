//! What the gate writes to the log, and how often.
//!
//! In: what happened. Out: one line of key=value. Values that came from outside are quoted, escaped and
//! cut; a token is never in a line.

mod configuration;

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

pub use configuration::{
    GIVEN_TO_ANOTHER_MODULE, GIVEN_TO_ANOTHER_VM, UNREADABLE, of_accepted, of_refused,
};

use memchr::memchr;

use crate::credential::Identity;
use crate::gate::{Denial, Mode};
use crate::lifecycle::{Cut, StreamId};
use crate::text::Quoted;

/// Facts of a request that help to find who was refused.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origin {
    /// `:path`, without the query, because a query may contain a secret.
    path: Box<[u8]>,
    /// `x-request-id`.
    request_id: Box<[u8]>,
}

impl Origin {
    /// Keeps as much of each text as a line shows.
    pub fn new(path: &[u8], request_id: &[u8]) -> Self {
        // A character takes four bytes at most. One more character than is shown is kept, to tell that the text was
        // cut.
        const KEPT: usize = 4 * (Quoted::LIMIT + 1);
        let kept = |bytes: &[u8]| bytes.get(..KEPT).unwrap_or(bytes).into();
        let path = memchr(b'?', path).and_then(|query| path.get(..query)).unwrap_or(path);
        Self { path: kept(path), request_id: kept(request_id) }
    }
}

/// The severity of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Something was done as intended.
    Info,
    /// Something was refused or ended.
    Warn,
    /// Something that was asked for could not be done.
    Error,
}

/// A line about a stream or the policy in force.
#[derive(Debug, Clone, PartialEq)]
pub enum LogLine {
    /// A stream is refused, or would be in enforce mode.
    Refused {
        /// The stream.
        stream: StreamId,
        /// Whether the refusal is enforced.
        mode: Mode,
        /// The reason, and the token if it was verified.
        denial: Denial,
        /// Where the request came from.
        origin: Origin,
        /// How many lines were left out before this one.
        suppressed: u64,
    },
    /// An open stream is cut.
    Cut {
        /// Why.
        why: Cut,
        /// The identity of its token; `None` if no token was verified.
        identity: Option<Arc<Identity>>,
        /// How many lines were left out before this one.
        suppressed: u64,
    },
    /// The host took up an earlier configuration again.
    WentBack,
    /// What happened to a configuration.
    Text(Level, String),
}

impl LogLine {
    /// The severity of the line.
    pub fn level(&self) -> Level {
        match self {
            Self::WentBack => Level::Info,
            Self::Text(level, _) => *level,
            Self::Refused { .. } | Self::Cut { .. } => Level::Warn,
        }
    }

    /// The stream whose peer the line names.
    pub fn peer_of(&self) -> Option<StreamId> {
        match self {
            Self::Refused { stream, .. } => Some(*stream),
            Self::Cut { .. } | Self::WentBack | Self::Text(..) => None,
        }
    }

    /// The line, with the address of the peer.
    pub fn render(&self, peer: &str) -> String {
        match self {
            Self::Refused { stream: _, mode, denial, origin, suppressed } => {
                refusal(*mode, denial, origin, peer, *suppressed)
            }
            Self::Cut { why, identity, suppressed } => cut(*why, identity.as_deref(), *suppressed),
            Self::WentBack => {
                "zonegate: the host has put an earlier configuration in force again".to_owned()
            }
            Self::Text(_, line) => line.clone(),
        }
    }
}

/// The line of a refusal. Kind, kid, jti, zone and mesh are written only for a verified token. The kid of an unverified
/// token is written as `unverified_kid`.
fn refusal(mode: Mode, denial: &Denial, origin: &Origin, peer: &str, suppressed: u64) -> String {
    let Denial { refusal, token, unverified_kid } = denial;
    let Origin { path, request_id } = origin;
    let mut line = format!(
        "zonegate: {} reason={} path={} peer={} request_id={}",
        denied(mode),
        refusal.reason(),
        Quoted(&String::from_utf8_lossy(path)),
        Quoted(peer),
        Quoted(&String::from_utf8_lossy(request_id))
    );
    match (token, unverified_kid) {
        (Some(token), _) => write_identity(&mut line, &token.identity),
        // Writing to a String does not fail.
        (None, Some(kid)) => drop(write!(line, " unverified_kid={}", Quoted(kid))),
        (None, None) => {}
    }
    let _ = write!(line, " detail=\"{}\"", refusal.to_string().replace('"', "'"));
    note_suppressed(&mut line, suppressed);
    line
}

/// Appends the identity of a token, as far as its kind has it.
fn write_identity(line: &mut String, identity: &Identity) {
    let Identity { kind, kid, id, zone, mesh, .. } = identity;
    // Writing to a String does not fail.
    let _ = write!(line, " kind={} kid={} jti={}", kind.as_str(), Quoted(kid), Quoted(id));
    for (name, value) in [("zone", zone), ("mesh", mesh)] {
        if !value.is_empty() {
            let _ = write!(line, " {name}={}", Quoted(value));
        }
    }
}

/// How many lines were left out before this one.
fn note_suppressed(line: &mut String, suppressed: u64) {
    if suppressed > 0 {
        let _ = write!(line, " suppressed={suppressed}");
    }
}

/// A refusal in one word: enforced, or only counted.
fn denied(mode: Mode) -> &'static str {
    match mode {
        Mode::Enforce => "denied",
        Mode::Shadow => "would_deny",
    }
}

/// The line of an open stream that is cut.
fn cut(why: Cut, identity: Option<&Identity>, suppressed: u64) -> String {
    let mut line = format!("zonegate: cut reason={why}");
    if let Some(identity) = identity {
        write_identity(&mut line, identity);
    }
    note_suppressed(&mut line, suppressed);
    line
}

/// Limits the lines that a worker writes to [`RateLimit::BURST`] a second, so that a flood of bad connections does not
/// flood the log.
#[derive(Debug, Default)]
pub struct RateLimit {
    /// The start of the second in which lines are counted.
    since: Duration,
    written: u32,
    suppressed: u64,
}

impl RateLimit {
    /// Lines a second.
    pub const BURST: u32 = 10;
    const WINDOW: Duration = Duration::from_secs(1);

    /// How many lines were left out before a line at `now`, on a clock that cannot go back. `None` if the line may not
    /// be written.
    pub fn admit(&mut self, now: Duration) -> Option<u64> {
        if now.saturating_sub(self.since) >= Self::WINDOW {
            (self.since, self.written) = (now, 0);
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
    use super::*;
    use crate::credential::{Claims, Kind, Token, ZoneClaims};
    use crate::gate::{Audience, Refusal};
    use crate::token::Fingerprint;

    #[test]
    fn a_line_cannot_be_forged_or_flooded() {
        let identity = Identity {
            kind: Kind::ZoneToken,
            kid: "1".into(),
            key: Fingerprint::default(),
            key_label: "1".into(),
            id: "a\" zone=\"b\n".into(),
            zone: "z".repeat(500).into(),
            mesh: "".into(),
            name: "".into(),
            expires_at: None,
            issued_at: None,
            pairs: Box::default(),
        };
        let (identity, claims) = (Arc::new(identity), Claims::Zone(ZoneClaims::default()));
        let token = Arc::new(Token { identity, not_before: None, length: 0, claims });
        let why = Refusal::PathDenied(Audience::Proxies);
        let denial = Denial { token: Some(token), ..why.into() };
        let origin = Origin::new(b"/\x1b[2J?token=secret", "é".repeat(500).as_bytes());
        let line = refusal(Mode::Enforce, &denial, &origin, "10.0.0.1:2", 3);
        assert!(line.is_ascii() && !line.contains('\n') && !line.contains('\u{1b}'), "{line}");
        assert!(line.contains(r#"jti="a\" zone=\"b\n""#), "{line}");
        assert!(line.contains(r#"path="/\u{1b}[2J" peer="10.0.0.1:2""#), "{line}");
        assert!(line.contains(&format!("request_id=\"{}...\"", r"\u{e9}".repeat(64))), "{line}");
        assert!(line.contains(&format!("zone=\"{}...\"", "z".repeat(64))), "{line}");
        assert!(line.ends_with("suppressed=3"), "{line}");
    }

    #[test]
    fn a_burst_is_cut_and_counted() {
        let mut limit = RateLimit::default();
        let at = Duration::from_millis;
        let admitted = (0..100).filter_map(|_| limit.admit(at(1_500))).count();
        assert_eq!(admitted, 10);
        assert_eq!(limit.admit(at(2_499)), None);
        assert_eq!(limit.admit(at(2_500)), Some(91));
        assert_eq!(limit.admit(at(2_500)), Some(0));
    }
}
