//! The order of checks.
//!
//! In: the facts of a request, the policy and the time. Out: a verdict. The judge is pure: the same facts give the same
//! verdict, in Envoy, on the command line and in the tests.
//!
//! ```text
//! route ─ credential ─ token ─ key ─ signature ─ claims ─ time ─ revocation ─ zone ─ proxy, scope
//! └──────────────── the headers, or the bootstrap body ──────────────────────────┘  └ first message
//! ```
//!
//! If several issuers have a key of the token's kid, the first message says which issuer applies. Then the stream is
//! held first, and everything from the key on is judged after that. A token that is bad for every issuer is refused on
//! the headers.
//!
//! In front of a KDS server the headers are all that is needed: the zone is in `client-id`, and there is only one
//! scope.
//!
//! Kuma checks the scope before the zone, and the claims before the signature. The order changes the reason, never the
//! verdict. [`crate::credential`] has the claims of each kind of token. This file has the rule that a KDS server takes
//! zone tokens only.

use std::sync::Arc;

use super::judge_token::conclude;
use super::verdict::Credential;
use super::{
    Admission, Audience, BootstrapPolicy, BootstrapRequest, Claimed, ClaimedNode, CredentialSource,
    Denial, DpServer, Head, Held, Now, Permit, Policy, Profile, ProxyType, Refusal, Route,
    Unchecked, Verdict, XdsVariant, is_kds,
};
use crate::credential::{Holder, Kind, Token, TokenCache};

/// A policy, and the cache of verified tokens of its worker.
#[derive(Debug, Clone, Copy)]
pub struct Judge<'a> {
    pub(super) policy: &'a Policy,
    pub(super) cache: Option<&'a TokenCache>,
}

/// The proxy types that open discovery and bootstrap (any), and health discovery (dataplanes).
pub(super) const ANY: &[ProxyType] = &ProxyType::ALL;
pub(super) const DATAPLANES: &[ProxyType] = &[ProxyType::Dataplane];

impl Policy {
    /// Judges the headers of a request. Nothing is remembered: see [`Judge`].
    pub fn judge(&self, head: &Head<'_>, now: Now) -> Verdict {
        self.judge_alone().headers(head, now)
    }

    /// As [`Judge::first_message`]. Nothing is remembered.
    ///
    /// # Errors
    /// Why it is refused.
    pub fn judge_first_message(
        &self,
        variant: XdsVariant,
        credential: Result<Credential, Denial>,
        message: &[u8],
        now: Now,
    ) -> Result<Permit, Denial> {
        self.judge_alone().first_message(variant, credential, message, now)
    }

    /// Judges a stream again after its request is gone, by the token that was verified then and who connected with
    /// it.
    ///
    /// # Errors
    /// Why it would be refused now.
    pub fn judge_again(
        &self,
        token: &Arc<Token>,
        caller: &Claimed,
        now: Now,
    ) -> Result<Permit, Denial> {
        let credential = Credential::Verified(Arc::clone(token));
        match (&self.profile, caller) {
            (Profile::DpServer(server), Claimed::Proxy(node)) => {
                self.judge_alone().judge_proxy(server, node.as_ref(), Ok(credential), now)
            }
            (Profile::GlobalKds(_), Claimed::ControlPlane(zone)) => {
                self.judge_holder(Arc::clone(token), Holder::ControlPlane(zone), now)
            }
            (Profile::DpServer(server), Claimed::SomeProxy) => {
                self.judge_alone().judge_unknown_proxy(server, Arc::clone(token), now)
            }
            (Profile::DpServer(_), Claimed::ControlPlane(_)) => {
                Err(Refusal::PathDenied(Audience::Proxies).into())
            }
            (Profile::GlobalKds(_), Claimed::Proxy(_) | Claimed::SomeProxy) => {
                Err(Refusal::PathDenied(Audience::ControlPlanes).into())
            }
        }
    }

    fn judge_alone(&self) -> Judge<'_> {
        Judge { policy: self, cache: None }
    }

    /// The settings for a held request. Only the gate of a dataplane server holds requests. If a push makes it the gate
    /// of a KDS server, the held request has the wrong path.
    pub(super) fn dp_server(&self) -> Result<&DpServer, Refusal> {
        match &self.profile {
            Profile::DpServer(server) => Ok(server),
            Profile::GlobalKds(_) => Err(Refusal::PathDenied(Audience::ControlPlanes)),
        }
    }
}

impl<'a> Judge<'a> {
    /// `policy`, with `cache` to remember verified tokens in.
    pub fn new(policy: &'a Policy, cache: &'a TokenCache) -> Self {
        Self { policy, cache: Some(cache) }
    }

    /// Judges the headers of a request.
    pub fn headers(self, head: &Head<'_>, now: Now) -> Verdict {
        match &self.policy.profile {
            Profile::DpServer(server) => self.judge_dp_server(server, head, now),
            Profile::GlobalKds(_) => self.judge_kds(head, now).into(),
        }
    }

    /// Judges the first message of a held stream. The time and the policy may have changed since its headers came, so
    /// everything but the signature is judged again.
    ///
    /// # Errors
    /// Why it is refused.
    pub fn first_message(
        self,
        variant: XdsVariant,
        credential: Result<Credential, Denial>,
        message: &[u8],
        now: Now,
    ) -> Result<Permit, Denial> {
        let server = self.policy.dp_server()?;
        // The resource of a stranger is not remembered.
        let is_verified = matches!(credential, Ok(Credential::Verified(_)));
        let cache = self.cache.filter(|_| is_verified).map(TokenCache::resources);
        let node =
            ClaimedNode::remembered(variant, message, cache).map_err(Refusal::MalformedRequest)?;
        self.judge_proxy(server, node.as_ref(), credential, now)
    }

    /// Judges the body of a bootstrap request as a stream with this token would be judged.
    ///
    /// # Errors
    /// Why it is refused.
    pub fn bootstrap_body(self, body: &[u8], now: Now) -> Result<Permit, Denial> {
        let server = self.policy.dp_server()?;
        match server.bootstrap {
            BootstrapPolicy::Verify => {}
            // The policy was pushed while the body was on its way.
            BootstrapPolicy::Pass => return Ok(Permit::Unchecked(Unchecked::Bootstrap)),
            BootstrapPolicy::Deny => return Err(Refusal::PathDenied(Audience::Proxies).into()),
        }
        let request = BootstrapRequest::parse(body).map_err(Refusal::MalformedRequest)?;
        let node = request.node();
        let text = request.token.as_bytes();
        let credential = self.recognise(text, CredentialSource::Body, Kind::ALL);
        self.judge_proxy(server, node.as_ref(), credential, now)
    }

    fn judge_dp_server(self, server: &DpServer, head: &Head<'_>, now: Now) -> Verdict {
        match Route::of(head) {
            None => Verdict::Deny(Refusal::PathDenied(Audience::Proxies).into()),
            Some(Route::AdsSotw) => self.judge_stream(server, XdsVariant::Sotw, ANY, head, now),
            Some(Route::AdsDelta) => self.judge_stream(server, XdsVariant::Delta, ANY, head, now),
            Some(Route::Hds) => self.judge_hds(server, head, now),
            Some(Route::Bootstrap) => judge_bootstrap(server),
        }
    }

    /// Only dataplanes open health discovery, so the headers are enough if no dataplane is judged.
    fn judge_hds(self, server: &DpServer, head: &Head<'_>, now: Now) -> Verdict {
        match server.proxies.dataplane {
            Admission::Pass => Verdict::Allow(Permit::Unchecked(Unchecked::Dataplane)),
            Admission::Deny => {
                Verdict::Deny(Refusal::ProxyDenied(Some(ProxyType::Dataplane)).into())
            }
            Admission::Token(_) => {
                self.judge_stream(server, XdsVariant::Hds, DATAPLANES, head, now)
            }
        }
    }

    /// Judges the headers of a stream that proxies of `types` open.
    fn judge_stream(
        self,
        server: &DpServer,
        variant: XdsVariant,
        types: &[ProxyType],
        head: &Head<'_>,
        now: Now,
    ) -> Verdict {
        let source = CredentialSource::Header;
        let text = head.credential(source).map_err(Denial::from);
        let credential = text.and_then(|text| self.recognise(text, source, Kind::ALL));
        // The token of a proxy that passes unchecked is not read.
        if server.proxies.some_pass(types) {
            return Verdict::Hold(Held::FirstMessage { variant, credential });
        }
        let judged = credential.and_then(|credential| match credential {
            Credential::Verified(token) => {
                self.judge_some_proxy(server, types, token, now).map(Credential::Verified)
            }
            unverified @ Credential::Unverified(_) => Ok(unverified),
        });
        match judged {
            Ok(credential) => {
                Verdict::Hold(Held::FirstMessage { variant, credential: Ok(credential) })
            }
            Err(denial) => Verdict::Deny(denial),
        }
    }

    /// Judges a zone control plane at a KDS server.
    fn judge_kds(self, head: &Head<'_>, now: Now) -> Result<Permit, Denial> {
        if !is_kds(head) {
            return Err(Refusal::PathDenied(Audience::ControlPlanes).into());
        }
        let source = CredentialSource::KdsHeader;
        let text = head.credential(source)?;
        let kind = Kind::ZoneToken;
        let credential = self.recognise(text, source, [kind])?;
        let issuer = self.policy.issuers.of(kind, "");
        let token = self.verify(credential, kind, issuer)?;
        match head.zone_of_client() {
            Ok(zone) => self.policy.judge_holder(token, Holder::ControlPlane(zone), now),
            // Faults of the token go before a `client-id` that cannot be read.
            Err(error) => {
                let token = conclude(token, |token| {
                    self.policy.judge_token(token, &token.identity, issuer, now)
                })?;
                Err(Denial { token: Some(token), ..Refusal::MalformedRequest(error).into() })
            }
        }
    }
}

fn judge_bootstrap(server: &DpServer) -> Verdict {
    match server.bootstrap {
        BootstrapPolicy::Verify => Verdict::Hold(Held::Bootstrap),
        BootstrapPolicy::Pass => Verdict::Allow(Permit::Unchecked(Unchecked::Bootstrap)),
        BootstrapPolicy::Deny => Verdict::Deny(Refusal::PathDenied(Audience::Proxies).into()),
    }
}
