//! The first message of an artificial discovery stream, state of the world.
//!
//! In: a proxy. Out: a `DiscoveryRequest` with only the fields of `node` that the filter reads (Kuma:
//! `pkg/xds/bootstrap/template_v3.go` writes the node).

use std::collections::BTreeMap;

use prost::Message;
use prost_types::{Struct, Value, value::Kind};
use zonegate::gate::ProxyType;

use super::proxy::Proxy;

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

/// The first message of `proxy`, of this type.
pub(super) fn first_message(proxy_type: ProxyType, proxy: &Proxy) -> Vec<u8> {
    let text = |text: String| Value { kind: Some(Kind::StringValue(text)) };
    let proxy_type_name = text(proxy_type.to_string());
    let mut fields = BTreeMap::from([("dataplane.proxyType".to_owned(), proxy_type_name)]);
    fields.extend(
        proxy
            .resource(proxy_type)
            .map(|resource| ("dataplane.resource".to_owned(), text(resource))),
    );
    // Nothing depends on the mesh of a zone proxy (Kuma: `pkg/xds/bootstrap/generator.go`).
    let mesh = match proxy_type {
        ProxyType::Dataplane => proxy.mesh.as_str(),
        ProxyType::Ingress | ProxyType::Egress => "",
    };
    let node = Node { id: format!("{mesh}.{}", proxy.name), metadata: Some(Struct { fields }) };
    DiscoveryRequest { node: Some(node) }.encode_to_vec()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a test may panic
mod tests {
    use zonegate::gate::{ClaimedNode, XdsVariant};

    use super::*;

    #[test]
    fn the_filter_reads_what_was_written() {
        let tags = vec![
            ("a".to_owned(), vec!["1".to_owned(), "2".to_owned()]),
            ("b".to_owned(), vec!["3".to_owned()]),
        ];
        let proxy = Proxy {
            name: "web.demo".into(),
            mesh: "east".into(),
            tags,
            workload: "w".into(),
            ..Proxy::default()
        };
        for proxy_type in ProxyType::ALL {
            let message = first_message(proxy_type, &proxy);
            let node = ClaimedNode::of(XdsVariant::Sotw, &message).unwrap().unwrap();
            let identity = node.identity.unwrap();
            assert_eq!((node.proxy_type, identity.name.as_str()), (proxy_type, "web.demo"));
            let (mut tags, workload) =
                identity.resource.clone().map(|it| (it.tags, it.workload)).unwrap_or_default();
            tags.sort_unstable();
            let tags: Vec<String> =
                tags.iter().map(|(tag, value)| format!("{tag}={value}")).collect();
            match proxy_type {
                ProxyType::Dataplane => {
                    assert_eq!((identity.mesh.as_str(), workload.as_deref()), ("east", Some("w")));
                    assert_eq!(tags, ["a=1", "a=2", "b=3"]);
                }
                ProxyType::Ingress | ProxyType::Egress => assert_eq!(identity.mesh, ""),
            }
        }
    }
}
