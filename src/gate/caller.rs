//! Who connects with a zone token, and which scope it needs.

use std::fmt;

use super::{ProxyType, Refusal};
use crate::token::ZoneToken;

/// What a zone token of a control plane has in its Scope (kumahq/kuma#18803; no release of Kuma issues
/// it yet).
pub const CONTROL_PLANE_SCOPE: &str = "cp";

/// Who connects with a zone token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Caller {
    /// A proxy of this type, to its control plane.
    Proxy(ProxyType),
    /// A zone's control plane, to the global one.
    ControlPlane,
}

/// Who a connection says that it is. What is said is believed only along with a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claimed {
    /// A proxy of this type; `None` is one that Kuma does not know.
    Proxy(Option<ProxyType>),
    /// Some zone proxy; which one was not said yet.
    ZoneProxy,
    /// The control plane of this zone.
    ControlPlane(Box<[u8]>),
}

impl Caller {
    /// The scope that a zone token needs for it; `None` where no zone token will do.
    pub fn scope(self) -> Option<&'static str> {
        match self {
            Self::Proxy(proxy) => proxy.scope(),
            Self::ControlPlane => Some(CONTROL_PLANE_SCOPE),
        }
    }

    /// Itself, where `token` has its scope; other values in Scope do no harm.
    pub(super) fn judge_scope(self, token: &ZoneToken) -> Result<Self, Refusal> {
        match self.is_in_scope(token) {
            true => Ok(self),
            false => Err(Refusal::out_of_scope(token, Some(self))),
        }
    }

    pub(super) fn is_in_scope(self, token: &ZoneToken) -> bool {
        self.scope().is_some_and(|needed| token.claims.scope.iter().any(|scope| scope == needed))
    }
}

impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Proxy(proxy) => proxy.fmt(f),
            Self::ControlPlane => f.write_str("control-plane"),
        }
    }
}
