//! Inputs that an operator takes from Kuma: secrets, and the configuration of kuma-cp.
//!
//! In: output of kumactl or kubectl, or a configuration file of kuma-cp. Out: a panic, unless
//!
//! - keys and revocations mean the same once they are written as secrets and read again;
//! - errors do not repeat the contents of a secret;
//! - only the public half of a signing key is kept.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use zonegate::token::PublicKey;
use zonegate_tool::kuma_inputs::Secrets;
use zonegate_tool::kuma_inputs::control_plane::ControlPlane;
use zonegate_tool::readers::Document;

/// Shorter texts may be in an error by chance.
const CONTENTS: usize = 16;

/// See the module.
pub fn secrets(bytes: &[u8]) {
    if let Err(error) = ControlPlane::parse(bytes) {
        assert!(error.to_string().len() < 4_000);
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(mut control_plane) = ControlPlane::parse(b"mode: zone") {
        let _ = control_plane.override_by(text);
    }
    match Secrets::parse(text) {
        Ok(secrets) => {
            let said: Vec<String> = secrets.skipped().iter().map(ToString::to_string).collect();
            repeats_no_contents(text, &said.join("\n"));
            let lists = secrets.revocations().into_iter();
            let lists = lists.chain(secrets.mesh_revocations().map(|(_, text)| text));
            lists.for_each(|text| assert!(!text.contains("-----BEGIN "), "a key is taken for ids"));
            means_the_same(&secrets);
        }
        Err(error) => repeats_no_contents(text, &error.to_string()),
    }
}

/// Checks that `said` contains no data of a secret.
fn repeats_no_contents(text: &str, said: &str) {
    let Ok(documents) = Document::all(text) else { return };
    for document in documents.iter() {
        contents(document, &mut |contents| {
            // Errors may contain a text that occurs elsewhere too, such as a name, and words of Kuma.
            let is_elsewhere = text.matches(contents).count() > 1;
            let is_a_word = ["kuma", "oken", "ecret"].iter().any(|word| contents.contains(word));
            assert!(is_elsewhere || is_a_word || !said.contains(contents), "{said}");
        });
    }
}

fn contents(value: &Value, look: &mut impl FnMut(&str)) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                match field.as_str().filter(|_| matches!(name.as_str(), "data" | "value")) {
                    Some(text) if text.len() >= CONTENTS => look(text),
                    Some(_) | None => contents(field, look),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| contents(item, look)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Writes the secrets and reads them again, but for the keys of meshes: these have only signing keys, which are not
/// kept.
fn means_the_same(secrets: &Secrets) {
    let mut items = Vec::new();
    let keys = |secrets: &Secrets| -> Vec<(String, PublicKey)> {
        secrets.keys().map(|(kid, key, _)| (kid.to_owned(), key.clone())).collect()
    };
    for (kid, key) in keys(secrets) {
        let serial = if kid == "0" { String::new() } else { format!("-{kid}") };
        let pem = zonegate_issuer::spki_pem(&key);
        let name = format!("zone-token-signing-public-key{serial}");
        items.push(json!({ "type": "GlobalSecret", "name": name, "data": STANDARD.encode(pem) }));
    }
    let mut list = |kind: &str, mesh: &str, name: String, text: &str| {
        let data = STANDARD.encode(text);
        items.push(json!({ "type": kind, "mesh": mesh, "name": name, "data": data }));
    };
    if let Some(text) = secrets.revocations() {
        list("GlobalSecret", "", "zone-token-revocations".to_owned(), text);
    }
    let meshes: Vec<(&str, &str)> = secrets.mesh_revocations().collect();
    for (index, (mesh, text)) in meshes.iter().enumerate() {
        // The secret of the mesh comes before the global one.
        let has_both = index.checked_sub(1).is_some_and(|before| meshes[before].0 == *mesh);
        let kind = if has_both { "GlobalSecret" } else { "Secret" };
        list(kind, mesh, format!("dataplane-token-revocations-{mesh}"), text);
    }
    let again = Secrets::parse(&json!({ "items": items }).to_string()).unwrap();
    assert_eq!(again.skipped(), []);
    assert_eq!(keys(&again), keys(secrets));
    assert_eq!(again.revocations(), secrets.revocations());
    assert_eq!(again.mesh_revocations().collect::<Vec<_>>(), meshes);
}
