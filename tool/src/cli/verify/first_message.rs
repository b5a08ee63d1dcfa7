//! The first message of a made-up discovery stream, state of the world.
//!
//! In: what connects. Out: a `DiscoveryRequest` with the fields of `node` that the filter reads, and no
//! others (Kuma: `pkg/xds/bootstrap/template_v3.go` writes the node).

use std::collections::BTreeMap;

use prost::Message;
use prost_types::{Struct, Value, value::Kind};
use zonegate::gate::ProxyType;

/// `envoy.service.discovery.v3.DiscoveryRequest`.
#[derive(Clone, PartialEq, Message)]
struct DiscoveryRequest {
    #[prost(message, optional, tag = "2")]
    node: Option<Node>,
}

/// `envoy.config.core.v3.Node`.
#[derive(Clone, PartialEq, Message)]
struct Node {
    #[prost(string, tag = "1")]
    id: String,
    #[prost(message, optional, tag = "3")]
    metadata: Option<Struct>,
}

/// The first message of a `proxy`.
pub(super) fn first_message(proxy: ProxyType) -> Vec<u8> {
    let kind = Kind::StringValue(proxy.to_string());
    let proxy_type = ("dataplane.proxyType".to_owned(), Value { kind: Some(kind) });
    let metadata = Struct { fields: BTreeMap::from([proxy_type]) };
    let node = Node { id: ".zone-proxy".to_owned(), metadata: Some(metadata) };
    DiscoveryRequest { node: Some(node) }.encode_to_vec()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a test may panic
mod tests {
    use zonegate::gate::{ClaimedNode, XdsVariant};

    use super::*;

    #[test]
    fn the_filter_reads_what_was_written() {
        for proxy in [ProxyType::Ingress, ProxyType::Egress, ProxyType::Dataplane] {
            let node = ClaimedNode::of(XdsVariant::Sotw, &first_message(proxy)).unwrap().unwrap();
            assert_eq!(node.proxy_type, proxy);
        }
    }
}
