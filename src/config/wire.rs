//! The form in which a host hands over the plugin configuration.
//!
//! In: bytes. Out: JSON text. Envoy gives a `StringValue` as its text and, in current versions, a
//! `google.protobuf.Struct` as protobuf; older ones give the latter as JSON.

use std::borrow::Cow;

use prost::Message;
use prost_types::value::Kind;
use prost_types::{ListValue, Struct};
use serde_json::{Map, Number, Value};

/// `bytes` as JSON: what decodes as a Struct that holds something is one, all else is text.
pub(super) fn json(bytes: &[u8]) -> Cow<'_, [u8]> {
    match Struct::decode(bytes) {
        Ok(fields) if !bytes.starts_with(b"{") && !fields.fields.is_empty() => {
            Cow::Owned(object(fields).to_string().into_bytes())
        }
        _ => Cow::Borrowed(bytes),
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
