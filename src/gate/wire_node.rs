//! The node in a first message, as it is on the wire (`envoy/config/core/v3/base.proto`).
//!
//! In: the bytes of a message. Out: the three texts of its node that the gate needs. Only these are decoded, with the
//! same result as if prost decoded the whole message. The meaning of the texts is not known here.

use prost::encoding::WireType;

use super::XdsVariant;
use crate::protobuf::{Malformed, fields};

/// The fields of `envoy.config.core.v3.Node` that the gate needs. A field that is absent or not a string is empty, as
/// in Kuma.
#[derive(Default)]
pub(super) struct WireNode<'a> {
    pub(super) id: &'a str,
    /// `dataplane.proxyType` in its metadata.
    pub(super) proxy_type: &'a str,
    /// `dataplane.resource` in its metadata.
    pub(super) resource: &'a str,
}

impl<'a> WireNode<'a> {
    /// The node of a `envoy.service.discovery.v3.DiscoveryRequest` or `DeltaDiscoveryRequest`, or of a
    /// `envoy.service.health.v3.HealthCheckRequestOrEndpointHealthResponse`.
    pub(super) fn of(variant: XdsVariant, message: &'a [u8]) -> Result<Self, Malformed> {
        let mut node = Self::default();
        match variant {
            XdsVariant::Sotw => node.merge_from(2, message)?,
            XdsVariant::Delta => node.merge_from(1, message)?,
            XdsVariant::Hds => {
                for field in fields(message) {
                    let field = field?;
                    match field.number {
                        1 => node.merge_from(1, field.value()?)?,
                        // The other field of the oneof.
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

    /// A `google.protobuf.Struct`: a list of entries. Of several entries with one key, the last counts.
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

/// A `google.protobuf.Value`. `string` is its value if that is a string. Of several kinds in one value, the last
/// counts.
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

    /// A response in place of a request (`HealthCheckRequestOrEndpointHealthResponse` is a oneof).
    #[test]
    fn the_last_field_of_the_oneof_of_hds_counts() {
        // Field 1 with a node (field 1) whose id (field 1) is "a"; field 2, empty.
        let (request, response) = ([0x0a, 5, 0x0a, 3, 0x0a, 1, b'a'], [0x12, 0]);
        for (message, id) in [
            (&request[..], "a"),
            (&[&request[..], &response].concat(), ""),
            (&[&response[..], &request].concat(), "a"),
        ] {
            assert_eq!(WireNode::of(XdsVariant::Hds, message).map(|node| node.id), Ok(id));
        }
    }

    /// As prost refuses it.
    #[test]
    fn a_value_of_another_wire_type_is_refused() {
        // A node with metadata, with one entry whose value has the null value as bytes.
        let message = [0x12, 8, 0x1a, 6, 0x0a, 4, 0x12, 2, 0x0a, 0];
        assert_eq!(decoded(&message), None);
        assert!(WireNode::of(XdsVariant::Sotw, &message).is_err());
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
