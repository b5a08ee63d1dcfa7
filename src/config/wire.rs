//! The form in which a host hands over the plugin configuration.
//!
//! In: bytes. Out: JSON text, and apart from it a long text that stood in it. Envoy gives a
//! `StringValue` as its text and, in current versions, a `google.protobuf.Struct` as protobuf; older
//! ones give the latter as JSON.

use std::borrow::Cow;

use prost::Message;
use prost_types::value::Kind;
use prost_types::{ListValue, Struct};
use serde_json::{Map, Number, Value};

/// What a host handed over.
pub(super) struct Handed<'a> {
    /// The configuration, JSON.
    pub(super) json: Cow<'a, [u8]>,
    /// The text of `revocations`, taken out of it: a worker waits while it is read, and a million ids
    /// would be written and read once more.
    pub(super) revocations: Option<String>,
}

impl<'a> Handed<'a> {
    /// What decodes as a Struct that holds something is one, all else is text.
    pub(super) fn read(bytes: &'a [u8]) -> Self {
        let text = Self { json: Cow::Borrowed(bytes), revocations: None };
        if bytes.starts_with(b"{") {
            return text;
        }
        match Struct::decode(bytes) {
            Ok(fields) if !fields.fields.is_empty() => Self::from_struct(fields),
            _ => text,
        }
    }

    fn from_struct(mut fields: Struct) -> Handed<'static> {
        let revocations = fields.fields.get_mut("revocations").and_then(take_text);
        Handed { json: Cow::Owned(object(fields).to_string().into_bytes()), revocations }
    }
}

/// Leaves an empty text.
fn take_text(value: &mut prost_types::Value) -> Option<String> {
    match &mut value.kind {
        Some(Kind::StringValue(text)) => Some(std::mem::take(text)),
        _ => None,
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
