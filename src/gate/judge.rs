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

use std::rc::Rc;

use super::{
    BootstrapPolicy, BootstrapRequest, Caller, Clock, Dataplane, Denial, DpServer, Form, Head,
    Held, Permit, Place, Policy, Profile, ProxyType, Refusal, Route, Served, Unchecked, Verdict,
    is_kds, proxy_type, time,
};
use crate::token::{TokenError, ZoneToken, authenticate};

impl Policy {
    /// Judges the headers of a request.
    pub fn judge(&self, head: &Head<'_>, clock: Clock) -> Verdict {
        match &self.profile {
            Profile::DpServer(server) => self.judge_dp_server(server, head, clock),
            Profile::GlobalKds => self.judge_kds(head, clock).into(),
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
        token: Result<Rc<ZoneToken>, Refusal>,
        message: &[u8],
        clock: Clock,
    ) -> Result<Permit, Denial> {
        let server = self.dp_server()?;
        let proxy = proxy_type(form, message).map_err(Refusal::MalformedRequest)?;
        self.judge_proxy(server, proxy, token, clock)
    }

    /// Judges the token of a held stream that began under the policy `before`, where this one was
    /// pushed meanwhile: a key that is gone takes its tokens along.
    ///
    /// # Errors
    /// It is not good any more, or was not then.
    pub fn carry_over(
        &self,
        token: Result<Rc<ZoneToken>, Refusal>,
        before: &Self,
    ) -> Result<Rc<ZoneToken>, Refusal> {
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
        let server = self.dp_server()?;
        match server.bootstrap {
            BootstrapPolicy::Verify => {}
            // Pushed while the body was on its way.
            BootstrapPolicy::Pass => return Ok(Permit::Unchecked(Unchecked::Bootstrap)),
            BootstrapPolicy::Deny => return Err(Refusal::PathDenied(Served::ZoneProxies).into()),
        }
        let request = BootstrapRequest::parse(body).map_err(Refusal::MalformedRequest)?;
        let token = self.authenticate(request.token.as_bytes(), Place::Body);
        self.judge_proxy(server, request.proxy(), token, clock)
    }

    fn judge_dp_server(&self, server: &DpServer, head: &Head<'_>, clock: Clock) -> Verdict {
        match Route::of(head) {
            None => Verdict::Deny(Refusal::PathDenied(Served::ZoneProxies).into()),
            Some(Route::Hds) => server.judge_sidecar().map_err(Denial::from).into(),
            Some(Route::AdsSotw) => self.judge_stream(server, Form::Sotw, head, clock),
            Some(Route::AdsDelta) => self.judge_stream(server, Form::Delta, head, clock),
            Some(Route::Bootstrap) => judge_bootstrap(server),
        }
    }

    fn judge_stream(
        &self,
        server: &DpServer,
        form: Form,
        head: &Head<'_>,
        clock: Clock,
    ) -> Verdict {
        let text = head.credential(Place::Header);
        let token = text.and_then(|text| self.authenticate(text, Place::Header));
        // A sidecar's token is signed by other keys, so nothing about it can be said yet.
        if server.proxies.dataplane == Dataplane::Pass {
            return Verdict::Hold(Held::FirstMessage { form, token });
        }
        let judge = |token: &ZoneToken| {
            self.judge_token(token, clock)?;
            server.judge_zone(token)?;
            server.judge_any_proxy(token)
        };
        match token.map_err(Denial::from).and_then(|token| conclude(token, judge)) {
            Ok((token, ())) => Verdict::Hold(Held::FirstMessage { form, token: Ok(token) }),
            Err(denial) => Verdict::Deny(denial),
        }
    }

    /// Judges a token for the proxy that connects with it.
    fn judge_proxy(
        &self,
        server: &DpServer,
        proxy: Option<ProxyType>,
        token: Result<Rc<ZoneToken>, Refusal>,
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

    /// Judges a zone control plane at a KDS server.
    fn judge_kds(&self, head: &Head<'_>, clock: Clock) -> Result<Permit, Denial> {
        if !is_kds(head) {
            return Err(Refusal::PathDenied(Served::ControlPlanes).into());
        }
        let text = head.credential(Place::KdsHeader)?;
        let token = self.authenticate(text, Place::KdsHeader)?;
        let judge = |token: &ZoneToken| {
            self.judge_token(token, clock)?;
            judge_client(token, head)?;
            Caller::ControlPlane.judge_scope(token)
        };
        let (token, caller) = conclude(token, judge)?;
        Ok(Permit::ZoneToken { token, caller })
    }

    /// Reads and verifies the text of a token.
    fn authenticate(&self, text: &[u8], place: Place) -> Result<Rc<ZoneToken>, Refusal> {
        if text.is_empty() {
            return Err(Refusal::MissingToken(place));
        }
        if text.len() > self.max_token_bytes {
            return Err(Refusal::TokenTooLong { length: text.len(), limit: self.max_token_bytes });
        }
        authenticate(text, &self.keys).map_err(Refusal::Token)
    }

    /// What holds for any caller: time and revocation.
    fn judge_token(&self, token: &ZoneToken, clock: Clock) -> Result<(), Refusal> {
        let claims = &token.claims;
        time::check(claims, clock, self)?;
        match self.revocations.contains(&claims.id) {
            true => Err(Refusal::Revoked { id: claims.id.clone() }),
            false => Ok(()),
        }
    }

    /// What holds a request: only a dataplane server's gate does. One that it holds when a push makes
    /// it the gate of a KDS server has come to the wrong place.
    fn dp_server(&self) -> Result<&DpServer, Refusal> {
        match &self.profile {
            Profile::DpServer(server) => Ok(server),
            Profile::GlobalKds => Err(Refusal::PathDenied(Served::ControlPlanes)),
        }
    }
}

fn judge_bootstrap(server: &DpServer) -> Verdict {
    match server.bootstrap {
        BootstrapPolicy::Verify => Verdict::Hold(Held::Bootstrap),
        BootstrapPolicy::Pass => Verdict::Allow(Permit::Unchecked(Unchecked::Bootstrap)),
        BootstrapPolicy::Deny => Verdict::Deny(Refusal::PathDenied(Served::ZoneProxies).into()),
    }
}

/// The zone that a zone control plane says it is must be its token's. A token of no zone is no proof
/// of any: here it would let its holder be every zone in turn.
fn judge_client(token: &ZoneToken, head: &Head<'_>) -> Result<(), Refusal> {
    let client = head.zone_of_client().map_err(Refusal::MalformedRequest)?;
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
    token: Rc<ZoneToken>,
    judge: impl FnOnce(&ZoneToken) -> Result<T, Refusal>,
) -> Result<(Rc<ZoneToken>, T), Denial> {
    match judge(&token) {
        Ok(judged) => Ok((token, judged)),
        Err(refusal) => Err(Denial { refusal, token: Some(token) }),
    }
}
