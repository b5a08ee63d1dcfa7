//! The first message of a discovery stream, which says which proxy connects.
//!
//! In: the bytes of the request body. Out: the length of the message ([`Frame`]), and the [`ClaimedNode`] of a
//! complete message (Kuma: `pkg/core/xds/metadata.go`). The rest of the request is for the control plane.

use std::sync::Arc;

use super::wire_node::WireNode;
use super::{MAX_BOOTSTRAP, NodeIdentity, ProxyType, RequestError, resource};
use crate::credential::ResourceCache;
use crate::protobuf::Malformed;

/// The largest first message. Those of a zone proxy take a few KiB; its resource is in there.
pub const MAX_FIRST_MESSAGE: usize = 1024 * 1024;

/// The largest `dataplane.resource`. If the resource says whose keys apply, it is read for anyone who connects, which
/// takes some 25 ms for each MiB. It comes from a bootstrap request, which cannot be larger either.
pub const MAX_RESOURCE: usize = MAX_BOOTSTRAP;

/// Compressed-Flag and Message-Length (gRPC over HTTP/2, "Length-Prefixed-Message").
pub const PREFIX: usize = 5;

/// Which discovery protocol the stream speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum XdsVariant {
    /// State of the world: `DiscoveryRequest`.
    Sotw,
    /// Delta: `DeltaDiscoveryRequest`.
    Delta,
    /// Health discovery: `HealthCheckRequestOrEndpointHealthResponse`.
    Hds,
}

/// The length of a first message with its prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame {
    /// Bytes.
    pub length: usize,
}

impl Frame {
    /// Reads the prefix of a message; `None` while it is incomplete.
    ///
    /// # Errors
    /// The message is compressed, or larger than [`MAX_FIRST_MESSAGE`].
    pub fn of(body: &[u8]) -> Result<Option<Self>, RequestError> {
        let Some((flag, length)) = body.split_first() else { return Ok(None) };
        if *flag != 0 {
            return Err(RequestError::Compressed);
        }
        let Some(length) = length.first_chunk::<4>() else { return Ok(None) };
        match usize::try_from(u32::from_be_bytes(*length)) {
            Ok(length) if length <= MAX_FIRST_MESSAGE => {
                Ok(Some(Self { length: length.saturating_add(PREFIX) }))
            }
            _ => Err(RequestError::TooLarge),
        }
    }

    /// The message in `body`; `None` while it is incomplete.
    pub fn message(self, body: &[u8]) -> Option<&[u8]> {
        body.get(PREFIX..self.length)
    }
}

/// What a proxy claims to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimedNode {
    /// Its type.
    pub proxy_type: ProxyType,
    /// Which proxy it is. An error matters only if a token is compared with it.
    pub identity: Result<Arc<NodeIdentity>, RequestError>,
}

impl ClaimedNode {
    /// What the node in `message` claims to be. `Ok(None)` for a type that Kuma does not know.
    ///
    /// # Errors
    /// The message is not a request of this variant, has no node with an id, or its resource contradicts its
    /// type.
    pub fn of(variant: XdsVariant, message: &[u8]) -> Result<Option<Self>, RequestError> {
        Self::remembered(variant, message, None)
    }

    /// As [`ClaimedNode::of`]. Resources are looked up in `cache`, and kept there.
    pub(super) fn remembered(
        variant: XdsVariant,
        message: &[u8],
        cache: Option<&ResourceCache>,
    ) -> Result<Option<Self>, RequestError> {
        let node = WireNode::of(variant, message)
            .map_err(|Malformed| RequestError::NotADiscoveryRequest)?;
        // Kuma authenticates by the first message, but takes the node from the first one with an id: a
        // later message could say that something else connects.
        if node.id.is_empty() {
            return Err(RequestError::NoNode);
        }
        match variant {
            // Kuma: `pkg/hds/authn/callbacks.go`. Only dataplanes come, and the store has their resources.
            XdsVariant::Hds => Ok(Some(Self::by_id(ProxyType::Dataplane, node.id))),
            XdsVariant::Sotw | XdsVariant::Delta => Self::by_node(node, cache),
        }
    }

    /// What a node with metadata claims to be.
    fn by_node(
        node: WireNode<'_>,
        cache: Option<&ResourceCache>,
    ) -> Result<Option<Self>, RequestError> {
        let WireNode { id, proxy_type, resource } = node;
        let named = ProxyType::from_name(proxy_type);
        if resource.is_empty() {
            return Ok(named.ok().map(|proxy| Self::by_id(proxy, id)));
        }
        if resource.len() > MAX_RESOURCE {
            return Err(RequestError::TooLarge);
        }
        let parsed = match cache {
            Some(cache) => cache.get_or_read(resource, resource::parse),
            None => resource::parse(resource).map(Arc::new),
        };
        let parsed = parsed.ok_or(RequestError::Resource)?;
        // Kuma authenticates by the resource and serves by `proxyType`, so they must agree. Both take an empty
        // `proxyType` for a dataplane.
        match named == Ok(parsed.proxy_type) {
            true => Ok(Some(Self::by_resource(parsed, id))),
            false => Err(RequestError::Resource),
        }
    }

    /// A node of this type and node id, without a resource.
    pub(super) fn by_id(proxy_type: ProxyType, id: &str) -> Self {
        let identity = mesh_and_name(proxy_type, id).map(|(mesh, name)| {
            let (mesh, name) = (mesh.to_owned(), name.to_owned());
            Arc::new(NodeIdentity { proxy_type, mesh, name, resource: None })
        });
        Self { proxy_type, identity }
    }

    /// A node of this type, of which nothing else is known.
    pub(super) fn nameless(proxy_type: ProxyType) -> Self {
        let (mesh, name) = (String::new(), String::new());
        let identity = NodeIdentity { proxy_type, mesh, name, resource: None };
        Self { proxy_type, identity: Ok(Arc::new(identity)) }
    }

    /// A node with this resource and node id. The control plane authenticates by the resource, and serves the proxy
    /// that the id names (Kuma: `pkg/xds/server/callbacks`), so the two must agree.
    pub(super) fn by_resource(resource: Arc<NodeIdentity>, id: &str) -> Self {
        let proxy_type = resource.proxy_type;
        let identity = mesh_and_name(proxy_type, id).and_then(|by_id| {
            let is_same = by_id == (&resource.mesh, &resource.name);
            is_same.then_some(resource).ok_or(RequestError::NodeId)
        });
        Self { proxy_type, identity }
    }
}

/// Reads a node id (Kuma: `ParseProxyIdFromString` in `pkg/core/xds/types.go`): `mesh.name`. Only a zone proxy may have
/// an empty mesh, because no policy can revoke tokens of a mesh without a name.
fn mesh_and_name(proxy_type: ProxyType, id: &str) -> Result<(&str, &str), RequestError> {
    let may_lack_mesh = match proxy_type {
        ProxyType::Ingress | ProxyType::Egress => true,
        ProxyType::Dataplane => false,
    };
    match id.split_once('.') {
        Some((mesh, name)) if !name.is_empty() && (may_lack_mesh || !mesh.is_empty()) => {
            Ok((mesh, name))
        }
        Some(_) | None => Err(RequestError::NodeId),
    }
}
