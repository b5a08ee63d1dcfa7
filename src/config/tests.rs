#![allow(clippy::unwrap_used, clippy::panic)] // a test may panic

mod of_struct;
mod rules;

use serde_json::{Value, json};

use super::*;
use crate::gate::{
    Admission, BootstrapPolicy, DpServer, ErrorDetail, GlobalKds, Holding, Mode, OnOpen, Profile,
    Proxies,
};

const KEY_1: &str = include_str!("../../tests/data/key-1.pub.pem");

fn valid() -> Value {
    json!({ "publicKeys": [{ "kid": "1", "key": KEY_1 }] })
}

fn with(field: &str, value: Value) -> Value {
    let mut config = valid();
    config.as_object_mut().unwrap().insert(field.to_owned(), value);
    config
}

fn read(config: &Value) -> Result<Config, ConfigError> {
    Config::from_json(config.to_string().as_bytes())
}

/// With this rule behind a good one.
fn rule(rule: Value) -> Value {
    with("revocationRules", json!([{ "zone": "a" }, rule]))
}

const T: &str = "2026-11-27T09:30:00Z";

fn dp_server(policy: &Policy) -> &DpServer {
    let Profile::DpServer(server) = &policy.profile else { panic!("{:?}", policy.profile) };
    server
}

#[test]
fn defaults_are_those_of_the_contract() {
    let policy = read(&valid()).unwrap().policy;
    let server = dp_server(&policy);
    assert_eq!(server.zone, "default");
    let (ingress, egress) = (Admission::Token(Kind::ZoneToken), Admission::Token(Kind::ZoneToken));
    assert_eq!(server.proxies, Proxies { ingress, egress, dataplane: Admission::Deny });
    assert_eq!(server.bootstrap, BootstrapPolicy::Verify);
    assert!(policy.require_expiration);
    assert_eq!(policy.leeway, Duration::ZERO);
    assert_eq!(policy.max_token_bytes, 16_384);
    assert_eq!(server.first_message, Duration::from_secs(10));
    assert_eq!(policy.error_detail, ErrorDetail::Reason);
    assert!(
        policy.issuers.zone_token.revocations.ids() == 0
            && !policy.issuers.zone_token.revocations.has_empty_entry()
    );
    assert_eq!(policy.mode, Mode::Enforce);
    let kept = OnOpen::Keep;
    let wanted = OpenStreams {
        on_revoked: OnOpen::Cut,
        on_key_removed: kept,
        on_expired: kept,
        on_enforce: kept,
    };
    assert_eq!(policy.open_streams, wanted);
    assert_eq!(policy.cut_within, Duration::from_millis(500));
}

#[test]
fn every_field_is_read() {
    let config = json!({
        "profile": "dpServer",
        "zone": "us-east",
        "publicKeys": [{ "kid": "key-1", "key": KEY_1, "keyFile": "" }],
        "useSecrets": false,
        "revocations": "id1,id2",
        "proxies": { "ingress": "deny", "egress": "deny", "dataplane": "pass" },
        "bootstrap": "deny",
        "requireExpiration": false,
        "leewaySeconds": 5.0,
        "maxTokenBytes": 512,
        "firstMessageSeconds": 1,
        "holdHeaders": false,
        "mode": "shadow",
        "openStreams": {
            "onRevoked": "keep",
            "onKeyRemoved": "cut",
            "onExpired": "cut",
            "onEnforce": "cut",
            "cutWithinMilliseconds": 0,
        },
        "errorDetail": "none",
        "generation": "2026-11-27T02:00:00Z",
    });
    let policy = read(&config).unwrap().policy;
    let server = dp_server(&policy);
    assert_eq!(server.zone, "us-east");
    assert!(policy.issuers.zone_token.keys.contains("key-1"));
    assert!(
        policy.issuers.zone_token.revocations.contains("id1")
            && policy.issuers.zone_token.revocations.contains("id2")
    );
    let (ingress, egress) = (Admission::Deny, Admission::Deny);
    assert_eq!(server.proxies, Proxies { ingress, egress, dataplane: Admission::Pass });
    assert_eq!(server.bootstrap, BootstrapPolicy::Deny);
    assert!(!policy.require_expiration);
    assert_eq!(policy.leeway, Duration::from_secs(5));
    assert_eq!(policy.max_token_bytes, 512);
    assert_eq!(server.first_message, Duration::from_secs(1));
    assert_eq!(server.holding, Holding::Body);
    assert_eq!(policy.error_detail, ErrorDetail::None);
    assert_eq!(policy.mode, Mode::Shadow);
    let cut = OnOpen::Cut;
    let wanted = OpenStreams {
        on_revoked: OnOpen::Keep,
        on_key_removed: cut,
        on_expired: cut,
        on_enforce: cut,
    };
    assert_eq!(policy.open_streams, wanted);
    assert_eq!(policy.cut_within, Duration::ZERO);
    // A host that can hold everything says so.
    let mut policy = policy;
    policy.hold_everything();
    assert_eq!(policy.holding(), Holding::Everything);
}

#[test]
fn in_front_of_kds_what_would_mean_nothing_is_refused() {
    let kds = with("profile", json!("globalKds"));
    let none = Profile::GlobalKds(GlobalKds::default());
    assert_eq!(read(&kds).unwrap().policy.profile, none);
    // Also where it says what would be the default elsewhere.
    for (field, value) in [
        ("zone", json!("default")),
        ("proxies", json!({})),
        ("bootstrap", json!("verify")),
        ("firstMessageSeconds", json!(10)),
        ("holdHeaders", json!(true)),
    ] {
        let mut config = kds.clone();
        config.as_object_mut().unwrap().insert(field.to_owned(), value);
        let error = read(&config).unwrap_err().to_string();
        let wanted = format!("{field}: means nothing with profile globalKds: ");
        assert!(error.starts_with(&wanted), "{error}");
    }
}

#[test]
fn the_zones_that_are_counted_are_names_of_zones() {
    let kds = |zones: Value| {
        let mut config = with("profile", json!("globalKds"));
        config.as_object_mut().unwrap().insert("countZones".to_owned(), zones);
        read(&config).map_err(|error| error.to_string())
    };
    let config = kds(json!(["west", "East"])).unwrap();
    let zones: Vec<&str> = config.policy.counted_zones().map(|zone| &**zone).collect();
    assert_eq!(zones, ["East", "west"]);
    assert!(config.policy.counted_zone(b"west").is_some());
    assert!(config.policy.counted_zone(b"WEST").is_none());
    let warnings: Vec<String> = config.warnings.iter().map(ToString::to_string).collect();
    let is_of_east = |warning: &String| warning.starts_with("countZones: \"East\": ");
    assert!(warnings.len() == 1 && warnings.iter().all(is_of_east), "{warnings:?}");
    let many =
        |count: u32| json!((0..count).map(|number| format!("z{number}")).collect::<Vec<_>>());
    assert!(kds(many(1_000)).is_ok());
    for (zones, wanted) in [
        (many(1_001), "countZones: 1001 zones: must be 1000 at most"),
        (json!(["east", "us east"]), "countZones[1]: \"us east\": kuma-cp takes no such name"),
        (json!(["east", ""]), "countZones[1]: must not be empty"),
        (json!(["east", "west", "east"]), "countZones[2]: it occurs twice"),
        (json!("east"), "countZones: invalid type: string"),
        (json!(null), "countZones: invalid type: null"),
    ] {
        let error = kds(zones).unwrap_err();
        assert!(error.starts_with(wanted), "{error}");
    }
    let error = read(&with("countZones", json!([]))).unwrap_err().to_string();
    assert!(error.starts_with("countZones: means nothing with profile dpServer: "), "{error}");
}

#[test]
fn revocations_may_be_a_list() {
    let config = read(&with("revocations", json!(["id1", "id2"]))).unwrap();
    assert_eq!(config.policy.issuers.zone_token.revocations.ids(), 2);
    assert_eq!(config.warnings, []);
}

#[test]
fn an_empty_revocation_is_warned_about() {
    for revocations in [json!("id1,"), json!("\n"), json!([""])] {
        let config = read(&with("revocations", revocations)).unwrap();
        assert_eq!(config.warnings, [Warning::EmptyRevocation("revocations".to_owned())]);
    }
}

/// As kuma-cp's reader takes them.
#[test]
fn a_kid_may_be_a_whole_number() {
    for (kid, wanted) in
        [(json!(1), "1"), (json!(-1), "-1"), (json!(20.0), "20"), (json!("01"), "01")]
    {
        let config = read(&json!({ "publicKeys": [{ "kid": kid, "key": KEY_1 }] })).unwrap();
        assert!(config.policy.issuers.zone_token.keys.get(wanted).is_some(), "{kid}");
    }
}

/// Each bad configuration with the start of its error.
#[test]
fn what_cannot_be_honoured_is_refused_with_its_path() {
    let no_key = |key: Value| json!({ "publicKeys": [{ "kid": "1", "key": KEY_1 }, key] });
    for (config, wanted) in [
        (json!(null), "the configuration is not a JSON object"),
        (json!([]), "the configuration is not a JSON object"),
        (
            json!({}),
            "publicKeys: at least one key is required: proxies of type ingress connect with zoneToken",
        ),
        (json!({ "publicKeys": [] }), "publicKeys: at least one key"),
        (json!({ "publicKeys": "x" }), "publicKeys: invalid type: string"),
        (no_key(json!({})), "publicKeys[1]: missing field `kid`"),
        (no_key(json!({ "kid": 1, "key": KEY_1 })), "publicKeys[1].kid: \"1\" occurs twice"),
        (no_key(json!({ "kid": 1.5, "key": KEY_1 })), "publicKeys[1].kid: invalid value: floating"),
        (
            no_key(json!({ "kid": 1e16, "key": KEY_1 })),
            "publicKeys[1].kid: invalid value: floating",
        ),
        (no_key(json!({ "kid": true, "key": KEY_1 })), "publicKeys[1].kid: invalid type: boolean"),
        (no_key(json!({ "kid": null, "key": KEY_1 })), "publicKeys[1].kid: invalid type: null"),
        (no_key(json!({ "kid": "", "key": KEY_1 })), "publicKeys[1].kid: must not be empty"),
        (no_key(json!({ "kid": "1", "key": KEY_1 })), "publicKeys[1].kid: \"1\" occurs twice"),
        (no_key(json!({ "kid": "2" })), "publicKeys[1].key: not PEM"),
        (no_key(json!({ "kid": "2", "key": "x" })), "publicKeys[1].key: not PEM"),
        (no_key(json!({ "kid": "2", "keyFile": "/k.pem" })), "publicKeys[1].keyFile: the gate"),
        (no_key(json!({ "kid": "2", "key": KEY_1, "alg": 1 })), "publicKeys[1].alg: unknown field"),
        (with("useSecrets", json!(true)), "useSecrets: the gate has no access"),
        (with("zone", json!("")), "zone: must not be empty"),
        (with("zone", json!(null)), "zone: invalid type: null"),
        (with("profile", json!("kds")), "profile: unknown variant `kds`"),
        (with("proxies", json!(null)), "proxies: invalid type: null"),
        (with("mode", json!("off")), "mode: unknown variant `off`"),
        (
            with("openStreams", json!({ "onRevoked": "x" })),
            "openStreams.onRevoked: unknown variant",
        ),
        (rule(json!({})), "revocationRules[1]: revokes nothing: give"),
        (rule(json!({ "note": "n", "until": T })), "revocationRules[1]: revokes nothing: give"),
        (rule(json!({ "zone": "" })), "revocationRules[1].zone: must not be empty"),
        (rule(json!({ "kid": "" })), "revocationRules[1].kid: must not be empty"),
        (rule(json!({ "zone": "a", "mesh": "b" })), "revocationRules[1]: no token has a zone and"),
        (rule(json!({ "zone": "a", "name": "b" })), "revocationRules[1]: no token has a zone and"),
        (rule(json!({ "zone": "a", "id": "b" })), "revocationRules[1].id: unknown field"),
        (rule(json!({ "issuedBefore": 1 })), "revocationRules[1].issuedBefore: invalid type"),
        (rule(json!({ "zone": "a", "until": "soon" })), "revocationRules[1].until: must be a time"),
        (
            with("revocationRules", Value::from(vec![json!({ "zone": "a" }); 1_001])),
            "revocationRules: 1001 rules: at most 1000",
        ),
        (with("openStreams", json!({ "onDeath": "cut" })), "openStreams.onDeath: unknown field"),
        (
            with("openStreams", json!({ "cutWithinMilliseconds": 60_001 })),
            "openStreams.cutWithinMilliseconds: 60001: must be from",
        ),
        (with("Zone", json!("x")), "Zone: unknown field"),
        (with("revocations", json!(1)), "revocations: invalid type: integer"),
        (with("revocations", json!(["a", 1])), "revocations[1]: invalid type: integer"),
        (with("proxies", json!({ "ingress": "pass" })), "proxies.ingress: unknown variant `pass`"),
        (with("proxies", json!({ "sidecar": "pass" })), "proxies.sidecar: unknown field"),
        (with("bootstrap", json!("off")), "bootstrap: unknown variant `off`"),
        (with("requireExpiration", json!("no")), "requireExpiration: invalid type: string"),
        (with("leewaySeconds", json!(301)), "leewaySeconds: 301: must be from 0 to 300"),
        (with("leewaySeconds", json!(-1)), "leewaySeconds: invalid value"),
        (with("leewaySeconds", json!(0.5)), "leewaySeconds: invalid value"),
        (with("maxTokenBytes", json!(511)), "maxTokenBytes: 511: must be from"),
        (with("maxTokenBytes", json!(1e300)), "maxTokenBytes: invalid value"),
        (with("firstMessageSeconds", json!(0)), "firstMessageSeconds: 0: must be from 1"),
        (with("errorDetail", json!("full")), "errorDetail: unknown variant `full`"),
    ] {
        let error = read(&config).unwrap_err().to_string();
        assert!(error.starts_with(wanted), "{config}\n  gave   {error}\n  wanted {wanted}");
    }
}

#[test]
fn a_text_that_is_no_json_is_refused() {
    for text in ["", "  ", "{", "zone: a", "{} {}", "\u{0}"] {
        assert!(Config::from_json(text.as_bytes()).is_err(), "{text:?}");
    }
    assert!(Config::from_json(&[0xff, 0xfe]).is_err());
    let mut twice = valid().to_string();
    twice.push_str("{}");
    assert!(Config::from_json(twice.as_bytes()).is_err());
}

#[test]
fn a_field_given_twice_is_refused() {
    let text = valid().to_string().replacen('{', r#"{"zone":"a","zone":"b","#, 1);
    let error = Config::from_json(text.as_bytes()).unwrap_err().to_string();
    assert!(error.contains("duplicate field `zone`"), "{error}");
}
