//! The first message of a discovery stream, which says what proxy connects.
//!
//! In: the bytes of the request body. Out: how long the message is ([`Frame`]), and of a whole one
//! the [`ClaimedNode`] (Kuma: `pkg/core/xds/metadata.go`). The rest of the request is the control plane's
//! business.

use std::sync::Arc;

use super::wire_node::WireNode;
use super::{MAX_BOOTSTRAP, NodeIdentity, ProxyType, RequestError, resource};
use crate::credential::ResourceCache;
use crate::protobuf::Malformed;

/// The largest first message. Those of a zone proxy take a few KiB; its resource is in there.
pub const MAX_FIRST_MESSAGE: usize = 1024 * 1024;

/// The largest `dataplane.resource`. Where the resource says whose keys hold, it is read for anyone who connects,
/// at some 25 ms for each MiB. It comes out of a bootstrap request, which cannot be larger either.
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

/// How much of a stream its first message is, prefix included.
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

/// What a proxy says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimedNode {
    /// Its type.
    pub proxy_type: ProxyType,
    /// Which one it is. An error matters only where a token is compared with it.
    pub identity: Result<Arc<NodeIdentity>, RequestError>,
}

impl ClaimedNode {
    /// What the node in `message` says of itself. `Ok(None)` is a proxy of a type that Kuma does not know.
    ///
    /// # Errors
    /// The message is not a request of this variant, has no node with an id, or its resource contradicts its
    /// type.
    pub fn of(variant: XdsVariant, message: &[u8]) -> Result<Option<Self>, RequestError> {
        Self::remembered(variant, message, None)
    }

    /// As [`ClaimedNode::of`]. A resource is looked for in `cache`, and kept there.
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

    /// What a node with metadata says of itself.
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
        // Kuma authenticates by the resource and serves by the name: they must agree. No name is that of a
        // dataplane to both.
        match named == Ok(parsed.proxy_type) {
            true => Ok(Some(Self::by_resource(parsed, id))),
            false => Err(RequestError::Resource),
        }
    }

    /// Of this type and node id alone.
    pub(super) fn by_id(proxy_type: ProxyType, id: &str) -> Self {
        let identity = mesh_and_name(proxy_type, id).map(|(mesh, name)| {
            let (mesh, name) = (mesh.to_owned(), name.to_owned());
            Arc::new(NodeIdentity { proxy_type, mesh, name, resource: None })
        });
        Self { proxy_type, identity }
    }

    /// Of this type, and nothing else is known.
    pub(super) fn nameless(proxy_type: ProxyType) -> Self {
        let (mesh, name) = (String::new(), String::new());
        let identity = NodeIdentity { proxy_type, mesh, name, resource: None };
        Self { proxy_type, identity: Ok(Arc::new(identity)) }
    }

    /// What a resource says, of this node id. The control plane authenticates by the resource, and serves what
    /// the id names (Kuma: `pkg/xds/server/callbacks`), so the two must agree.
    pub(super) fn by_resource(resource: Arc<NodeIdentity>, id: &str) -> Self {
        let proxy_type = resource.proxy_type;
        let identity = mesh_and_name(proxy_type, id).and_then(|by_id| {
            let is_same = by_id == (&resource.mesh, &resource.name);
            is_same.then_some(resource).ok_or(RequestError::NodeId)
        });
        Self { proxy_type, identity }
    }
}

/// What a node id says (Kuma: `ParseProxyIdFromString` in `pkg/core/xds/types.go`): `mesh.name`, with an empty
/// mesh for a zone proxy alone: no policy can revoke tokens of a mesh without a name.
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
