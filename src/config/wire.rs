//! The form in which a host hands over the plugin configuration.
//!
//! In: bytes. Out: JSON text, and apart from it a long text that stood in it. Envoy gives a
//! `StringValue` as its text and, in current versions, a `google.protobuf.Struct` as protobuf; older
//! ones give the latter as JSON.

use bytes::Bytes;
use prost::Message;
use prost_types::value::Kind;
use prost_types::{ListValue, Struct};
use serde::{Serialize, Serializer};

/// What a host handed over.
pub(super) struct Handed {
    /// The configuration, JSON.
    pub(super) json: Bytes,
    /// The text of `revocations`, taken out of it: a worker waits while it is read, and a million ids
    /// would be copied, written and read once more.
    pub(super) revocations: Option<Bytes>,
}

impl Handed {
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
            let mut decoded = prost_types::Value::default();
            match Text::of(&value).filter(|_| name == "revocations") {
                Some(text) => revocations = Some(text),
                None => decoded = prost_types::Value::decode(value.as_ref()).ok()?,
            }
            others.fields.insert(name, decoded);
        }
        if revocations.is_some() {
            others.fields.remove("revocations");
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

/// `google.protobuf.Value`, as far as it is a text.
#[derive(Clone, PartialEq, prost::Message)]
struct Text {
    #[prost(bytes = "bytes", optional, tag = "3")]
    text: Option<Bytes>,
}

impl Text {
    fn of(value: &Bytes) -> Option<Bytes> {
        Self::decode(value.clone()).ok()?.text
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
