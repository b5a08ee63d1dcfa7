//! Revoked ids, and rules that revoke.
//!
//! In: the text of the secret; or, if the first byte is a bracket, the JSON of `revocationRules`. Out: a panic, unless
//!
//! - every id that Kuma would read in the text is revoked;
//! - the gate's list, the tool's entries and both forms of a configuration agree;
//! - a list means the same once it is written and read again;
//! - rules revoke tokens in addition to ids, and mean the same once they are written and read again.

use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};

use prost::Message;
use prost_types::value::Kind as ProtoKind;
use serde_json::{Value, json};
use zonegate::config::Config;
use zonegate::credential::{Claims, Identity, Kind, Token, ZoneClaims};
use zonegate::gate::{Claimed, Now, Policy, ProxyType, RevocationRule, UnixTime};
use zonegate::revocation::{Entry, Oddity, RevocationList, entries};
use zonegate::token::NumericDate;

use crate::stand_in::{STAND_IN, key, pem};

/// The length of the longest token. No token has a longer id.
const MAX_ID: usize = 65_536;
const NOW: Now = Now(Some(UnixTime::from_secs(1_800_000_000)));

/// See the module.
pub fn revocations(bytes: &[u8]) {
    match bytes {
        [b'[', ..] => rules(bytes),
        _ => list(bytes),
    }
}

fn list(bytes: &[u8]) {
    let read = RevocationList::from_text(bytes);
    let Ok(text) = std::str::from_utf8(bytes) else {
        assert!(read.is_err());
        return;
    };
    let list = read.unwrap();
    let all: Vec<Entry<'_>> = entries(text).collect();
    for id in all.iter().map(|entry| entry.id).chain(ids_of_kuma(text)) {
        assert!(list.contains(id) || id.len() > MAX_ID, "{id:?}");
    }
    let ids: BTreeSet<&str> = all.iter().map(|entry| entry.id).collect();
    let counted = ids.iter().filter(|id| !matches!(**id, "" | Entry::BLANK));
    let (short, long): (Vec<&&str>, Vec<&&str>) = counted.partition(|id| id.len() <= MAX_ID);
    assert_eq!(
        list.ids(),
        short.len() + all.iter().filter(|entry| long.contains(&&entry.id)).count()
    );
    assert_eq!(list.has_empty_entry(), ids.contains(""));
    let odd = all.iter().filter(|entry| entry.oddity().is_some()).count();
    assert_eq!(list.odd().kinds().iter().map(|kind| kind.count).sum::<usize>(), odd);
    for kind in list.odd().kinds() {
        let line = kind.to_string();
        assert!(!line.chars().any(char::is_control), "{line:?}");
        assert!(kind.oddity != Oddity::Token || kind.example.is_empty(), "a token is repeated");
    }
    // A byte order mark at the start of the first id would be taken for that of the text.
    if all.first().is_some_and(|first| !first.id.starts_with('\u{feff}')) {
        let written: Vec<&str> = all.iter().map(|entry| entry.id).collect();
        let again = RevocationList::from_text((written.join(",") + "\n").as_bytes()).unwrap();
        assert!(ids.iter().all(|id| again.contains(id) || id.len() > MAX_ID));
        assert_eq!(again.ids(), list.ids());
    }
    in_configurations(text, &list, &ids);
}

/// The ids that kuma-cp reads in the text (`pkg/core/tokens/revocation.go`), without a lone byte order mark, which is
/// no id of a token.
fn ids_of_kuma(text: &str) -> impl Iterator<Item = &str> {
    let data = text.strip_suffix('\n').unwrap_or(text);
    let ids = (!text.is_empty()).then(|| data.split(','));
    ids.into_iter().flatten().filter(|id| *id != "\u{feff}")
}

/// The text is the same list in a configuration as JSON and as protobuf.
fn in_configurations(text: &str, list: &RevocationList, ids: &BTreeSet<&str>) {
    let config = json!({ "zone": "east", "publicKeys": [{ "kid": "1", "key": pem("1") }], "revocations": text });
    let as_json = Config::from_json(config.to_string().as_bytes()).unwrap().policy;
    let as_struct = struct_of(&config).encode_to_vec();
    let as_struct = Config::from_host(as_struct, &STAND_IN).unwrap().policy;
    for policy in [as_json, as_struct] {
        let read = &policy.issuers.zone_token.revocations;
        assert_eq!((read.ids(), read.odd()), (list.ids(), list.odd()));
        assert!(ids.iter().all(|id| read.contains(id) == list.contains(id)));
    }
}

/// A JSON object as a `google.protobuf.Struct`.
pub(crate) fn struct_of(object: &Value) -> prost_types::Struct {
    let fields = object.as_object().unwrap().iter();
    let fields = fields.map(|(name, value)| (name.clone(), value_of(value))).collect();
    prost_types::Struct { fields }
}

fn value_of(value: &Value) -> prost_types::Value {
    let kind = match value {
        Value::Null => ProtoKind::NullValue(0),
        Value::Bool(yes) => ProtoKind::BoolValue(*yes),
        Value::Number(number) => ProtoKind::NumberValue(number.as_f64().unwrap()),
        Value::String(text) => ProtoKind::StringValue(text.clone()),
        Value::Array(items) => {
            let values = items.iter().map(value_of).collect();
            ProtoKind::ListValue(prost_types::ListValue { values })
        }
        Value::Object(_) => ProtoKind::StructValue(struct_of(value)),
    };
    prost_types::Value { kind: Some(kind) }
}

fn with_rules(rules: &Value) -> Result<Policy, String> {
    let config = json!({
        "zone": "east",
        "publicKeys": [{ "kid": "1", "key": pem("1") }],
        "revocations": "id-1",
        "revocationRules": rules,
    });
    let read = Config::from_host(config.to_string().into_bytes(), &STAND_IN);
    read.map(|config| config.policy).map_err(|error| error.to_string())
}

/// Tokens that a rule may revoke.
static TOKENS: LazyLock<Vec<Arc<Token>>> = LazyLock::new(|| {
    let mut tokens = Vec::new();
    for (zone, id) in [("east", "id-1"), ("east", "id-2"), ("", "id-2")] {
        for issued_at in [None, Some(0), Some(1_790_000_000), Some(1_900_000_000)] {
            let identity = Identity {
                kind: Kind::ZoneToken,
                kid: "1".into(),
                key: key("1").fingerprint(),
                key_label: "1".into(),
                id: id.into(),
                zone: zone.into(),
                mesh: "".into(),
                name: "".into(),
                expires_at: Some(NumericDate(2_000_000_000)),
                issued_at: issued_at.map(NumericDate),
                pairs: "".into(),
            };
            let scope = vec!["ingress".to_owned()];
            let claims = Claims::Zone(ZoneClaims { zone: zone.to_owned(), scope });
            let identity = Arc::new(identity.described());
            tokens.push(Arc::new(Token { identity, not_before: None, length: 500, claims }));
        }
    }
    tokens
});

fn rules(bytes: &[u8]) {
    let Ok(given) = serde_json::from_slice::<Value>(bytes) else { return };
    let without = with_rules(&json!([])).unwrap();
    let with = match with_rules(&given) {
        Ok(policy) => policy,
        Err(error) => return assert!(error.starts_with("revocationRules"), "{error}"),
    };
    assert_eq!(with.revocation_rules.len(), given.as_array().unwrap().len());
    let node = zonegate::gate::ClaimedNode {
        proxy_type: ProxyType::Ingress,
        identity: Ok(Arc::new(zonegate::gate::NodeIdentity {
            proxy_type: ProxyType::Ingress,
            mesh: String::new(),
            name: "zone-proxy".to_owned(),
            resource: None,
        })),
    };
    let holder = Claimed::Proxy(Some(node));
    for token in TOKENS.iter() {
        let revoking = with.revocation_rules.iter().any(|rule| rule.revokes(&token.identity, NOW));
        let [before, after] =
            [&without, &with].map(|policy| policy.judge_again(token, &holder, NOW).is_ok());
        assert_eq!(after, before && !revoking, "{token:?}");
    }
    let again = Value::Array(with.revocation_rules.iter().filter_map(written).collect());
    if again.as_array().unwrap().len() == with.revocation_rules.len() {
        assert_eq!(with_rules(&again).unwrap().revocation_rules, with.revocation_rules);
    }
}

/// A rule as JSON; `None` if a time is outside the years with four digits.
fn written(rule: &RevocationRule) -> Option<Value> {
    let RevocationRule { zone, mesh, name, kid, issued_before, until, note } = rule;
    let mut fields = serde_json::Map::new();
    for (field, value) in [("zone", zone), ("mesh", mesh), ("name", name), ("kid", kid)] {
        fields.extend(value.as_ref().map(|value| (field.to_owned(), json!(value))));
    }
    let until = until.map(|until| i64::try_from(until.as_secs()).unwrap());
    for (field, time) in [("issuedBefore", issued_before.map(|date| date.0)), ("until", until)] {
        let Some(seconds) = time else { continue };
        if !(0..250_000_000_000).contains(&seconds) {
            return None;
        }
        let text = prost_types::Timestamp { seconds, nanos: 0 }.to_string();
        fields.insert(field.to_owned(), json!(text));
    }
    fields.insert("note".to_owned(), json!(note));
    Some(Value::Object(fields))
}
