//! The form in which a host hands over the plugin configuration.
//!
//! In: bytes. Out: JSON text, and apart from it the revocations that stood in it. Envoy gives a
//! `StringValue` as its text and, in current versions, a `google.protobuf.Struct` as protobuf; older
//! ones give the latter as JSON.

use bytes::Bytes;
use prost::Message;
use prost_types::value::Kind;
use prost_types::{ListValue, Struct};
use serde::{Serialize, Serializer};

use crate::protobuf::fields;

/// What a host handed over.
pub(super) struct HostConfig {
    /// The configuration, JSON.
    pub(super) json: Bytes,
    /// `revocations`, taken out of it: a worker waits while it is read, and a million ids would be
    /// copied, written and read once more.
    pub(super) revocations: Option<EncodedRevocations>,
}

/// `revocations`, still encoded.
pub(super) enum EncodedRevocations {
    /// One text.
    Text(Bytes),
    /// Texts.
    Ids(Ids),
}

impl HostConfig {
    /// What decodes as a Struct that holds something is one, all else is text.
    pub(super) fn read(bytes: Vec<u8>) -> Self {
        let bytes = Bytes::from(bytes);
        match Fields::decode(bytes.clone()) {
            Ok(Fields { fields }) if !bytes.starts_with(b"{") && !fields.is_empty() => {
                Self::from_fields(fields).unwrap_or(Self { json: bytes, revocations: None })
            }
            _ => Self { json: bytes, revocations: None },
        }
    }

    fn from_fields(fields: Vec<Field>) -> Option<Self> {
        let mut revocations = None;
        let mut others = Struct::default();
        for Field { name, value } in fields {
            if name == "revocations" {
                // Of a name that comes twice, the last one counts.
                revocations = EncodedRevocations::of(&value);
                if revocations.is_some() {
                    others.fields.remove(&name);
                    continue;
                }
            }
            others.fields.insert(name, prost_types::Value::decode(value.as_ref()).ok()?);
        }
        let json = serde_json::to_vec(&Object(&others)).ok()?.into();
        Some(Self { json, revocations })
    }
}

/// `google.protobuf.Struct`, its values still encoded: `Bytes` are not copied.
#[derive(Clone, PartialEq, prost::Message)]
struct Fields {
    #[prost(message, repeated, tag = "1")]
    fields: Vec<Field>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Field {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(bytes = "bytes", tag = "2")]
    value: Bytes,
}

impl EncodedRevocations {
    /// What `value`, a `google.protobuf.Value`, holds: a text, or a list of texts and nothing else.
    fn of(value: &Bytes) -> Option<Self> {
        if let Some(text) = only_field(value, STRING_VALUE) {
            return Some(Self::Text(value.slice_ref(text)));
        }
        let list = value.slice_ref(only_field(value, LIST_VALUE)?);
        let all_texts = texts(&list).all(|text| text.is_some());
        all_texts.then_some(Self::Ids(Ids(list)))
    }
}

/// A `google.protobuf.ListValue` of texts.
pub(super) struct Ids(Bytes);

impl Ids {
    pub(super) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        texts(&self.0).flatten()
    }
}

/// The texts of an encoded list; `None` is an item that is something else.
fn texts(list: &[u8]) -> impl Iterator<Item = Option<&[u8]>> {
    fields(list).map(|item| {
        let item = item.ok().filter(|item| item.number == VALUES)?;
        only_field(item.value().ok()?, STRING_VALUE)
    })
}

/// Field numbers of `google.protobuf.Value` and `ListValue`.
const STRING_VALUE: u32 = 3;
const LIST_VALUE: u32 = 6;
const VALUES: u32 = 1;

/// The value of the field of this number, where the message is that one field.
fn only_field(message: &[u8], number: u32) -> Option<&[u8]> {
    let mut fields = fields(message);
    match (fields.next(), fields.next()) {
        (Some(Ok(field)), None) if field.number == number => field.value().ok(),
        _ => None,
    }
}

/// A Struct as JSON.
struct Object<'a>(&'a Struct);

/// A Value as JSON.
struct Json<'a>(&'a prost_types::Value);

impl Serialize for Object<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.fields.iter().map(|(name, value)| (name, Json(value))))
    }
}

impl Serialize for Json<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0.kind {
            None | Some(Kind::NullValue(_)) => serializer.serialize_unit(),
            Some(Kind::NumberValue(number)) => serializer.serialize_f64(*number),
            Some(Kind::StringValue(text)) => serializer.serialize_str(text),
            Some(Kind::BoolValue(yes)) => serializer.serialize_bool(*yes),
            Some(Kind::StructValue(fields)) => Object(fields).serialize(serializer),
            Some(Kind::ListValue(ListValue { values })) => {
                serializer.collect_seq(values.iter().map(Json))
            }
        }
    }
}
