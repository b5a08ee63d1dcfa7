//! What the gate decided.
//!
//! Success is a [`Permit`] that names what granted it; a failure is a [`Denial`] with what was
//! verified by then; and a stream whose first message matters is [`Held`].

use std::sync::Arc;

use super::{Caller, Form, Refusal};
use crate::token::ZoneToken;

/// The outcome of the request headers.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Let it through.
    Allow(Permit),
    /// Answer it here.
    Deny(Denial),
    /// Hold it until its first message, or its body, is whole.
    Hold(Held),
}

/// What lets a connection through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Permit {
    /// A zone token.
    ZoneToken {
        /// The token, verified and judged.
        token: Arc<ZoneToken>,
        /// What it lets through.
        caller: Caller,
    },
    /// A switch of the configuration; nothing was checked.
    Unchecked(Unchecked),
}

/// The switch that lets something through unchecked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unchecked {
    /// `proxies.dataplane: pass`.
    Dataplane,
    /// `bootstrap: pass`.
    Bootstrap,
}

/// A refusal, and the token if it was verified by then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denial {
    /// Why.
    pub refusal: Refusal,
    /// Whose.
    pub token: Option<Arc<ZoneToken>>,
}

/// What is known of a request whose first message, or body, decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Held {
    /// A discovery stream.
    FirstMessage {
        /// What its first message is.
        form: Form,
        /// The outcome for its token. A refusal waits here only where a sidecar may pass unchecked.
        token: Result<Arc<ZoneToken>, Refusal>,
    },
    /// A bootstrap request.
    Bootstrap,
}

impl From<Refusal> for Denial {
    fn from(refusal: Refusal) -> Self {
        Self { refusal, token: None }
    }
}

impl From<Result<Permit, Denial>> for Verdict {
    fn from(result: Result<Permit, Denial>) -> Self {
        match result {
            Ok(permit) => Self::Allow(permit),
            Err(denial) => Self::Deny(denial),
        }
    }
}
