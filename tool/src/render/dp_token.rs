//! Keys and revocations of dataplane tokens in a plugin configuration.
//!
//! In: the fields of a configuration, a mesh, and a key or revocations. Out: the fields with them, in `dpToken`.
//! What else stands there stays as it is; whether it is good is for the filter's own code to say.

use serde_json::{Map, Value, json};
use zonegate::token::PublicKey;

use super::base_error::DuplicateKid;
use super::written::pem;
use crate::plugin_config::{RevocationPlace, Revocations};

/// Adds a key, for every mesh where `mesh` is empty.
///
/// # Errors
/// The kid is there already, for this mesh: Kuma would silently take one of the keys.
pub(super) fn add_key(
    fields: &mut Map<String, Value>,
    mesh: &str,
    kid: &str,
    key: &PublicKey,
    place: &str,
) -> Result<(), DuplicateKid> {
    let token = fields.entry("dpToken").or_insert_with(|| json!({}));
    // What is no object, or no list, the filter refuses.
    let Some(token) = token.as_object_mut() else { return Ok(()) };
    let keys = token.entry("publicKeys").or_insert_with(|| json!([]));
    let Some(keys) = keys.as_array_mut() else { return Ok(()) };
    let text = |item: &Value, name: &str| match item.get(name) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        _ => String::new(),
    };
    let is_it = |item: &&Value| text(item, "kid") == kid && text(item, "mesh") == mesh;
    if let Some(other) = keys.iter().find(is_it) {
        let other = PublicKey::from_pem(&text(other, "key"));
        return Err(DuplicateKid {
            kid: kid.to_owned(),
            places: ["dpToken.publicKeys".to_owned(), place.to_owned()],
            is_same_key: other.is_ok_and(|other| other == *key),
        });
    }
    keys.push(match mesh {
        "" => json!({ "kid": kid, "key": pem(key) }),
        mesh => json!({ "kid": kid, "mesh": mesh, "key": pem(key) }),
    });
    Ok(())
}

/// Revokes these too, in this mesh.
pub(super) fn revoke(fields: &mut Map<String, Value>, mesh: &str, more: Revocations) {
    let mut json = Value::Object(std::mem::take(fields));
    let place = RevocationPlace::Mesh(mesh.to_owned());
    let all = match place.value(&json) {
        None => more,
        Some(before) => Revocations::of(before.clone()).and(more),
    };
    let list = serde_json::to_value(all).unwrap_or_default();
    // What is in the way, the filter refuses.
    let _ = place.set(&mut json, list);
    if let Value::Object(changed) = json {
        *fields = changed;
    }
}
