//! What the gate decided.
//!
//! A [`Permit`] names what granted it. A [`Denial`] has what was verified before the refusal. A stream whose first
//! message decides is [`Held`].

use std::sync::Arc;

use super::{Caller, Refusal, XdsVariant};
use crate::credential::{Identity, Token};
use crate::token::TokenError;

/// The verdict on the request headers.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Let the request through.
    Allow(Permit),
    /// Refuse the request.
    Deny(Denial),
    /// Hold the request until its first message, or its body, is complete.
    Hold(Held),
}

/// What lets a connection through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Permit {
    /// A token.
    Token {
        /// The token, verified and judged.
        token: Arc<Token>,
        /// What the token proves about its holder.
        identity: Arc<Identity>,
        /// What the token lets through.
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

/// A refusal, and what is known about the token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denial {
    /// The reason.
    pub refusal: Refusal,
    /// The token, if it was verified.
    pub token: Option<Arc<Token>>,
    /// The kid in an unverified token: only a hint for finding its holder.
    pub unverified_kid: Option<Arc<str>>,
}

/// The credential of a request whose first message has not come yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credential {
    /// A verified token. Only one key could have signed it.
    Verified(Arc<Token>),
    /// A token that several keys could have signed. The first message says which key applies.
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

/// What is known about a request whose first message, or body, decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Held {
    /// A discovery stream.
    FirstMessage {
        /// The type of its first message.
        variant: XdsVariant,
        /// The result for its token. A refusal is kept here only if a proxy may pass unchecked.
        credential: Result<Credential, Denial>,
    },
    /// A bootstrap request.
    Bootstrap,
}

impl Held {
    /// The token, if it is verified.
    pub(crate) fn token(&self) -> Option<&Arc<Token>> {
        match self {
            Self::FirstMessage { credential: Ok(credential), .. } => credential.token(),
            Self::FirstMessage { credential: Err(denial), .. } => denial.token.as_ref(),
            Self::Bootstrap => None,
        }
    }
}

impl Credential {
    /// The token, if it is verified.
    pub fn token(&self) -> Option<&Arc<Token>> {
        match self {
            Self::Verified(token) => Some(token),
            Self::Unverified(_) => None,
        }
    }

    /// How many bytes are kept for this request.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Verified(_) => 0,
            Self::Unverified(token) => token.text.len(),
        }
    }
}

impl Denial {
    /// A refusal of an unverified token with this `kid`.
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
