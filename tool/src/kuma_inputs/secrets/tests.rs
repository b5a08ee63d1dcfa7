#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // a test may panic

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use zonegate::token::{KeyError, NotPem};
use zonegate_issuer::SigningKeyError;

use super::*;
use crate::readers::SyntaxError;

const PRIVATE: &str = include_str!("../../../../tests/cmd/files.in/key.pem");
const PKCS8: &str = include_str!("../../../../tests/cmd/files.in/key-pkcs8.pem");
const PUBLIC: &str = include_str!("../../../../tests/cmd/files.in/public.pem");
const OTHER: &str = include_str!("../../../../tests/data/key-1.pub.pem");

fn secret(name: &str, data: impl AsRef<[u8]>) -> Value {
    json!({ "type": "GlobalSecret", "name": name, "data": STANDARD.encode(data) })
}

fn list(items: Vec<Value>) -> Value {
    json!({ "total": items.len(), "items": items, "next": null })
}

fn parse(value: &Value) -> Result<Secrets, SecretsError> {
    Secrets::parse(&value.to_string())
}

fn kids(secrets: &Secrets) -> Vec<(&str, &str)> {
    secrets.keys().map(|(kid, _, secret)| (kid, secret)).collect()
}

#[test]
fn a_signing_key_becomes_its_public_key() {
    let secrets = parse(&list(vec![
        secret("admin-user-token", "a.b.c"),
        secret("zone-token-signing-key", PRIVATE),
        secret("zone-token-signing-key-1", PRIVATE),
        secret("zone-token-signing-public-key-blue", OTHER),
        secret("zone-token-revocations", "id1,id2"),
    ]))
    .unwrap();
    let wanted = [
        ("0", "zone-token-signing-key"),
        ("1", "zone-token-signing-key-1"),
        ("blue", "zone-token-signing-public-key-blue"),
    ];
    assert_eq!(kids(&secrets), wanted);
    let public = PublicKey::from_pem(PUBLIC).unwrap();
    assert!(secrets.keys().take(2).all(|(_, key, _)| *key == public));
    assert_eq!((secrets.revocations(), secrets.others()), (Some("id1,id2"), 1));
    assert_eq!(secrets.skipped(), []);
    assert!(!format!("{secrets:?}").contains("PRIVATE"));
}

#[test]
fn a_key_may_be_der() {
    let der = |text: &str| pem::parse(text).unwrap().into_contents();
    let secrets = parse(&list(vec![
        secret("zone-token-signing-key-1", der(PRIVATE)),
        secret("zone-token-signing-public-key-2", der(PUBLIC)),
    ]))
    .unwrap();
    let public = PublicKey::from_pem(PUBLIC).unwrap();
    assert_eq!(secrets.keys().filter(|(_, key, _)| **key == public).count(), 2);
}

#[test]
fn kubernetes_secrets_are_read_alone_in_a_list_and_as_documents() {
    let manifest = |name: &str, field: &str, value: &str| {
        json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "type": KUBERNETES_TYPE,
            "metadata": { "name": name, "namespace": "kuma-system" },
            field: { "value": value },
        })
    };
    let key = manifest("zone-token-signing-key-1", "data", &STANDARD.encode(PRIVATE));
    let revocations = manifest("zone-token-revocations", "stringData", "id1");
    let in_a_list = json!({ "kind": "List", "metadata": {}, "items": [key, revocations] });
    let in_a_row = format!("---\n{key}\n---\n{{\"kind\": \"Namespace\"}}\n---\n{revocations}\n");
    for text in [in_a_list.to_string(), in_a_row] {
        let secrets = Secrets::parse(&text).unwrap();
        assert_eq!(kids(&secrets), [("1", "zone-token-signing-key-1")], "{text}");
        assert_eq!(secrets.revocations(), Some("id1"));
    }
    assert_eq!(kids(&parse(&key).unwrap()).len(), 1);
}

#[test]
fn a_secret_that_kuma_cannot_use_is_left_out_by_name() {
    let name = "zone-token-signing-key-1";
    let public = "zone-token-signing-public-key-1";
    let raw = |fields: Value| {
        let mut value = json!({ "type": "GlobalSecret", "name": name });
        value.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        value
    };
    for (value, wanted) in [
        (secret("zone-token-signing-key-0", PRIVATE), Unusable::NeverLookedUp),
        (secret("zone-token-signing-public-key-0", PUBLIC), Unusable::NeverLookedUp),
        (raw(json!({})), Unusable::NoData),
        (raw(json!({ "data": null })), Unusable::NoData),
        (raw(json!({ "data": "" })), Unusable::NoData),
        (raw(json!({ "data": "&&" })), Unusable::NotBase64),
        (raw(json!({ "data": ["a"] })), Unusable::NotBase64),
        (
            raw(json!({ "type": "Secret", "mesh": "m", "data": "" })),
            Unusable::NotGlobal("Secret".into()),
        ),
        (secret(name, PUBLIC), Unusable::SigningKey(SigningKeyError::PublicKey)),
        (secret(name, PKCS8), Unusable::SigningKey(SigningKeyError::Pkcs8InSecret)),
        (
            secret(name, STANDARD.encode(PRIVATE)),
            Unusable::SigningKey(SigningKeyError::NotPem(NotPem::Base64OfPem)),
        ),
        (secret(name, "x"), Unusable::SigningKey(SigningKeyError::NotPem(NotPem::Other))),
        (
            secret(name, [0x30, 6, 2, 1, 0, 2, 1, 7]),
            Unusable::SigningKey(SigningKeyError::Malformed { label: "RSA PRIVATE KEY, as DER" }),
        ),
        (secret(public, PRIVATE), Unusable::PublicKey(KeyError::PrivateKey)),
    ] {
        let secrets = parse(&value).unwrap();
        let why: Vec<_> = secrets.skipped().iter().map(|skipped| &skipped.why).collect();
        assert_eq!(why, [&wanted], "{value}");
        assert_eq!(secrets.keys().count(), 0);
    }
}

#[test]
fn the_secrets_of_a_kid_must_have_the_same_key() {
    let both = |public: &str| {
        parse(&list(vec![
            secret("zone-token-signing-key-1", PRIVATE),
            secret("zone-token-signing-public-key-1", public),
        ]))
    };
    assert_eq!(both(PUBLIC).unwrap().keys().count(), 1);
    let secrets =
        ["zone-token-signing-key-1".to_owned(), "zone-token-signing-public-key-1".to_owned()];
    assert_eq!(both(OTHER).unwrap_err(), SecretsError::TwoKeys { kid: "1".into(), secrets });
}

/// Without the revocations the gate would allow revoked tokens.
#[test]
fn revocations_that_may_be_incomplete_are_an_error() {
    let name = "zone-token-revocations";
    let no_base64 = json!({ "type": "GlobalSecret", "name": name, "data": "id1,id2" });
    let incomplete = |total| SecretsError::Incomplete { there: 1, total };
    let mut page = list(vec![secret(name, "a")]);
    page["total"] = json!(2);
    let mut more = list(vec![secret(name, "a")]);
    more["next"] = json!("http://127.0.0.1:5681/global-secrets?offset=1");
    let mut kubernetes = list(vec![secret(name, "a")]);
    kubernetes["metadata"] = json!({ "continue": "token" });
    for (value, wanted) in [
        (no_base64, SecretsError::Revocations(name.to_owned(), "its data are not base64")),
        (secret(name, [0xff]), SecretsError::Revocations(name.to_owned(), "it is not text")),
        (
            secret(name, PRIVATE),
            SecretsError::Revocations(name.to_owned(), "it holds a PEM block, and no ids"),
        ),
        (
            list(vec![secret(name, "a"), secret(name, "b")]),
            SecretsError::TwoRevocations(name.to_owned()),
        ),
        (page, incomplete(Some(2))),
        (more, incomplete(None)),
        (kubernetes, incomplete(None)),
    ] {
        assert_eq!(parse(&value).unwrap_err(), wanted, "{value}");
    }
    let twice = list(vec![secret(name, "a"), secret(name, "a")]);
    assert_eq!(parse(&twice).unwrap().revocations(), Some("a"));
    let empty = json!({ "type": "GlobalSecret", "name": name });
    assert_eq!(parse(&empty).unwrap().revocations(), Some(""));
}

#[test]
fn other_documents_are_named_by_their_place_and_not_repeated() {
    let place = |place: &str| SecretsError::NotAResource(place.to_owned());
    for (text, wanted) in [
        ("", SecretsError::Syntax(SyntaxError::Empty)),
        ("just secret words", place("it")),
        ("[1, 2]", place("it")),
        ("data: secret", place("it")),
        ("type: A\n---\nsecret", place("document 2")),
        ("items: [{type: A}, secret]", place("items[1]")),
    ] {
        let error = Secrets::parse(text).unwrap_err();
        assert_eq!(error, wanted, "{text:?}");
        assert!(!error.to_string().contains("secret"), "{error}");
    }
    assert_eq!(Secrets::parse("items: null\ntotal: 0").unwrap().keys().count(), 0);
}

#[test]
fn no_error_repeats_a_key() {
    for text in
        [PRIVATE.to_owned(), format!("data: {PRIVATE}"), format!("{{\"a\": \"{PRIVATE}\"}}")]
    {
        let error = Secrets::parse(&text).unwrap_err();
        let shown = format!("{error} {error:?}");
        assert!(!PRIVATE.lines().skip(1).any(|line| shown.contains(line)), "{shown}");
    }
}

#[test]
fn revocations_that_kuma_does_not_read_are_named_with_their_type() {
    let manifest = |name: &str, kind: &str| json!({ "kind": "Secret", "type": kind, "metadata": { "name": name }, "data": {} });
    let mut items = vec![
        secret("zone-token-signing-key-1", PRIVATE),
        json!({ "type": "Secret", "mesh": "default", "name": "zone-token-revocations", "data": "" }),
        manifest("zone-token-revocations", "Opaque"),
    ];
    let wrong =
        ["zone-ingress-token-revocations", "zone-token-revocation", "zone_token_revocations"];
    items.extend(wrong.map(|name| secret(name, "id1")));
    items.extend(
        ["user-token-revocations", "dataplane-token-revocations-default"]
            .map(|name| secret(name, "")),
    );
    // A secret that is given twice is reported once.
    items.push(manifest("zone-token-revocations", "Opaque"));
    let secrets = parse(&list(items)).unwrap();
    let said: Vec<String> = secrets.skipped().iter().map(ToString::to_string).collect();
    assert_eq!(said.len(), 5, "{said:?}");
    assert!(
        said[0].starts_with("secret zone-token-revocations is left out: it is of type \"Secret\""),
        "{said:?}"
    );
    assert!(
        said[1].contains("it is of type \"Opaque\", and Kuma reads it from a GlobalSecret alone"),
        "{said:?}"
    );
    for (said, name) in said[2..].iter().zip(wrong) {
        let wanted = format!(
            "secret {name} is left out: Kuma reads zone-token-revocations, and no secret of another name"
        );
        assert_eq!(*said, wanted);
    }
    assert_eq!((secrets.revocations(), secrets.others()), (None, 1));
}

#[test]
fn each_mesh_has_keys_and_revocations_of_its_own() {
    let of_mesh = |mesh: &str, name: &str, data: &str| json!({ "type": "Secret", "mesh": mesh, "name": name, "data": STANDARD.encode(data) });
    let manifest = json!({
        "kind": "Secret",
        "type": "system.kuma.io/secret",
        "metadata": { "name": "dataplane-token-signing-key-k8s-2", "labels": { "kuma.io/mesh": "k8s" } },
        "data": { "value": STANDARD.encode(PRIVATE) },
    });
    let secrets = parse(&list(vec![
        of_mesh("default", "dataplane-token-signing-key-default", PRIVATE),
        of_mesh("default", "dataplane-token-signing-key-default-blue-1", PRIVATE),
        // The kid is the text after the mesh of the secret.
        of_mesh("a-b", "dataplane-token-signing-key-a-b-1", PRIVATE),
        of_mesh("a", "dataplane-token-signing-key-a-b-1", PRIVATE),
        manifest,
        of_mesh("a", "dataplane-token-revocations-a", "id1"),
        secret("dataplane-token-revocations-a", "id2"),
        secret("dataplane-token-revocations-b", "id3"),
    ]))
    .unwrap();
    let keys: Vec<(&str, &str)> = secrets.mesh_keys().map(|(mesh, kid, ..)| (mesh, kid)).collect();
    assert_eq!(
        keys,
        [("a", "b-1"), ("a-b", "1"), ("default", "0"), ("default", "blue-1"), ("k8s", "2")]
    );
    let public = PublicKey::from_pem(PUBLIC).unwrap();
    assert!(secrets.mesh_keys().all(|(_, _, key, _)| *key == public));
    let revocations: Vec<(&str, &str)> = secrets.mesh_revocations().collect();
    assert_eq!(revocations, [("a", "id1"), ("a", "id2"), ("b", "id3")]);
    assert!(secrets.skipped().is_empty() && secrets.keys().next().is_none());
}

#[test]
fn secrets_that_kuma_does_not_read_for_a_mesh_are_left_out() {
    let of_mesh = |name: &str| json!({ "type": "Secret", "mesh": "a", "name": name, "data": STANDARD.encode(PRIVATE) });
    for (value, wanted) in [
        (
            secret("dataplane-token-signing-key-a-1", PRIVATE),
            Unusable::NotOfMesh("GlobalSecret".into()),
        ),
        (of_mesh("dataplane-token-signing-key-b-1"), Unusable::NotOfMesh("Secret".into())),
        (of_mesh("dataplane-token-signing-key-a-0"), Unusable::NeverLookedUp),
        (of_mesh("dataplane-token-revocations-b"), Unusable::NotOfMesh("Secret".into())),
    ] {
        let secrets = parse(&value).unwrap();
        let why: Vec<_> = secrets.skipped().iter().map(|skipped| skipped.why.clone()).collect();
        assert_eq!(why, [wanted], "{value}");
        assert_eq!(secrets.mesh_keys().count(), 0);
    }
}
