//! The types of proxy.
//!
//! In: a name. Out: a [`ProxyType`], or an error. Whether it may connect is decided elsewhere.

use std::fmt;

/// The kinds of proxy that Kuma knows (Kuma: `pkg/core/xds/metadata.go`, `api/mesh/v1alpha1`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ProxyType {
    /// A zone ingress.
    Ingress,
    /// A zone egress.
    Egress,
    /// A sidecar, a gateway, or a zone proxy of a mesh; also the meaning of an absent type.
    Dataplane,
}

/// No proxy type of this name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnknownProxyType;

impl ProxyType {
    /// Every type, once.
    pub const ALL: [Self; 3] = [Self::Ingress, Self::Egress, Self::Dataplane];

    /// Reads `proxyType`; empty is a dataplane, as in Kuma.
    ///
    /// # Errors
    /// [`UnknownProxyType`].
    pub fn from_name(name: &str) -> Result<Self, UnknownProxyType> {
        match name {
            "ingress" => Ok(Self::Ingress),
            "egress" => Ok(Self::Egress),
            "dataplane" | "" => Ok(Self::Dataplane),
            _ => Err(UnknownProxyType),
        }
    }

    /// The proxy type for a resource of this type; `None` for a resource that does not connect.
    pub fn from_resource_type(name: &str) -> Option<Self> {
        match name {
            "ZoneIngress" => Some(Self::Ingress),
            "ZoneEgress" => Some(Self::Egress),
            "Dataplane" => Some(Self::Dataplane),
            _ => None,
        }
    }
}

/// Some of the types.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ProxyTypes([bool; ProxyType::ALL.len()]);

impl ProxyTypes {
    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self.iter().next().is_none()
    }

    /// Each of them, in the order of [`ProxyType::ALL`].
    pub fn iter(self) -> impl Iterator<Item = ProxyType> {
        ProxyType::ALL.into_iter().zip(self.0).filter_map(|(proxy, is_in)| is_in.then_some(proxy))
    }
}

impl FromIterator<ProxyType> for ProxyTypes {
    fn from_iter<T: IntoIterator<Item = ProxyType>>(types: T) -> Self {
        let mut all = Self::default();
        for one in types {
            for (proxy, is_in) in ProxyType::ALL.into_iter().zip(&mut all.0) {
                *is_in |= proxy == one;
            }
        }
        all
    }
}

impl fmt::Display for ProxyType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ingress => "ingress",
            Self::Egress => "egress",
            Self::Dataplane => "dataplane",
        })
    }
}
