//! The checks of a token at a dataplane server, by what is known of the proxy that connects with it.
//!
//! In: a token or what stands in its place, the proxy if it is known, the settings of the server, the time. Out: a
//! permit, or why the proxy is refused. [`super::judge`] says which check a request meets when.

use std::sync::Arc;

use super::judge::{ANY, Judge};
use super::judge_token::conclude;
use super::verdict::Credential;
use super::{
    Admission, Caller, ClaimedNode, Denial, DpServer, Now, Permit, ProxyType, Refusal,
    RequestError, Unchecked, time,
};
use crate::credential::{Holder, Token};

impl Judge<'_> {
    /// Judges a token before it is known which proxy connects: at least one proxy of `types` must be able to use it.
    pub(super) fn judge_some_proxy(
        self,
        server: &DpServer,
        types: &[ProxyType],
        token: Arc<Token>,
        now: Now,
    ) -> Result<Arc<Token>, Denial> {
        let issuer = self.policy.issuers.of(token.kind(), &token.identity.mesh);
        conclude(token, |token| {
            // A token without a mesh may be good for any mesh, and a token with a mesh may be signed by the key of
            // another mesh. The first message says which mesh counts, and what is wrong.
            match issuer.holds(&token.identity.kid, token.identity.key) {
                true => self.policy.judge_token(token, &token.identity, issuer, now)?,
                false => time::check(token, now, self.policy)?,
            }
            token.judge_place(&server.zone).map_err(Refusal::Mismatch)?;
            let usable = token.usable_by().map_err(Refusal::Mismatch)?;
            let admission = Admission::Token(token.kind());
            let admits =
                |proxy| types.contains(&proxy) && server.proxies.admission(proxy) == admission;
            match usable.iter().any(admits) {
                true => Ok(()),
                false => Err(Refusal::ProxyDenied(usable.iter().next())),
            }
        })
    }

    /// Judges a token whose holder has not said which proxy it is.
    pub(super) fn judge_unknown_proxy(
        self,
        server: &DpServer,
        token: Arc<Token>,
        now: Now,
    ) -> Result<Permit, Denial> {
        let token = self.judge_some_proxy(server, ANY, token, now)?;
        match token.usable_by().map(|types| types.iter().next()) {
            Ok(Some(proxy)) if token.names_its_issuer() => {
                let issuer = self.policy.issuers.of(token.kind(), &token.identity.mesh);
                let token = conclude(token, |token| {
                    self.policy.judge_token(token, &token.identity, issuer, now)
                })?;
                let (identity, caller) = (Arc::clone(&token.identity), Caller::Proxy(proxy));
                Ok(Permit::Token { token, identity, caller })
            }
            _ => {
                let refusal = Refusal::MalformedRequest(RequestError::NoNode);
                Err(Denial { token: Some(token), ..refusal.into() })
            }
        }
    }

    /// Judges a token for the proxy that connects with it; `None` for a proxy of an unknown type.
    pub(super) fn judge_proxy(
        self,
        server: &DpServer,
        node: Option<&ClaimedNode>,
        credential: Result<Credential, Denial>,
        now: Now,
    ) -> Result<Permit, Denial> {
        let admission = node.map(|node| (node, server.proxies.admission(node.proxy_type)));
        match admission {
            Some((node, Admission::Token(kind))) => {
                let node = node.identity.as_ref().map_err(|error| {
                    let token = credential.as_ref().ok().and_then(Credential::token).cloned();
                    Denial { token, ..Refusal::MalformedRequest(*error).into() }
                })?;
                let issuer = self.policy.issuers.of(kind, &node.mesh);
                let token = self.verify(credential?, kind, issuer)?;
                self.policy.judge_holder(token, Holder::Proxy(node), now)
            }
            Some((_, Admission::Pass)) => Ok(Permit::Unchecked(Unchecked::Dataplane)),
            Some((node, Admission::Deny)) if node.proxy_type == ProxyType::Dataplane => {
                let token = credential.as_ref().ok().and_then(Credential::token).cloned();
                let refusal = Refusal::ProxyDenied(Some(ProxyType::Dataplane));
                Err(Denial { token, ..refusal.into() })
            }
            Some((_, Admission::Deny)) | None => {
                let refusal = Refusal::ProxyDenied(node.map(|node| node.proxy_type));
                Err(self.deny_proxy(server, refusal, credential?, now))
            }
        }
    }

    /// Refuses a proxy that may not connect. If its token is bad, that is the reason.
    fn deny_proxy(
        self,
        server: &DpServer,
        refusal: Refusal,
        credential: Credential,
        now: Now,
    ) -> Denial {
        match credential {
            Credential::Unverified(_) => refusal.into(),
            Credential::Verified(token) => match self.judge_some_proxy(server, ANY, token, now) {
                Ok(token) => Denial { token: Some(token), ..refusal.into() },
                // No other type could use the token either, but the type of the proxy is the better reason.
                Err(Denial { refusal: Refusal::ProxyDenied(_), token, .. }) => {
                    Denial { token, ..refusal.into() }
                }
                Err(denial) => denial,
            },
        }
    }
}
