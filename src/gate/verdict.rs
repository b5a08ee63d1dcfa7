//! What the gate decided.
//!
//! Success is a [`Permit`] that names what granted it; a failure is a [`Denial`] with what was
//! verified by then; and a stream whose first message matters is [`Held`].

use std::sync::Arc;

use super::{Caller, Refusal, XdsVariant};
use crate::credential::{Identity, Token};
use crate::token::TokenError;

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
    /// A token.
    Token {
        /// The token, verified and judged.
        token: Arc<Token>,
        /// What it proves of the one who holds it.
        identity: Arc<Identity>,
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

/// A refusal, and what is known of the token by then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denial {
    /// Why.
    pub refusal: Refusal,
    /// The token, where it was verified.
    pub token: Option<Arc<Token>>,
    /// The kid that an unverified token names: a hint for whoever looks for its holder, and no more.
    pub unverified_kid: Option<Arc<str>>,
}

/// The credential of a request whose first message is to come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credential {
    /// A token that only one key can have signed, and did.
    Verified(Arc<Token>),
    /// A token that several keys can have signed: who connects says which of them it is.
    Unverified(UnverifiedToken),
}

/// The text of a token whose key is not known yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnverifiedToken {
    /// The text.
    pub text: Box<[u8]>,
    /// The kid that its header names.
    pub kid: Arc<str>,
}

/// What is known of a request whose first message, or body, decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Held {
    /// A discovery stream.
    FirstMessage {
        /// What its first message is.
        variant: XdsVariant,
        /// The outcome for its token. A refusal waits here only where some proxy may pass unchecked.
        credential: Result<Credential, Denial>,
    },
    /// A bootstrap request.
    Bootstrap,
}

impl Credential {
    /// The token, where it is verified.
    pub fn token(&self) -> Option<&Arc<Token>> {
        match self {
            Self::Verified(token) => Some(token),
            Self::Unverified(_) => None,
        }
    }

    /// How many bytes are kept for it alone.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Verified(_) => 0,
            Self::Unverified(token) => token.text.len(),
        }
    }
}

impl Denial {
    /// For what is wrong with a token that names `kid` and is not verified.
    pub(super) fn of_unverified(error: TokenError, kid: Arc<str>) -> Self {
        Self { unverified_kid: Some(kid), ..Refusal::Token(error).into() }
    }
}

impl From<Refusal> for Denial {
    fn from(refusal: Refusal) -> Self {
        Self { refusal, token: None, unverified_kid: None }
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
