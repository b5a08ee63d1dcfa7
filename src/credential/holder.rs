//! Who holds a token: what a connection says of itself.
//!
//! In: what was read from a first message, a bootstrap request or headers. Out: types. What is said is
//! believed only along with a token, and is not read or compared here.

use std::fmt;

use super::ProxyType;

/// Who connects with a token, as far as it says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holder<'a> {
    /// A proxy, to its control plane.
    Proxy(&'a NodeIdentity),
    /// A zone's control plane, to the global one: the zone that it says it is.
    ControlPlane(&'a [u8]),
}

/// What a proxy says of itself, in its first message or its bootstrap request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeIdentity {
    /// Its type.
    pub proxy_type: ProxyType,
    /// Its mesh: that of its resource, or that in its node id.
    pub mesh: String,
    /// Its name: that of its resource, or that in its node id.
    pub name: String,
    /// Its resource. Where a proxy does not bring it, only the control plane knows it.
    pub resource: Option<Resource>,
}

/// What a token can be bound to besides a name and a mesh.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Resource {
    /// Tags and their values, of all inbounds and of the gateway: a tag is there once for each value.
    pub tags: Vec<(String, String)>,
    /// The label `kuma.io/workload`.
    pub workload: Option<String>,
}

/// Who connects with a token, in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Caller {
    /// A proxy of this type.
    Proxy(ProxyType),
    /// A zone's control plane.
    ControlPlane,
}

impl Holder<'_> {
    /// Who it is, in a word.
    pub fn caller(&self) -> Caller {
        match self {
            Self::Proxy(node) => Caller::Proxy(node.proxy_type),
            Self::ControlPlane(_) => Caller::ControlPlane,
        }
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
