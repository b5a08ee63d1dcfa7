#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // a test may panic

use serde_json::json;
use zonegate::config::Warning;
use zonegate::credential::Kind;
use zonegate::revocation::{OddKind, Oddity, Place};

use super::*;
use crate::readers::text;

const KEY: &str = include_str!("../../../tests/data/key-1.pub.pem");
const OTHER: &str = include_str!("../../../tests/cmd/files.in/public.pem");

fn lint(file: &Value) -> LintReport {
    let found = PluginConfiguration::find(file.to_string().as_bytes()).unwrap();
    LintReport::of(file, &found, &found.config().unwrap())
}

/// A configuration without findings, with some fields replaced.
fn with(fields: &Value) -> Value {
    let mut config = json!({ "zone": "z", "publicKeys": [{ "kid": "k", "key": OTHER }] });
    config.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    config
}

#[test]
fn nothing_is_odd_about_a_plain_configuration() {
    let lint = lint(&with(&json!({ "revocations": "a,b\n" })));
    assert_eq!(lint.warnings, []);
    assert_eq!((lint.keys.len(), lint.keys[0].bits, lint.revocations), (1, 2048, 2));
    assert_eq!(lint.settings["mode"], "enforce");
}

/// A warning of the filter whose first example is the first entry.
fn odd(oddity: Oddity, count: usize, example: &str) -> Finding {
    let place = Place { entry: 1, line: 1 };
    Finding::OfTheFilter(Warning::OddRevocations(
        "revocations".to_owned(),
        OddKind { oddity, count, example: example.to_owned(), place },
    ))
}

#[test]
fn odd_settings_are_found() {
    let uuid = "0193F4D2-6E8B-7C2A-9D1E-3B5F7A9C1E2D";
    let token = format!("eyJhbGciOiJSUzI1NiJ9.{}.x", "s".repeat(40));
    let keys = json!([{ "kid": "a", "key": OTHER }, { "kid": "b/c", "key": OTHER }]);
    for (fields, wanted) in [
        (
            json!({ "publicKeys": keys }),
            vec![
                Finding::SameKey(Kind::ZoneToken, ["a".into(), "b/c".into()]),
                Finding::KidNotALabel(Kind::ZoneToken, "b/c".into()),
            ],
        ),
        (
            json!({ "publicKeys": [{ "kid": "1", "key": KEY }] }),
            vec![Finding::ExampleKey(Kind::ZoneToken, "1".into())],
        ),
        (
            json!({ "revocations": "a,,b" }),
            vec![Finding::OfTheFilter(Warning::EmptyRevocation("revocations".to_owned()))],
        ),
        (json!({ "revocations": "" }), vec![]),
        (
            json!({ "revocationRules": [{ "kid": "k" }, { "kid": "k" }, { "zone": "y" }] }),
            vec![
                Finding::CoveredRule(1, 0),
                Finding::Rule(2, RuleDoubt::OtherZone("z".into(), "y".into())),
            ],
        ),
        (json!({ "revocations": "a, b" }), vec![Finding::NotAsKumaReads("revocations".into())]),
        (
            json!({ "revocations": "a,b,a,a" }),
            vec![Finding::RepeatedIds("revocations".into(), 1, "a".into())],
        ),
        (json!({ "revocations": "\"a\",'b" }), vec![odd(Oddity::Quoted, 2, "\"a\"")]),
        (json!({ "revocations": ["a,b", "c d", " e "] }), vec![odd(Oddity::Separator, 2, "a,b")]),
        (json!({ "revocations": "\u{feff}a" }), vec![Finding::ByteOrderMark("revocations".into())]),
        (json!({ "revocations": [token] }), vec![odd(Oddity::Token, 1, "")]),
        (
            json!({ "revocations": ["i".repeat(20_000)] }),
            vec![Finding::LongIds("revocations".into(), 1)],
        ),
        (json!({ "revocations": uuid }), vec![odd(Oddity::UpperCase, 1, uuid)]),
        (
            json!({ "revocations": "k" }),
            vec![Finding::KidRevoked("revocations".into(), "k".into())],
        ),
        (json!({ "mode": "shadow" }), vec![Finding::Shadow]),
        (
            json!({ "proxies": { "ingress": "deny", "egress": "deny" } }),
            vec![Finding::NobodyMayConnect],
        ),
        (json!({ "proxies": { "dataplane": "pass" } }), vec![Finding::DataplanePass]),
        (json!({ "bootstrap": "pass" }), vec![Finding::BootstrapPass]),
        (json!({ "requireExpiration": false }), vec![Finding::NoExpirationRequired]),
        (json!({ "leewaySeconds": 61 }), vec![Finding::Leeway(61)]),
        (json!({ "openStreams": { "onRevoked": "keep" } }), vec![Finding::RevokedKept]),
        (json!({ "maxTokenBytes": 65_536 }), vec![Finding::LongTokens(65_536)]),
    ] {
        assert_eq!(lint(&with(&fields)).warnings, wanted, "{fields}");
    }
    let no_zone = json!({ "publicKeys": [{ "kid": "k", "key": OTHER }] });
    assert_eq!(lint(&no_zone).warnings, [Finding::DefaultZone]);
}

#[test]
fn each_kind_of_token_has_its_own_place() {
    let dataplanes = json!({
        "publicKeys": [{ "kid": "d", "mesh": "m", "key": KEY }],
        "revocations": { "m": "d, a", "n": "b,b" },
    });
    let path = |mesh: &str| format!("dpToken.revocations.{mesh}");
    let fields = json!({ "proxies": { "dataplane": "dpToken" }, "dpToken": dataplanes });
    assert_eq!(
        lint(&with(&fields)).warnings,
        [
            Finding::ExampleKey(Kind::DataplaneToken, "m/d".into()),
            Finding::NotAsKumaReads(path("m")),
            Finding::KidRevoked(path("m"), "d".into()),
            Finding::RepeatedIds(path("n"), 1, "b".into()),
        ]
    );
    let unused = json!({ "dpToken": { "publicKeys": [{ "kid": "d", "key": OTHER }] } });
    assert_eq!(
        lint(&with(&unused)).warnings,
        [
            Finding::SharedKey(["k".into(), "*/d".into()]),
            Finding::OfTheFilter(Warning::UnusedKeys(Kind::DataplaneToken)),
        ]
    );
    // No proxy has a zone token, so the zone does not matter.
    let proxies = json!({ "ingress": "deny", "egress": "deny", "dataplane": "dpToken" });
    let no_zone = json!({
        "proxies": proxies,
        "dpToken": { "publicKeys": [{ "kid": "d", "key": OTHER }] },
    });
    assert_eq!(lint(&no_zone).warnings, []);
}

#[test]
fn a_token_among_the_ids_is_not_shown() {
    let token = format!("eyJhbGciOiJSUzI1NiJ9.{}.x", "s".repeat(40));
    let lint = lint(&with(&json!({ "revocations": [token, format!("\"{token}\"")] })));
    assert_eq!(lint.warnings, [odd(Oddity::Token, 2, "")]);
    assert!(!serde_json::to_string(&lint).unwrap().contains("ssss"));
}

#[test]
fn the_object_around_the_configuration_counts() {
    let (shipped, _) = text::value(include_bytes!("../../../envoy/ecds/zonegate.yaml")).unwrap();
    assert_eq!(lint(&shipped).warnings, [Finding::ExampleKey(Kind::ZoneToken, "1".into())]);
    let config = "/resources/0/typed_config/config";
    for (field, value, wanted) in [
        ("failure_policy", json!("FAIL_OPEN"), Finding::FailOpen),
        ("fail_open", json!(true), Finding::FailOpen),
        ("allow_on_headers_stop_iteration", json!(false), Finding::NoStopIteration),
        ("vm_config", json!({}), Finding::NoVmId),
    ] {
        let mut file = shipped.clone();
        file.pointer_mut(config).unwrap()[field] = value;
        assert_eq!(
            lint(&file).warnings,
            [Finding::ExampleKey(Kind::ZoneToken, "1".into()), wanted],
            "{field}"
        );
    }
    let open = json!({
        "kind": "WasmPlugin",
        "spec": { "failStrategy": "FAIL_OPEN", "pluginConfig": with(&json!({})) },
    });
    assert_eq!(lint(&open).warnings, [Finding::FailOpen, Finding::NoStopIteration]);
    // If the file cannot set the flag, the text names another way, which other files do not need.
    let closed = json!({ "kind": "WasmPlugin", "spec": { "pluginConfig": with(&json!({ "holdHeaders": false })) } });
    assert_eq!(lint(&closed).warnings, []);
    let mut file = shipped;
    file.pointer_mut(config).unwrap()["configuration"]["value"]["holdHeaders"] = json!(false);
    let wanted = [Finding::ExampleKey(Kind::ZoneToken, "1".into()), Finding::HeadersPass];
    assert_eq!(lint(&file).warnings, wanted);
}
