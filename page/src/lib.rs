//! The page that `zonegate sync` and `zonegate serve` show at `/`: the state of the gate, for whoever is on call.
//!
//! In: a [`Page`], which is what the server knows: the policy, the last push, what the gateway counts, the time. Out:
//! HTML, and the headers to send it with. No clock is read, no file and no socket: both servers hand over what they
//! have, so that they show the same page.
//!
//! There is no script, nothing is loaded from elsewhere, and nothing can be changed here. Of a key only its kid and its
//! fingerprint are shown, and no token at all. What a policy says is text and never markup: see `src/html.rs`.

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

/// All that is shown.
#[derive(Debug, Clone)]
pub struct Page<'a> {
    /// Whose page it is, and the last push as that server knows it.
    pub server: Server<'a>,
    /// The version of the program.
    pub version: &'a str,
    /// The time of the page; `None` where the clock says a time before 1970.
    pub now: Option<UnixTime>,
    /// The policy that this server has put in force or in the file, and since when.
    pub policy: Option<(&'a InForce, Option<UnixTime>)>,
    /// What the gateway counts.
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
    /// When it came.
    pub at: Option<UnixTime>,
    /// Why it was refused; `None` where it was accepted.
    pub refused: Option<String>,
}

/// What `zonegate sync` knows of the control plane and of the file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Poll {
    /// When the file was last known to be current.
    pub current_at: Option<UnixTime>,
    /// Polls that failed since.
    pub failures: u64,
    /// When the first of them failed.
    pub failing_since: Option<UnixTime>,
    /// Why the last of them failed.
    pub error: String,
}

/// What the gateway counts, as far as the server knows it.
#[derive(Debug, Clone, Copy)]
pub enum Gateway<'a> {
    /// This.
    Seen(&'a Counts, &'a Refusals),
    /// Nobody has said where to ask.
    NotAsked,
    /// It has not been asked yet.
    NotYet,
    /// It did not answer, for this reason.
    Silent(&'a str),
}

/// Names and values of the headers to send the page with. Even if something were wrong with the escaping, a browser
/// would run nothing, load nothing and send nothing; and no other page can show this one in a frame.
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

/// What the page looks like. It stands in the page, and its hash in the header.
const STYLE: &str = include_str!("page.css");

impl Page<'_> {
    /// The page.
    pub fn html(&self) -> String {
        render::page(self)
    }
}
