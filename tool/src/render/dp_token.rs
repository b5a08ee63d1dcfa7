//! Keys and revocations of dataplane tokens in a plugin configuration.
//!
//! In: the fields of a configuration, a mesh, and a key or revocations. Out: the fields with them, in `dpToken`. Its
//! other contents are kept; the filter's own code judges them.

use serde_json::{Map, Value, json};
use zonegate::token::PublicKey;

use super::base_error::DuplicateKid;
use super::written::pem;
use crate::plugin_config::{RevocationPlace, Revocations};

/// Adds a key, for every mesh if `mesh` is empty.
///
/// # Errors
/// The kid exists already, for this mesh: Kuma would silently use one of the keys.
pub(super) fn add_key(
    fields: &mut Map<String, Value>,
    mesh: &str,
    kid: &str,
    key: &PublicKey,
    place: &str,
) -> Result<(), DuplicateKid> {
    let token = fields.entry("dpToken").or_insert_with(|| json!({}));
    // The filter refuses a value that is not an object or not a list.
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

/// Adds these revocations for this mesh.
pub(super) fn revoke(fields: &mut Map<String, Value>, mesh: &str, more: Revocations) {
    let mut json = Value::Object(std::mem::take(fields));
    let place = RevocationPlace::Mesh(mesh.to_owned());
    let all = match place.value(&json) {
        None => more,
        Some(before) => Revocations::of(before.clone()).and(more),
    };
    let list = serde_json::to_value(all).unwrap_or_default();
    // The filter refuses a parent of the wrong form.
    let _ = place.set(&mut json, list);
    if let Value::Object(changed) = json {
        *fields = changed;
    }
}
