//! Requests of which only the headers are ever seen.
//!
//! In: the headers, and the body of a bootstrap request if the host has it. Out: a permit, or why not. It is not known
//! which proxy connects, so a token passes if it is good for at least one proxy here. Only the first message could say
//! that its holder is that proxy.
//!
//! In front of a KDS server the headers are all that is needed.

use std::sync::Arc;

use super::judge::{ANY, DATAPLANES};
use super::judge_token::conclude;
use super::verdict::Credential;
use super::{
    Admission, Caller, Denial, DpServer, Head, Held, Judge, MAX_BOOTSTRAP, Now, Permit, ProxyType,
    Refusal, RequestError, Verdict, XdsVariant,
};
use crate::credential::{Kind, Token};
use crate::token::TokenError;

impl Judge<'_> {
    /// Judges the headers of a request, and of a bootstrap request its body.
    ///
    /// If dataplanes pass unchecked, nobody passes here as a dataplane, because anyone could claim to be one.
    ///
    /// # Errors
    /// Why it is refused.
    pub fn headers_alone(
        self,
        head: &Head<'_>,
        body: Option<&[u8]>,
        now: Now,
    ) -> Result<Permit, Denial> {
        match self.headers(head, now) {
            Verdict::Allow(permit) => Ok(permit),
            Verdict::Deny(denial) => Err(denial),
            Verdict::Hold(Held::Bootstrap) => {
                let malformed = |error| Denial::from(Refusal::MalformedRequest(error));
                let body = body.ok_or_else(|| malformed(RequestError::Incomplete))?;
                match body.len() <= MAX_BOOTSTRAP {
                    true => self.bootstrap_body(body, now),
                    false => Err(malformed(RequestError::TooLarge)),
                }
            }
            Verdict::Hold(Held::FirstMessage { variant, credential }) => {
                let types = match variant {
                    XdsVariant::Sotw | XdsVariant::Delta => ANY,
                    XdsVariant::Hds => DATAPLANES,
                };
                self.of_some_proxy(self.policy.dp_server()?, types, credential?, now)
            }
        }
    }

    /// Judges a token by each issuer that could have signed it. At least one issuer must accept it. If several keys
    /// could have signed the token, each costs a signature check.
    fn of_some_proxy(
        self,
        server: &DpServer,
        types: &[ProxyType],
        credential: Credential,
        now: Now,
    ) -> Result<Permit, Denial> {
        let (kid, kind) = match &credential {
            Credential::Verified(token) => (Arc::clone(&token.identity.kid), Some(token.kind())),
            Credential::Unverified(token) => (Arc::clone(&token.kid), None),
        };
        let mut denied: Option<Denial> = None;
        for kind in Kind::ALL.into_iter().filter(|other| kind.is_none_or(|kind| kind == *other)) {
            for (mesh, issuer) in self.policy.issuers.all_of(kind) {
                if issuer.keys(&kid).is_none() {
                    continue;
                }
                let judged = self
                    .verify(credential.clone(), kind, issuer)
                    .and_then(|token| self.by_issuer(server, types, token, mesh, now));
                match judged {
                    Ok(permit) => return Ok(permit),
                    Err(denial) => {
                        denied = Some(match denied {
                            Some(before) if tells(&before) >= tells(&denial) => before,
                            Some(_) | None => denial,
                        });
                    }
                }
            }
        }
        Err(denied.unwrap_or_else(|| Denial::of_unverified(TokenError::UnknownKid, kid)))
    }

    /// Judges a token as one of `mesh`, unless it names another mesh.
    fn by_issuer(
        self,
        server: &DpServer,
        types: &[ProxyType],
        token: Arc<Token>,
        mesh: &str,
        now: Now,
    ) -> Result<Permit, Denial> {
        let (identity, mesh) = match token.names_its_issuer() {
            true => (Arc::clone(&token.identity), token.claims.mesh()),
            false => (token.identity_in(mesh), mesh),
        };
        let issuer = self.policy.issuers.of(token.kind(), mesh);
        let mut found = None;
        let token = Arc::clone(&token);
        let token = conclude(token, |token| {
            self.policy.judge_token(token, &identity, issuer, now)?;
            token.judge_place(&server.zone).map_err(Refusal::Mismatch)?;
            let usable = token.usable_by().map_err(Refusal::Mismatch)?;
            let admission = Admission::Token(token.kind());
            let admits = |proxy: &ProxyType| {
                types.contains(proxy) && server.proxies.admission(*proxy) == admission
            };
            found = usable.iter().find(admits);
            found.map(|_| ()).ok_or_else(|| Refusal::ProxyDenied(usable.iter().next()))
        })?;
        let Some(proxy) = found else { return Err(Refusal::ProxyDenied(None).into()) };
        Ok(Permit::Token { token, identity, caller: Caller::Proxy(proxy) })
    }
}

/// How informative a denial is. That another key signed the token is the least informative.
fn tells(denial: &Denial) -> u8 {
    match (&denial.refusal, &denial.token) {
        (Refusal::Token(_), None) => 0,
        (Refusal::Token(_), Some(_)) => 1,
        (_, _) => 2,
    }
}
