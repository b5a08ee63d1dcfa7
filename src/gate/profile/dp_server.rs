//! Settings of a gate in front of a dataplane server: the proxy types, the zone, the bootstrap.
//!
//! In: a proxy type. Out: the kind of token with which it may connect, if any.

use std::time::Duration;

use crate::credential::{Kind, ProxyType};

/// Settings of a gate in front of a dataplane server.
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
    /// Which part of the stream is held meanwhile.
    pub holding: Holding,
}

/// Which part of a stream is held while it waits for its first message or its body.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Holding {
    /// All of it: the control plane sees nothing of a stream that is refused.
    #[default]
    Everything,
    /// The body only. The headers go on at once, for hosts that cannot read a body while they hold the headers.
    Body,
}

/// What may connect, by proxy type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Proxies {
    /// A zone ingress.
    pub ingress: Admission,
    /// A zone egress.
    pub egress: Admission,
    /// A sidecar, a gateway, or a zone proxy of a mesh.
    pub dataplane: Admission,
}

/// Whether proxies of a type may connect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// With a token of this kind.
    Token(Kind),
    /// Unchecked: the control plane checks their tokens.
    Pass,
    /// Not at all.
    Deny,
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

impl Proxies {
    /// Whether proxies of this type may connect.
    pub fn admission(&self, proxy: ProxyType) -> Admission {
        match proxy {
            ProxyType::Ingress => self.ingress,
            ProxyType::Egress => self.egress,
            ProxyType::Dataplane => self.dataplane,
        }
    }

    /// Whether a proxy of some of these types passes unchecked.
    pub fn some_pass(&self, types: &[ProxyType]) -> bool {
        types.iter().any(|proxy| self.admission(*proxy) == Admission::Pass)
    }
}
