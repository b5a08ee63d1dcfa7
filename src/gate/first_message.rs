//! The first message of a discovery stream, which says what proxy connects.
//!
//! In: the bytes of the request body. Out: how long the message is ([`Frame`]), and of a whole one
//! the [`ClaimedNode`] (Kuma: `pkg/core/xds/metadata.go`). The rest of the request is the control plane's
//! business.

use std::sync::Arc;

use prost::encoding::WireType;

use super::{MAX_BOOTSTRAP, NodeIdentity, ProxyType, RequestError, resource};
use crate::credential::ResourceCache;
use crate::protobuf::{Malformed, fields};

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
            XdsVariant::Sotw | XdsVariant::Delta => node.claimed(cache),
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

/// `envoy.config.core.v3.Node`, as far as it matters here; what is absent, or not a string, is empty, as
/// in Kuma.
#[derive(Default)]
struct WireNode<'a> {
    id: &'a str,
    /// `dataplane.proxyType` in its metadata.
    proxy_type: &'a str,
    /// `dataplane.resource` in its metadata.
    resource: &'a str,
}

impl<'a> WireNode<'a> {
    /// The node of a `envoy.service.discovery.v3.DiscoveryRequest` or `DeltaDiscoveryRequest`, or of a
    /// `envoy.service.health.v3.HealthCheckRequestOrEndpointHealthResponse`.
    fn of(variant: XdsVariant, message: &'a [u8]) -> Result<Self, Malformed> {
        let mut node = Self::default();
        match variant {
            XdsVariant::Sotw => node.merge_from(2, message)?,
            XdsVariant::Delta => node.merge_from(1, message)?,
            XdsVariant::Hds => {
                for field in fields(message) {
                    let field = field?;
                    match field.number {
                        1 => node.merge_from(1, field.value()?)?,
                        // The other one of the two that it can be.
                        2 => node = Self::default(),
                        _ => {}
                    }
                }
            }
        }
        Ok(node)
    }

    /// Takes the node from the field of this number.
    fn merge_from(&mut self, number: u32, message: &'a [u8]) -> Result<(), Malformed> {
        for field in fields(message) {
            let field = field?;
            if field.number == number {
                self.merge(field.value()?)?;
            }
        }
        Ok(())
    }

    fn claimed(self, cache: Option<&ResourceCache>) -> Result<Option<ClaimedNode>, RequestError> {
        let Self { id, proxy_type, resource } = self;
        let named = ProxyType::from_name(proxy_type);
        if resource.is_empty() {
            return Ok(named.ok().map(|proxy| ClaimedNode::by_id(proxy, id)));
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
            true => Ok(Some(ClaimedNode::by_resource(parsed, id))),
            false => Err(RequestError::Resource),
        }
    }

    fn merge(&mut self, node: &'a [u8]) -> Result<(), Malformed> {
        for field in fields(node) {
            let field = field?;
            match field.number {
                1 => self.id = field.text()?,
                3 => self.merge_metadata(field.value()?)?,
                _ => {}
            }
        }
        Ok(())
    }

    /// A `google.protobuf.Struct`: a list of entries, of a key the last one counts.
    fn merge_metadata(&mut self, metadata: &'a [u8]) -> Result<(), Malformed> {
        for entry in fields(metadata) {
            let entry = entry?;
            if entry.number != 1 {
                continue;
            }
            let (mut key, mut string) = ("", "");
            for field in fields(entry.value()?) {
                let field = field?;
                match field.number {
                    1 => key = field.text()?,
                    2 => merge_string(&mut string, field.value()?)?,
                    _ => {}
                }
            }
            match key {
                "dataplane.proxyType" => self.proxy_type = string,
                "dataplane.resource" => self.resource = string,
                _ => {}
            }
        }
        Ok(())
    }
}

/// A `google.protobuf.Value`, of which `string` is what it holds if that is a string: of the kinds that
/// it could be, the last one counts.
fn merge_string<'a>(string: &mut &'a str, value: &'a [u8]) -> Result<(), Malformed> {
    for field in fields(value) {
        let field = field?;
        *string = match (field.number, field.wire) {
            (3, _) => field.text()?,
            // null and bool, number, Struct and ListValue.
            (1 | 4, WireType::Varint)
            | (2, WireType::SixtyFourBit)
            | (5 | 6, WireType::LengthDelimited) => "",
            (1..=6, _) => return Err(Malformed),
            _ => continue,
        };
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::select;
    use prost::Message;
    use prost_types::value::Kind;
    use prost_types::{ListValue, Struct, Value};

    use super::*;

    /// The same messages, decoded as a whole.
    #[derive(Clone, PartialEq, prost::Message)]
    struct Request {
        #[prost(message, optional, tag = "2")]
        node: Option<WholeNode>,
        #[prost(string, tag = "4")]
        type_url: String,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    struct WholeNode {
        #[prost(string, tag = "1")]
        id: String,
        #[prost(message, optional, tag = "3")]
        metadata: Option<Struct>,
    }

    /// The same on the wire, but able to say everything twice.
    #[derive(Clone, PartialEq, prost::Message)]
    struct Written {
        #[prost(message, repeated, tag = "2")]
        nodes: Vec<WrittenNode>,
        #[prost(string, tag = "4")]
        type_url: String,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    struct WrittenNode {
        #[prost(string, repeated, tag = "1")]
        ids: Vec<String>,
        #[prost(message, repeated, tag = "3")]
        metadata: Vec<WrittenStruct>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    struct WrittenStruct {
        #[prost(message, repeated, tag = "1")]
        entries: Vec<WrittenEntry>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    struct WrittenEntry {
        #[prost(string, repeated, tag = "1")]
        keys: Vec<String>,
        #[prost(message, repeated, tag = "2")]
        values: Vec<Value>,
    }

    /// Id, proxy type and resource, by prost.
    fn decoded(message: &[u8]) -> Option<[String; 3]> {
        let node = Request::decode(message).ok()?.node.unwrap_or_default();
        let fields = node.metadata.unwrap_or_default().fields;
        let string = |name: &str| match fields.get(name).and_then(|value| value.kind.as_ref()) {
            Some(Kind::StringValue(text)) => text.clone(),
            _ => String::new(),
        };
        Some([node.id, string("dataplane.proxyType"), string("dataplane.resource")])
    }

    fn kind() -> impl Strategy<Value = Option<Kind>> {
        let string = |text: &str| Kind::StringValue(text.to_owned());
        let texts = ["ingress", "egress", "", "é", r#"{"type":"ZoneEgress"}"#].map(string);
        let inner = Struct {
            fields: [("dataplane.proxyType".to_owned(), Value { kind: Some(string("egress")) })]
                .into(),
        };
        let list = ListValue { values: vec![Value { kind: Some(string("ingress")) }] };
        let others = [
            Kind::NullValue(0),
            Kind::NumberValue(1.5),
            Kind::BoolValue(true),
            Kind::StructValue(inner),
            Kind::ListValue(list),
        ];
        prop::option::weighted(0.95, select([&texts[..], &others[..]].concat()))
    }

    fn written() -> impl Strategy<Value = Vec<u8>> {
        use prop::collection::vec;

        let keys = ["dataplane.proxyType", "dataplane.resource", "version", ""];
        let keys = vec(select(keys.to_vec()).prop_map(str::to_owned), 0..3);
        let values = vec(kind().prop_map(|kind| Value { kind }), 0..3);
        let entry = (keys, values).prop_map(|(keys, values)| WrittenEntry { keys, values });
        let metadata = vec(entry, 0..4).prop_map(|entries| WrittenStruct { entries });
        let ids = vec(select(vec!["", "node", "é"]).prop_map(str::to_owned), 0..3);
        let node =
            (ids, vec(metadata, 0..3)).prop_map(|(ids, metadata)| WrittenNode { ids, metadata });
        vec(node, 0..3)
            .prop_map(|nodes| Written { nodes, type_url: "t".to_owned() }.encode_to_vec())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4_000))]

        /// Also of messages that say things twice, and of damaged ones. What lies in nested values is
        /// not read, so it may be anything.
        #[test]
        fn a_node_is_what_prost_says(
            mut message in written(),
            damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3),
            length in prop::option::weighted(0.1, any::<prop::sample::Index>()),
        ) {
            for (index, byte) in damage {
                let at = index.index(message.len());
                message.splice(at..=at, [byte]).for_each(drop);
            }
            message.truncate(length.map_or(message.len(), |at| at.index(message.len())));
            let node = WireNode::of(XdsVariant::Sotw, &message);
            match (decoded(&message), node) {
                (Some(whole), Ok(node)) => {
                    prop_assert_eq!(whole, [node.id, node.proxy_type, node.resource].map(str::to_owned));
                }
                (Some(whole), Err(Malformed)) => prop_assert!(false, "refused: {:?}", whole),
                (None, _) => {}
            }
        }
    }
}
