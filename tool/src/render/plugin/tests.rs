#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // a test may panic

use serde_json::json;
use zonegate::revocation::RevocationList;

use super::*;

const KEY: &str = include_str!("../../../../tests/data/key-1.pub.pem");

fn key() -> PublicKey {
    PublicKey::from_pem(KEY).unwrap()
}

#[test]
fn fields_that_are_not_made_here_go_through() {
    let base = json!({ "zone": "z", "mode": "shadow", "leewaySeconds": 5.0, "future": [1] });
    let mut plugin = Plugin::from_base(&base, "base.yaml").unwrap();
    plugin.add_key("k".into(), key(), "k.pem").unwrap();
    let mut wanted = base;
    wanted["leewaySeconds"] = json!(5);
    wanted["publicKeys"] = json!([{ "kid": "k", "key": KEY }]);
    assert_eq!(plugin.to_json(), wanted);
    let error = plugin.check().unwrap_err().to_string();
    assert!(error.starts_with("future: unknown field"), "{error}");
}

/// The filter and kuma-cp accept such a kid.
#[test]
fn a_kid_may_be_a_whole_number() {
    let base = json!({ "publicKeys": [{ "kid": 20, "key": KEY }, { "kid": 3.0, "key": KEY }] });
    let written = Plugin::from_base(&base, "base.yaml").unwrap().to_json();
    assert_eq!(written["publicKeys"][0]["kid"], "20");
    assert_eq!(written["publicKeys"][1]["kid"], "3");
}

#[test]
fn a_kid_in_two_places_names_both() {
    let base = json!({ "publicKeys": [{ "kid": "1", "key": KEY }] });
    let mut plugin = Plugin::from_base(&base, "base.yaml").unwrap();
    let error = plugin.add_key("1".into(), key(), "k.pem").unwrap_err();
    let wanted = "kid \"1\" occurs twice, with the same key: in base.yaml and in k.pem; remove one";
    assert_eq!(error.to_string(), wanted);
}

#[test]
fn a_base_of_the_wrong_form_is_refused_with_its_path() {
    for (base, wanted) in [
        (json!([]), "not a plugin configuration: no fields in it"),
        (json!({ "zone": 1 }), "zone: must be text: write it in quotes, \"1\""),
        (json!({ "publicKeys": {} }), "publicKeys: must be a list of kid and key"),
        (
            json!({ "publicKeys": [{ "kid": 1.5, "key": KEY }] }),
            "publicKeys[0].kid: must be text: write it in quotes, \"1.5\"",
        ),
        (json!({ "publicKeys": [{ "kid": "1" }] }), "publicKeys[0].key: is missing"),
        (json!({ "publicKeys": [{ "kid": "1", "key": "x" }] }), "publicKeys[0].key: not PEM"),
    ] {
        let error = Plugin::from_base(&base, "b").unwrap_err().to_string();
        assert!(error.starts_with(wanted), "{base}: {error}");
    }
}

#[test]
fn one_revocation_text_stays_as_it_is() {
    let mut plugin = Plugin::default();
    plugin.revoke(Revocations::Text("id1, id2\n".into()));
    assert_eq!(plugin.to_json()["revocations"], "id1, id2\n");
}

/// Two lists together revoke what either of them revokes.
#[test]
fn revocations_of_two_places_add_up() {
    for (text, probes) in [
        ("", &["", "x"][..]),
        ("id1,id2\n", &["id1", "id2", ""]),
        ("id1, id2", &["id1", "id2", " id2"]),
        ("id1\nid2", &["id1", "id2", "id1\nid2"]),
        ("id1,", &["id1", ""]),
        ("\n", &["", "id1"]),
    ] {
        let mut plugin = Plugin::default();
        plugin.revoke(Revocations::Text(text.into()));
        plugin.revoke(Revocations::Ids(vec!["more,one".into()]));
        let Some(Revocations::Ids(ids)) = plugin.revocations else { unreachable!() };
        let both = RevocationList::from_ids(ids.iter().map(String::as_str));
        assert!(both.contains("more,one") && !both.contains("more"));
        let alone = RevocationList::from_text(text.as_bytes()).unwrap();
        for probe in probes {
            assert_eq!(both.contains(probe), alone.contains(probe), "{text:?} {probe:?}");
        }
    }
}
