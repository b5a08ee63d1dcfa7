//! The order of checks.
//!
//! In: the facts of a request, the policy and the clock. Out: a verdict. Pure: the same facts give
//! the same verdict, in Envoy, on the command line and in the tests.
//!
//! ```text
//! route ─ credential ─ token ─ key ─ signature ─ claims ─ time ─ revocation ─ zone ─ proxy, scope
//! └──────────────── the headers, or the bootstrap body ──────────────────────────┘  └ first message
//! ```
//!
//! In front of a KDS server the headers have all of it: the zone is in `client-id`, and the scope can
//! only be one.
//!
//! Kuma checks the scope before the zone, and the claims before the signature: another order names
//! another reason, never another verdict.

use std::sync::Arc;

use super::{
    Audience, BootstrapPolicy, BootstrapRequest, Caller, Claimed, Clock, CredentialSource,
    Dataplane, Denial, DpServer, Form, Head, Held, Permit, Policy, Profile, ProxyType, Refusal,
    Route, Unchecked, Verdict, is_kds, proxy_type, time,
};
use crate::token::{TokenCache, TokenError, ZoneToken, authenticate};

/// A policy at work, with what its worker remembers of tokens.
#[derive(Debug, Clone, Copy)]
pub struct Judge<'a> {
    policy: &'a Policy,
    cache: Option<&'a TokenCache>,
}

impl Policy {
    /// Judges the headers of a request. Nothing is remembered: see [`Judge`].
    pub fn judge(&self, head: &Head<'_>, clock: Clock) -> Verdict {
        Judge { policy: self, cache: None }.headers(head, clock)
    }

    /// Judges the first message of a held stream. The clock and the policy may have moved on since
    /// its headers came, so everything but the signature is judged again.
    ///
    /// # Errors
    /// Why it is refused.
    pub fn judge_first_message(
        &self,
        form: Form,
        token: Result<Arc<ZoneToken>, Refusal>,
        message: &[u8],
        clock: Clock,
    ) -> Result<Permit, Denial> {
        let server = self.dp_server()?;
        let proxy = proxy_type(form, message).map_err(Refusal::MalformedRequest)?;
        self.judge_proxy(server, proxy, token, clock)
    }

    /// Judges again what was judged before, when other facts are at hand no more: a token that was
    /// verified then, and who connected with it.
    ///
    /// # Errors
    /// Why it would be refused now.
    pub fn judge_again(
        &self,
        token: &Arc<ZoneToken>,
        caller: &Claimed,
        clock: Clock,
    ) -> Result<Permit, Denial> {
        let token = Arc::clone(token);
        match (&self.profile, caller) {
            (Profile::DpServer(server), Claimed::Proxy(proxy)) => {
                self.judge_proxy(server, *proxy, Ok(token), clock)
            }
            (Profile::DpServer(server), Claimed::ZoneProxy) => {
                let (token, caller) = self.judge_any_proxy(server, token, clock)?;
                Ok(Permit::ZoneToken { token, caller })
            }
            (Profile::GlobalKds, Claimed::ControlPlane(client)) => {
                self.judge_control_plane(token, client, clock)
            }
            (Profile::DpServer(_), Claimed::ControlPlane(_)) => {
                Err(Refusal::PathDenied(Audience::ZoneProxies).into())
            }
            (Profile::GlobalKds, Claimed::Proxy(_) | Claimed::ZoneProxy) => {
                Err(Refusal::PathDenied(Audience::ControlPlanes).into())
            }
        }
    }

    /// Judges a token before it is known which proxy connects: one that some proxy type can use.
    fn judge_any_proxy(
        &self,
        server: &DpServer,
        token: Arc<ZoneToken>,
        clock: Clock,
    ) -> Result<(Arc<ZoneToken>, Caller), Denial> {
        conclude(token, |token| {
            self.judge_token(token, clock)?;
            server.judge_zone(token)?;
            server.judge_any_proxy(token)
        })
    }

    /// Judges a token for the proxy that connects with it.
    fn judge_proxy(
        &self,
        server: &DpServer,
        proxy: Option<ProxyType>,
        token: Result<Arc<ZoneToken>, Refusal>,
        clock: Clock,
    ) -> Result<Permit, Denial> {
        if proxy == Some(ProxyType::Dataplane) {
            return server.judge_sidecar().map_err(|refusal| Denial { refusal, token: token.ok() });
        }
        let judge = |token: &ZoneToken| {
            self.judge_token(token, clock)?;
            server.judge_zone(token)?;
            server.judge_proxy(proxy, token)
        };
        let (token, caller) = conclude(token?, judge)?;
        Ok(Permit::ZoneToken { token, caller })
    }

    fn judge_control_plane(
        &self,
        token: Arc<ZoneToken>,
        client: &[u8],
        clock: Clock,
    ) -> Result<Permit, Denial> {
        let judge = |token: &ZoneToken| {
            self.judge_token(token, clock)?;
            judge_client(token, client)?;
            Caller::ControlPlane.judge_scope(token)
        };
        let (token, caller) = conclude(token, judge)?;
        Ok(Permit::ZoneToken { token, caller })
    }

    /// What holds for any caller: length, key, time and revocation. Length and key were checked when the
    /// token was verified; where another policy is in force since, they may not hold any more.
    fn judge_token(&self, token: &ZoneToken, clock: Clock) -> Result<(), Refusal> {
        let claims = &token.claims;
        self.judge_length(token.length)?;
        if !self.keys.holds(token) {
            let is_replaced = self.keys.contains(&token.kid);
            let error =
                if is_replaced { TokenError::InvalidSignature } else { TokenError::UnknownKid };
            return Err(Refusal::Token(error));
        }
        time::check(claims, clock, self)?;
        match self.revocations.contains(&claims.id) {
            true => Err(Refusal::Revoked { id: claims.id.clone() }),
            false => Ok(()),
        }
    }

    fn judge_length(&self, length: usize) -> Result<(), Refusal> {
        match length <= self.max_token_bytes {
            true => Ok(()),
            false => Err(Refusal::TokenTooLong { length, limit: self.max_token_bytes }),
        }
    }

    /// What holds a request: only a dataplane server's gate does. One that it holds when a push makes
    /// it the gate of a KDS server has come to the wrong place.
    fn dp_server(&self) -> Result<&DpServer, Refusal> {
        match &self.profile {
            Profile::DpServer(server) => Ok(server),
            Profile::GlobalKds => Err(Refusal::PathDenied(Audience::ControlPlanes)),
        }
    }
}

impl<'a> Judge<'a> {
    /// `policy`, with `cache` to remember verified tokens in.
    pub fn new(policy: &'a Policy, cache: &'a TokenCache) -> Self {
        Self { policy, cache: Some(cache) }
    }

    /// Judges the headers of a request.
    pub fn headers(self, head: &Head<'_>, clock: Clock) -> Verdict {
        match &self.policy.profile {
            Profile::DpServer(server) => self.judge_dp_server(server, head, clock),
            Profile::GlobalKds => self.judge_kds(head, clock).into(),
        }
    }

    /// Judges the body of a bootstrap request as a stream with this token would be judged.
    ///
    /// # Errors
    /// Why it is refused.
    pub fn bootstrap_body(self, body: &[u8], clock: Clock) -> Result<Permit, Denial> {
        let server = self.policy.dp_server()?;
        match server.bootstrap {
            BootstrapPolicy::Verify => {}
            // Pushed while the body was on its way.
            BootstrapPolicy::Pass => return Ok(Permit::Unchecked(Unchecked::Bootstrap)),
            BootstrapPolicy::Deny => return Err(Refusal::PathDenied(Audience::ZoneProxies).into()),
        }
        let request = BootstrapRequest::parse(body).map_err(Refusal::MalformedRequest)?;
        let token = self.authenticate(request.token.as_bytes(), CredentialSource::Body);
        self.policy.judge_proxy(server, request.proxy(), token, clock)
    }

    fn judge_dp_server(self, server: &DpServer, head: &Head<'_>, clock: Clock) -> Verdict {
        match Route::of(head) {
            None => Verdict::Deny(Refusal::PathDenied(Audience::ZoneProxies).into()),
            Some(Route::Hds) => server.judge_sidecar().map_err(Denial::from).into(),
            Some(Route::AdsSotw) => self.judge_stream(server, Form::Sotw, head, clock),
            Some(Route::AdsDelta) => self.judge_stream(server, Form::Delta, head, clock),
            Some(Route::Bootstrap) => judge_bootstrap(server),
        }
    }

    fn judge_stream(self, server: &DpServer, form: Form, head: &Head<'_>, clock: Clock) -> Verdict {
        let text = head.credential(CredentialSource::Header);
        let token = text.and_then(|text| self.authenticate(text, CredentialSource::Header));
        // A sidecar's token is signed by other keys, so nothing about it can be said yet.
        if server.proxies.dataplane == Dataplane::Pass {
            return Verdict::Hold(Held::FirstMessage { form, token });
        }
        let judged = token
            .map_err(Denial::from)
            .and_then(|token| self.policy.judge_any_proxy(server, token, clock));
        match judged {
            Ok((token, _)) => Verdict::Hold(Held::FirstMessage { form, token: Ok(token) }),
            Err(denial) => Verdict::Deny(denial),
        }
    }

    /// Judges a zone control plane at a KDS server.
    fn judge_kds(self, head: &Head<'_>, clock: Clock) -> Result<Permit, Denial> {
        if !is_kds(head) {
            return Err(Refusal::PathDenied(Audience::ControlPlanes).into());
        }
        let text = head.credential(CredentialSource::KdsHeader)?;
        let token = self.authenticate(text, CredentialSource::KdsHeader)?;
        let client = head.zone_of_client().map_err(Refusal::MalformedRequest);
        match client {
            Ok(client) => self.policy.judge_control_plane(token, client, clock),
            // A client that cannot be read is told so after what is wrong with its token.
            Err(refusal) => conclude(token, |token| {
                self.policy.judge_token(token, clock)?;
                Err(refusal)
            })
            .map(|(token, caller)| Permit::ZoneToken { token, caller }),
        }
    }

    /// Reads and verifies the text of a token.
    fn authenticate(
        self,
        text: &[u8],
        source: CredentialSource,
    ) -> Result<Arc<ZoneToken>, Refusal> {
        if text.is_empty() {
            return Err(Refusal::MissingToken(source));
        }
        self.policy.judge_length(text.len())?;
        let keys = &self.policy.keys;
        match self.cache {
            Some(cache) => cache.authenticate(text, keys),
            None => authenticate(text, keys),
        }
        .map_err(Refusal::Token)
    }
}

fn judge_bootstrap(server: &DpServer) -> Verdict {
    match server.bootstrap {
        BootstrapPolicy::Verify => Verdict::Hold(Held::Bootstrap),
        BootstrapPolicy::Pass => Verdict::Allow(Permit::Unchecked(Unchecked::Bootstrap)),
        BootstrapPolicy::Deny => Verdict::Deny(Refusal::PathDenied(Audience::ZoneProxies).into()),
    }
}

/// The zone that a zone control plane says it is must be its token's. A token of no zone is no proof
/// of any: here it would let its holder be every zone in turn.
fn judge_client(token: &ZoneToken, client: &[u8]) -> Result<(), Refusal> {
    let zone = &token.claims.zone;
    match zone.as_bytes() == client {
        true => Ok(()),
        false => {
            let (token, client) = (zone.clone(), String::from_utf8_lossy(client).into_owned());
            Err(Refusal::WrongClient { token, client })
        }
    }
}

/// Judges `token`, which goes along with a refusal: it was verified.
fn conclude<T>(
    token: Arc<ZoneToken>,
    judge: impl FnOnce(&ZoneToken) -> Result<T, Refusal>,
) -> Result<(Arc<ZoneToken>, T), Denial> {
    match judge(&token) {
        Ok(judged) => Ok((token, judged)),
        Err(refusal) => Err(Denial { refusal, token: Some(token) }),
    }
}
