//! The page of `zonegate sync` and `zonegate serve`: the state of the gate, for the operator on call.
//!
//! In: a [`Page`]: the policy, the last push, the counts of the gateway, and the time, as far as the server knows them.
//! Out: HTML, and the headers to send with it. This crate reads no clock, file or socket, so that both servers show the
//! same page.
//!
//! The page has no script, loads nothing from elsewhere, and cannot change anything. It shows only the kid and the
//! fingerprint of a key, and no tokens. Text of a policy is never markup: see `src/html.rs`.

mod audience;
mod counts;
mod history;
mod html;
mod in_force;
mod render;

use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};
use zonegate::gate::UnixTime;

pub use audience::{NotShown, may_see};
pub use counts::{Counts, KeyUse};
pub use history::{History, Refusals};
pub use in_force::{InForce, Key, RevokedIds};

/// The contents of the page.
#[derive(Debug, Clone)]
pub struct Page<'a> {
    /// The server of the page, and the last push as this server knows it.
    pub server: Server<'a>,
    /// The version of the program.
    pub version: &'a str,
    /// The time of the page; `None` if the clock shows a time before 1970.
    pub now: Option<UnixTime>,
    /// The policy that this server has put in force or in the file, and the time when it did so.
    pub policy: Option<(&'a InForce, Option<UnixTime>)>,
    /// The counts of the gateway.
    pub gateway: Gateway<'a>,
}

/// Whose page it is.
#[derive(Debug, Clone, Copy)]
pub enum Server<'a> {
    /// `zonegate serve`, which is the gate itself; its last push.
    Serve(Option<&'a Push>),
    /// `zonegate sync`, which writes the file of a gate.
    Sync(&'a Poll),
}

/// A push.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Push {
    /// The time when it came.
    pub at: Option<UnixTime>,
    /// Why it was refused; `None` if it was accepted.
    pub refused: Option<String>,
}

/// The state of the control plane and the file, as `zonegate sync` knows it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Poll {
    /// When the file was last known to be current.
    pub current_at: Option<UnixTime>,
    /// Polls that have failed since then.
    pub failures: u64,
    /// When the first of these polls failed.
    pub failing_since: Option<UnixTime>,
    /// Why the last of these polls failed.
    pub error: String,
}

/// The counts of the gateway, if the server knows them.
#[derive(Debug, Clone, Copy)]
pub enum Gateway<'a> {
    /// The current counts, and the refusals of the last hour.
    Seen(&'a Counts, &'a Refusals),
    /// The server was not told where to ask.
    NotAsked,
    /// The gateway has not been asked yet.
    NotYet,
    /// The gateway did not answer, for this reason.
    Silent(&'a str),
}

/// Names and values of the headers to send with the page. Even if the escaping had a bug, a browser would run, load and
/// send nothing. No other page can show this page in a frame.
pub fn headers() -> [(&'static str, &'static str); 7] {
    static POLICY: LazyLock<String> = LazyLock::new(|| {
        let style = STANDARD.encode(Sha256::digest(STYLE));
        format!(
            "default-src 'none'; style-src 'sha256-{style}'; base-uri 'none'; form-action 'none'; \
             frame-ancestors 'none'"
        )
    });
    [
        ("content-type", "text/html; charset=utf-8"),
        ("content-security-policy", &POLICY),
        ("cache-control", "no-store"),
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("referrer-policy", "no-referrer"),
        ("cross-origin-resource-policy", "same-origin"),
    ]
}

/// The style sheet of the page. The page contains it, and the header has its hash.
const STYLE: &str = include_str!("page.css");

impl Page<'_> {
    /// The page.
    pub fn html(&self) -> String {
        render::page(self)
    }
}
