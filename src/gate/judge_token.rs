//! The checks on a verified token: those that do not depend on its holder, and those that do.
//!
//! In: a token whose signature is verified, a policy, the time, and who holds the token. Out: a [`Permit`], or why
//! not. [`super::judge`] has the order of all checks.

use std::sync::Arc;

use super::recognise::not_of;
use super::{Denial, Now, Permit, Policy, Refusal, time};
use crate::credential::{Holder, Identity, IssuerOf, Token};

impl Policy {
    /// Judges a verified token for its holder.
    pub(super) fn judge_holder(
        &self,
        token: Arc<Token>,
        holder: Holder<'_>,
        now: Now,
    ) -> Result<Permit, Denial> {
        let mesh = match holder {
            Holder::Proxy(node) => node.mesh.as_str(),
            Holder::ControlPlane(_) => "",
        };
        let issuer = self.issuers.of(token.kind(), mesh);
        let identity = token.identity_of(holder);
        let judge = |token: &Token| {
            self.judge_token(token, &identity, issuer, now)?;
            token.judge_holder(holder, self.zone(), &self.issuers).map_err(Refusal::Mismatch)
        };
        let token = conclude(token, judge)?;
        Ok(Permit::Token { token, identity, caller: holder.caller() })
    }

    /// The checks that do not depend on the holder of the token, which proves `identity`: length, key, time and
    /// revocation. Length and key were checked when the token was verified, but another policy may be in force since.
    pub(super) fn judge_token(
        &self,
        token: &Token,
        identity: &Identity,
        issuer: IssuerOf<'_>,
        now: Now,
    ) -> Result<(), Refusal> {
        self.judge_length(token.length)?;
        if !issuer.holds(&identity.kid, identity.key) {
            return Err(Refusal::Token(not_of(issuer, &identity.kid)));
        }
        time::check(token, now, self)?;
        self.revokes(identity, issuer, now).map_or(Ok(()), Err)
    }

    pub(super) fn judge_length(&self, length: usize) -> Result<(), Refusal> {
        match length <= self.max_token_bytes {
            true => Ok(()),
            false => Err(Refusal::TokenTooLong { length, limit: self.max_token_bytes }),
        }
    }
}

/// Judges `token`, which was verified. A refusal names it.
pub(super) fn conclude(
    token: Arc<Token>,
    judge: impl FnOnce(&Token) -> Result<(), Refusal>,
) -> Result<Arc<Token>, Denial> {
    match judge(&token) {
        Ok(()) => Ok(token),
        Err(refusal) => Err(Denial { token: Some(token), ..refusal.into() }),
    }
}
