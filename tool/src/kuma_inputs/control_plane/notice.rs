//! Notices about a control plane's configuration, for the operator of a gate.

use std::fmt;

use crate::kuma_inputs::NoZoneTokens;

/// A notice for the operator of a gate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// Zone proxies do not connect to a global control plane.
    Global,
    /// This release of Kuma refuses zone tokens of proxies.
    NoZoneTokens(NoZoneTokens),
    /// Zone proxies do not authenticate with zone tokens there.
    OtherAuthentication(String),
    /// The control plane also takes keys from its secrets.
    SecretsToo,
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Global => f.write_str(
                "mode global: zone proxies connect to a zone's control plane, not to this one; a gate in \
                 front of this one has --profile globalKds",
            ),
            Self::NoZoneTokens(sign) => sign.fmt(f),
            Self::OtherAuthentication(kind) => write!(
                f,
                "dpServer.authn.zoneProxy.type is {kind} here: zone proxies send no zone tokens, and \
                 the gate would deny them"
            ),
            Self::SecretsToo => f.write_str(
                "useSecrets is true: this control plane also takes tokens of the keys in its secrets; \
                 give them with --secrets, or the gate denies those tokens",
            ),
        }
    }
}
