//! Zone tokens (Kuma: `pkg/tokens/builtin/zone`): of zone proxies, and of a zone's control plane.
//!
//! In: the claims of a verified token, and who holds it. Out: whether they agree, or a [`Mismatch`].
//! Signature, time and revocation are not looked at here.

use super::{Caller, ClaimValue, Holder, Mismatch, ProxyType, ProxyTypes};
use crate::token::{PrivateClaims, set_string, string_list};

/// What a zone token of a control plane has in its Scope (kumahq/kuma#18803; no release of Kuma issues
/// it yet).
pub const CONTROL_PLANE_SCOPE: &str = "cp";

/// What only a zone token says (Kuma: `pkg/tokens/builtin/zone/token.go`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ZoneClaims {
    /// `Zone`: where the token may be used; empty is anywhere.
    pub zone: String,
    /// `Scope`: as what it may be used.
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
    /// The scope that a zone token needs for it; `None` where no zone token will do (Kuma:
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
    /// A token without a zone is good in any (Kuma: `pkg/tokens/builtin/zone/validator.go`).
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

    /// The zone that a zone control plane says it is must be its token's. A token of no zone is no proof
    /// of any: here it would let its holder be every zone in turn.
    fn judge_client(&self, client: &[u8]) -> Result<(), Mismatch> {
        match self.zone.as_bytes() == client {
            true => Ok(()),
            false => {
                let client = String::from_utf8_lossy(client).into_owned();
                Err(Mismatch::Client { token: self.zone.clone(), client })
            }
        }
    }

    /// Other values in Scope do no harm.
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
                "its claim \"scope\" has the wrong type; it is read as Scope, for names count without \
                 case",
            ),
            (
                "{\"\u{17f}cope\":1}",
                "its claim \"\\u{17f}cope\" has the wrong type; it is read as Scope, for names count \
                 without case",
            ),
        ] {
            let error = read_claims::<ZoneClaims>(payload.as_bytes()).unwrap_err();
            assert_eq!(error.to_string(), wanted, "{payload}");
        }
    }
}
