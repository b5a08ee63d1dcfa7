//! Cases: a token, the proxy that connects with it, and its control plane.
//!
//! In: randomness, and the time. Out: a [`Case`]. Proptest draws and shrinks a [`Recipe`]: a good token of some keys,
//! and a list of edits, each of which breaks, respells or changes one thing. Whether the result is good is not known
//! here.

mod draft;
mod edit;
mod keys;
mod pools;
mod strategy;

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

pub(crate) use edit::TextEdit;
pub(crate) use keys::{RINGS, Ring, public_key, public_keys};
pub(crate) use strategy::{Surroundings, recipes};

use draft::Draft;
use edit::Edit;

/// The value that proptest draws and shrinks.
#[derive(Debug, Clone)]
pub(crate) struct Recipe {
    ring: usize,
    proxy: &'static str,
    require_expiration: bool,
    edits: Vec<Edit>,
}

/// One connection.
#[derive(Debug, Clone)]
pub(crate) struct Case {
    /// Each `authorization` header.
    pub(crate) authorization: Vec<String>,
    /// The keys of the control plane.
    pub(crate) ring: &'static Ring,
    /// The text of `zone-token-revocations`.
    pub(crate) revocations: String,
    /// The time since 1970.
    pub(crate) now: Duration,
    /// The type of the proxy, and so the scope that its token needs: `ingress` or `egress`.
    pub(crate) proxy: &'static str,
    /// The zone of the control plane.
    pub(crate) zone: String,
    /// `requireExpiration` of the gate.
    pub(crate) require_expiration: bool,
}

/// A token of these segments, signed with the key of this name.
pub(crate) fn signed(signer: &str, header: &[u8], claims: &[u8]) -> String {
    let text = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part)).join(".");
    let signature = keys::sign(signer, keys::Scheme::Sha256, text.as_bytes());
    format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))
}

impl Recipe {
    /// Makes the case for the time `now`. Its dates are relative to `now`, so an oracle that has only the real clock
    /// can judge it.
    pub(crate) fn case(&self, now: Duration) -> Case {
        let Self { ring, proxy, require_expiration, edits } = self;
        let mut draft = Draft::good(&RINGS[*ring], now);
        for edit in edits {
            edit.apply(&mut draft);
        }
        draft.finish(proxy, *require_expiration)
    }
}
