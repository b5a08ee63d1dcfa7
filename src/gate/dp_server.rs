//! What is allowed at a dataplane server alone: the proxy types, the zone, the bootstrap.
//!
//! In: what connects, or a verified token. Out: a permit, or a refusal. Keys, dates and revocation are
//! not looked at here.

use std::time::Duration;

use super::{Caller, Permit, ProxyType, Refusal, Unchecked};
use crate::token::ZoneToken;

/// What is allowed at a dataplane server alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DpServer {
    /// The zone that the control plane serves.
    pub zone: String,
    /// What may connect.
    pub proxies: Proxies,
    /// What happens to bootstrap requests.
    pub bootstrap: BootstrapPolicy,
    /// How long a stream may be held for its first message.
    pub first_message: Duration,
}

/// What may connect, by proxy type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Proxies {
    /// A zone ingress.
    pub ingress: ZoneProxy,
    /// A zone egress.
    pub egress: ZoneProxy,
    /// A sidecar.
    pub dataplane: Dataplane,
}

/// Whether a kind of zone proxy may connect.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ZoneProxy {
    /// With a zone token.
    #[default]
    ZoneToken,
    /// Not at all.
    Deny,
}

/// Whether a sidecar may connect.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Dataplane {
    /// Not at all.
    #[default]
    Deny,
    /// Unchecked: its token is the control plane's business.
    Pass,
}

/// What happens to bootstrap requests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum BootstrapPolicy {
    /// The token in the body is judged.
    #[default]
    Verify,
    /// All of them pass unchecked.
    Pass,
    /// None passes.
    Deny,
}

impl DpServer {
    /// A token without a zone is good in any (Kuma: `pkg/tokens/builtin/zone/validator.go`).
    pub(super) fn judge_zone(&self, token: &ZoneToken) -> Result<(), Refusal> {
        let zone = &token.claims.zone;
        match zone.is_empty() || *zone == self.zone {
            true => Ok(()),
            false => Err(Refusal::WrongZone { token: zone.clone(), gate: self.zone.clone() }),
        }
    }

    pub(super) fn judge_sidecar(&self) -> Result<Permit, Refusal> {
        match self.proxies.dataplane {
            Dataplane::Pass => Ok(Permit::Unchecked(Unchecked::Dataplane)),
            Dataplane::Deny => Err(Refusal::ProxyDenied(Some(ProxyType::Dataplane))),
        }
    }

    /// Judges before it is known what connects: passes if some proxy type could pass.
    pub(super) fn judge_any_proxy(&self, token: &ZoneToken) -> Result<Caller, Refusal> {
        let zone_proxies = [ProxyType::Ingress, ProxyType::Egress];
        let mut in_scope =
            zone_proxies.into_iter().filter(|proxy| Caller::Proxy(*proxy).is_in_scope(token));
        let Some(first) = in_scope.clone().next() else {
            return Err(Refusal::out_of_scope(token, None));
        };
        match in_scope.find(|proxy| self.admits(*proxy)) {
            Some(proxy) => Ok(Caller::Proxy(proxy)),
            None => Err(Refusal::ProxyDenied(Some(first))),
        }
    }

    pub(super) fn judge_proxy(
        &self,
        proxy: Option<ProxyType>,
        token: &ZoneToken,
    ) -> Result<Caller, Refusal> {
        match proxy {
            Some(proxy) if self.admits(proxy) => Caller::Proxy(proxy).judge_scope(token),
            other => Err(Refusal::ProxyDenied(other)),
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
