//! Zone tokens (Kuma: `pkg/tokens/builtin/zone`), for zone proxies and a zone's control plane.
//!
//! In: the claims of a verified token, and who holds it. Out: whether they agree, or a [`Mismatch`].
//! Signature, time and revocation are judged elsewhere.

use super::{Caller, ClaimValue, Holder, Mismatch, ProxyType, ProxyTypes};
use crate::token::{PrivateClaims, set_string, string_list};

/// The Scope of a control plane's zone token (kumahq/kuma#18803; no release of Kuma issues it yet).
pub const CONTROL_PLANE_SCOPE: &str = "cp";

/// The claims of a zone token (Kuma: `pkg/tokens/builtin/zone/token.go`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ZoneClaims {
    /// `Zone`: the zone where the token may be used; empty means any zone.
    pub zone: String,
    /// `Scope`: the types of proxy that may use the token.
    pub scope: Vec<String>,
}

impl PrivateClaims for ZoneClaims {
    fn set(&mut self, name: &str, value: &str) -> Result<(), &'static str> {
        match name {
            "zone" => set_string(&mut self.zone, value).ok_or("Zone"),
            "scope" => {
                self.scope = string_list(value).ok_or("Scope")?;
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

impl Caller {
    /// The scope that a zone token needs for this; `None` if no zone token is enough (Kuma:
    /// `pkg/tokens/builtin/zone/scope.go`).
    pub fn scope(self) -> Option<&'static str> {
        match self {
            Self::Proxy(ProxyType::Ingress) => Some("ingress"),
            Self::Proxy(ProxyType::Egress) => Some("egress"),
            Self::Proxy(ProxyType::Dataplane) => None,
            Self::ControlPlane => Some(CONTROL_PLANE_SCOPE),
        }
    }
}

impl ZoneClaims {
    /// A token without a zone is good in any zone (Kuma: `pkg/tokens/builtin/zone/validator.go`).
    pub(super) fn judge_zone(&self, zone: &str) -> Result<(), Mismatch> {
        match self.zone.is_empty() || self.zone == zone {
            true => Ok(()),
            false => Err(Mismatch::Zone { token: self.zone.clone(), gate: zone.to_owned() }),
        }
    }

    pub(super) fn usable_by(&self) -> Result<ProxyTypes, Mismatch> {
        let usable = |proxy: &ProxyType| self.is_in_scope(Caller::Proxy(*proxy));
        let usable: ProxyTypes = ProxyType::ALL.into_iter().filter(usable).collect();
        match usable.is_empty() {
            true => Err(Mismatch::Scope { scope: self.scope.clone(), caller: None }),
            false => Ok(usable),
        }
    }

    pub(super) fn judge(&self, holder: Holder<'_>, zone: Option<&str>) -> Result<(), Mismatch> {
        match holder {
            Holder::Proxy(_) => self.judge_zone(zone.unwrap_or_default())?,
            Holder::ControlPlane(client) => self.judge_client(client)?,
        }
        match self.is_in_scope(holder.caller()) {
            true => Ok(()),
            false => {
                let (scope, caller) = (self.scope.clone(), Some(holder.caller()));
                Err(Mismatch::Scope { scope, caller })
            }
        }
    }

    /// The zone that a zone control plane claims to be must be that of its token. A token without a zone proves no
    /// zone: it would be good for every zone.
    fn judge_client(&self, client: &[u8]) -> Result<(), Mismatch> {
        match self.zone.as_bytes() == client {
            true => Ok(()),
            false => {
                let client = String::from_utf8_lossy(client).into_owned();
                Err(Mismatch::Client { token: self.zone.clone(), client })
            }
        }
    }

    /// Other values in Scope are allowed.
    fn is_in_scope(&self, caller: Caller) -> bool {
        caller.scope().is_some_and(|needed| self.scope.iter().any(|scope| scope == needed))
    }

    pub(super) fn members(&self) -> Vec<(&'static str, ClaimValue<'_>)> {
        vec![
            ("zone", ClaimValue::Text(&self.zone)),
            ("scope", ClaimValue::List(self.scope.clone())),
        ]
    }

    pub(super) fn bytes(&self) -> usize {
        let scope = self.scope.iter().map(|one| one.len().saturating_add(size_of::<String>()));
        scope.fold(self.zone.len(), usize::saturating_add)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a test may panic
mod tests {
    use super::*;
    use crate::token::read_claims;

    #[test]
    fn a_claim_of_the_wrong_type_is_named_as_it_is_spelled() {
        for (payload, wanted) in [
            (r#"{"Scope":1}"#, "its claim Scope has the wrong type"),
            (
                r#"{"Scope":["ingress"],"scope":"openid email"}"#,
                "its claim \"scope\" has the wrong type; it is read as Scope, because the case \
                 of names is ignored",
            ),
            (
                "{\"\u{17f}cope\":1}",
                "its claim \"\\u{17f}cope\" has the wrong type; it is read as Scope, because the \
                 case of names is ignored",
            ),
        ] {
            let error = read_claims::<ZoneClaims>(payload.as_bytes()).unwrap_err();
            assert_eq!(error.to_string(), wanted, "{payload}");
        }
    }
}
