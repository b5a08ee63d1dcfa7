//! The form in which a host hands over the plugin configuration.
//!
//! In: bytes. Out: JSON text, and apart from it a long text that stood in it. Envoy gives a
//! `StringValue` as its text and, in current versions, a `google.protobuf.Struct` as protobuf; older
//! ones give the latter as JSON.

use bytes::Bytes;
use prost::Message;
use prost_types::value::Kind;
use prost_types::{ListValue, Struct};
use serde_json::{Map, Number, Value};

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
        let mut members = Map::new();
        for Field { name, value } in fields {
            let long = Text::of(&value).filter(|_| name == "revocations");
            let is_long = long.is_some();
            revocations = long.or(revocations);
            let value = if is_long { Value::String(String::new()) } else { json(&value)? };
            members.insert(name, value);
        }
        let json = Value::Object(members).to_string().into_bytes().into();
        Some(Self { json, revocations })
    }
}

fn json(encoded: &Bytes) -> Option<Value> {
    prost_types::Value::decode(encoded.as_ref()).ok().map(|decoded| value(decoded.kind))
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

fn object(Struct { fields }: Struct) -> Value {
    let members = fields.into_iter().map(|(name, field)| (name, value(field.kind)));
    Value::Object(members.collect::<Map<_, _>>())
}

fn value(kind: Option<Kind>) -> Value {
    match kind {
        None | Some(Kind::NullValue(_)) => Value::Null,
        Some(Kind::NumberValue(number)) => {
            Number::from_f64(number).map_or(Value::Null, Value::Number)
        }
        Some(Kind::StringValue(text)) => Value::String(text),
        Some(Kind::BoolValue(yes)) => Value::Bool(yes),
        Some(Kind::StructValue(fields)) => object(fields),
        Some(Kind::ListValue(ListValue { values })) => {
            Value::Array(values.into_iter().map(|item| value(item.kind)).collect())
        }
    }
}
