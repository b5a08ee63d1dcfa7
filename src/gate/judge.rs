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
//! Kuma checks the scope before the zone, and the claims before the signature: another order names
//! another reason, never another verdict.

use super::{
    BootstrapPolicy, BootstrapRequest, Clock, Dataplane, Denial, Form, Held, Permit, Place, Policy,
    ProxyType, Refusal, Route, Unchecked, Verdict, ZoneProxy, proxy_type, time,
};
use crate::token::{TokenError, ZoneToken, authenticate};

/// The request headers that matter, as bytes: nothing says that a header is UTF-8.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Head<'a> {
    /// `:method`.
    pub method: &'a [u8],
    /// `:path`, query included.
    pub path: &'a [u8],
    /// Each `content-type`.
    pub content_type: Vec<&'a [u8]>,
    /// Each `authorization`.
    pub authorization: Vec<&'a [u8]>,
}

impl Head<'_> {
    /// Whether it is gRPC, to Envoy and to a control plane alike: only then does a gRPC answer reach
    /// the client as one.
    pub fn is_grpc(&self) -> bool {
        let is_grpc = |value: &&[u8]| {
            value.strip_prefix(GRPC).is_some_and(|rest| rest.is_empty() || rest == b"+proto")
        };
        matches!(self.content_type.as_slice(), [one] if is_grpc(one))
    }

    /// Whether a control plane would hand it to its gRPC server, by the mere mention (Kuma:
    /// `pkg/dp-server/server/server.go`).
    pub fn mentions_grpc(&self) -> bool {
        self.content_type.iter().any(|value| value.windows(GRPC.len()).any(|part| part == GRPC))
    }
}

const GRPC: &[u8] = b"application/grpc";

impl Policy {
    /// Judges the headers of a request.
    pub fn judge(&self, head: &Head<'_>, clock: Clock) -> Verdict {
        match Route::of(head) {
            None => Verdict::Deny(Refusal::PathDenied.into()),
            Some(Route::Hds) => self.judge_sidecar().map_err(Denial::from).into(),
            Some(Route::AdsSotw) => self.judge_stream(Form::Sotw, head, clock),
            Some(Route::AdsDelta) => self.judge_stream(Form::Delta, head, clock),
            Some(Route::Bootstrap) => self.judge_bootstrap(),
        }
    }

    /// Judges the first message of a held stream. The clock and the policy may have moved on since
    /// its headers came, so everything but the signature is judged again.
    ///
    /// # Errors
    /// Why it is refused.
    pub fn judge_first_message(
        &self,
        form: Form,
        token: Result<ZoneToken, Refusal>,
        message: &[u8],
        clock: Clock,
    ) -> Result<Permit, Denial> {
        let proxy = proxy_type(form, message).map_err(Refusal::MalformedRequest)?;
        self.judge_proxy(proxy, token, clock)
    }

    /// Judges the token of a held stream that began under the policy `before`, where this one was
    /// pushed meanwhile: a key that is gone takes its tokens along.
    ///
    /// # Errors
    /// It is not good any more, or was not then.
    pub fn carry_over(
        &self,
        token: Result<ZoneToken, Refusal>,
        before: &Self,
    ) -> Result<ZoneToken, Refusal> {
        let token = token?;
        match self.knows_key_of(&token, before) {
            true => Ok(token),
            false => Err(Refusal::Token(TokenError::UnknownKid)),
        }
    }

    /// Judges the body of a bootstrap request as a stream with this token would be judged.
    ///
    /// # Errors
    /// Why it is refused.
    pub fn judge_bootstrap_body(&self, body: &[u8], clock: Clock) -> Result<Permit, Denial> {
        match self.bootstrap {
            BootstrapPolicy::Verify => {}
            // Pushed while the body was on its way.
            BootstrapPolicy::Pass => return Ok(Permit::Unchecked(Unchecked::Bootstrap)),
            BootstrapPolicy::Deny => return Err(Refusal::PathDenied.into()),
        }
        let request = BootstrapRequest::parse(body).map_err(Refusal::MalformedRequest)?;
        let token = self.authenticate(request.token.as_bytes(), Place::Body);
        self.judge_proxy(request.proxy(), token, clock)
    }

    fn judge_stream(&self, form: Form, head: &Head<'_>, clock: Clock) -> Verdict {
        let token = credential(head).and_then(|text| self.authenticate(text, Place::Header));
        // A sidecar's token is signed by other keys, so nothing about it can be said yet.
        if self.proxies.dataplane == Dataplane::Pass {
            return Verdict::Hold(Held::FirstMessage { form, token });
        }
        match token.map_err(Denial::from).and_then(|token| self.judge_any_proxy(token, clock)) {
            Ok(token) => Verdict::Hold(Held::FirstMessage { form, token: Ok(token) }),
            Err(denial) => Verdict::Deny(denial),
        }
    }

    fn judge_bootstrap(&self) -> Verdict {
        match self.bootstrap {
            BootstrapPolicy::Verify => Verdict::Hold(Held::Bootstrap),
            BootstrapPolicy::Pass => Verdict::Allow(Permit::Unchecked(Unchecked::Bootstrap)),
            BootstrapPolicy::Deny => Verdict::Deny(Refusal::PathDenied.into()),
        }
    }

    fn judge_sidecar(&self) -> Result<Permit, Refusal> {
        match self.proxies.dataplane {
            Dataplane::Pass => Ok(Permit::Unchecked(Unchecked::Dataplane)),
            Dataplane::Deny => Err(Refusal::ProxyDenied(Some(ProxyType::Dataplane))),
        }
    }

    /// Reads and verifies the text of a token.
    fn authenticate(&self, text: &[u8], place: Place) -> Result<ZoneToken, Refusal> {
        if text.is_empty() {
            return Err(Refusal::MissingToken(place));
        }
        if text.len() > self.max_token_bytes {
            return Err(Refusal::TokenTooLong { length: text.len(), limit: self.max_token_bytes });
        }
        authenticate(text, &self.keys).map_err(Refusal::Token)
    }

    /// Judges a token before it is known what connects: passes if some proxy type could pass.
    fn judge_any_proxy(&self, token: ZoneToken, clock: Clock) -> Result<ZoneToken, Denial> {
        let judged = self.judge_token(&token, clock).and_then(|()| {
            let zone_proxies = [ProxyType::Ingress, ProxyType::Egress];
            let mut in_scope = zone_proxies.into_iter().filter(|proxy| has_scope(&token, *proxy));
            match in_scope.clone().next() {
                None => Err(out_of_scope(&token, None)),
                Some(first) if !in_scope.any(|proxy| self.admits(proxy)) => {
                    Err(Refusal::ProxyDenied(Some(first)))
                }
                Some(_) => Ok(()),
            }
        });
        match judged {
            Ok(()) => Ok(token),
            Err(refusal) => Err(Denial { refusal, token: Some(token.into()) }),
        }
    }

    /// Judges a token for the proxy that connects with it.
    fn judge_proxy(
        &self,
        proxy: Option<ProxyType>,
        token: Result<ZoneToken, Refusal>,
        clock: Clock,
    ) -> Result<Permit, Denial> {
        if proxy == Some(ProxyType::Dataplane) {
            return self
                .judge_sidecar()
                .map_err(|refusal| Denial { refusal, token: token.ok().map(Box::new) });
        }
        let token = token?;
        let judged = self.judge_token(&token, clock).and_then(|()| self.judge_scope(proxy, &token));
        match judged {
            Ok(proxy) => Ok(Permit::ZoneToken { token, proxy }),
            Err(refusal) => Err(Denial { refusal, token: Some(token.into()) }),
        }
    }

    /// What holds for any proxy: time, revocation, zone.
    fn judge_token(&self, token: &ZoneToken, clock: Clock) -> Result<(), Refusal> {
        let claims = &token.claims;
        time::check(claims, clock, self)?;
        if self.revocations.contains(&claims.id) {
            return Err(Refusal::Revoked { id: claims.id.clone() });
        }
        // A token without a zone is good in any (Kuma: `pkg/tokens/builtin/zone/validator.go`).
        if !claims.zone.is_empty() && claims.zone != self.zone {
            let (token, gate) = (claims.zone.clone(), self.zone.clone());
            return Err(Refusal::WrongZone { token, gate });
        }
        Ok(())
    }

    fn judge_scope(
        &self,
        proxy: Option<ProxyType>,
        token: &ZoneToken,
    ) -> Result<ProxyType, Refusal> {
        match proxy {
            Some(proxy) if !self.admits(proxy) => Err(Refusal::ProxyDenied(Some(proxy))),
            Some(proxy) if !has_scope(token, proxy) => Err(out_of_scope(token, Some(proxy))),
            Some(proxy) => Ok(proxy),
            None => Err(Refusal::ProxyDenied(None)),
        }
    }

    /// Whether this kind of zone proxy may connect with a zone token.
    fn admits(&self, proxy: ProxyType) -> bool {
        match proxy {
            ProxyType::Ingress => self.proxies.ingress == ZoneProxy::ZoneToken,
            ProxyType::Egress => self.proxies.egress == ZoneProxy::ZoneToken,
            ProxyType::Dataplane => false,
        }
    }
}

/// The one value of `authorization` (Kuma: `pkg/xds/auth/callbacks.go`). Envoy joins repeated
/// headers with a comma, which no token contains.
fn credential<'a>(head: &Head<'a>) -> Result<&'a [u8], Refusal> {
    match head.authorization.as_slice() {
        [] => Err(Refusal::MissingToken(Place::Header)),
        [one] if one.contains(&b',') => Err(Refusal::MultipleTokens),
        [one] => Ok(one),
        _ => Err(Refusal::MultipleTokens),
    }
}

fn has_scope(token: &ZoneToken, proxy: ProxyType) -> bool {
    proxy.scope().is_some_and(|needed| token.claims.scope.iter().any(|scope| scope == needed))
}

fn out_of_scope(token: &ZoneToken, proxy: Option<ProxyType>) -> Refusal {
    Refusal::OutOfScope { scope: token.claims.scope.clone(), proxy }
}
