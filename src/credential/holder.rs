//! The holder of a token: what a connection claims to be.
//!
//! In: data from a first message, a bootstrap request or headers. Out: types. A claim counts only together with a
//! token. Nothing is compared here.

use std::fmt;

use super::ProxyType;

/// Who connects with a token, as far as the connection says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holder<'a> {
    /// A proxy, to its control plane.
    Proxy(&'a NodeIdentity),
    /// A zone's control plane, to the global control plane: the zone that it claims to be.
    ControlPlane(&'a [u8]),
}

/// What a proxy claims to be, in its first message or its bootstrap request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeIdentity {
    /// Its type.
    pub proxy_type: ProxyType,
    /// Its mesh: that of its resource, or that in its node id.
    pub mesh: String,
    /// Its name: that of its resource, or that in its node id.
    pub name: String,
    /// Its resource. If the proxy does not send it, only the control plane knows it.
    pub resource: Option<Resource>,
}

/// What a token can be bound to besides a name and a mesh.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Resource {
    /// Tags and their values, of all inbounds and of the gateway, with one entry for each value.
    pub tags: Vec<(String, String)>,
    /// The label `kuma.io/workload`.
    pub workload: Option<String>,
}

/// The type of what connects with a token.
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
