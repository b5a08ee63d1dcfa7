//! Configurations that the host hands over as a `google.protobuf.Struct`.

use super::*;

#[test]
fn a_struct_is_read_like_the_json_it_stands_for() {
    use prost::Message;
    use prost_types::value::Kind;
    use prost_types::{ListValue, Struct, Value as Item};

    let item = |kind| Item { kind: Some(kind) };
    let text = |text: &str| item(Kind::StringValue(text.to_owned()));
    let object = |fields: Vec<(&str, Item)>| Struct {
        fields: fields.into_iter().map(|(name, field)| (name.to_owned(), field)).collect(),
    };
    let key = object(vec![("kid", text("1")), ("key", text(KEY_1))]);
    let keys = ListValue { values: vec![item(Kind::StructValue(key))] };
    let config = |leeway| {
        object(vec![
            ("publicKeys", item(Kind::ListValue(keys.clone()))),
            ("requireExpiration", item(Kind::BoolValue(false))),
            ("leewaySeconds", item(Kind::NumberValue(leeway))),
        ])
        .encode_to_vec()
    };
    let from_host = |bytes: &[u8]| Config::from_host(bytes.to_vec(), &RSA_CRATE);
    let policy = from_host(&config(7.0)).unwrap().policy;
    assert!(policy.issuers.zone_token.keys.contains("1") && !policy.require_expiration);
    assert_eq!(policy.leeway, Duration::from_secs(7));
    let error = from_host(&config(f64::INFINITY)).unwrap_err().to_string();
    assert!(error.starts_with("leewaySeconds: "), "{error}");
    assert!(from_host(valid().to_string().as_bytes()).is_ok());
    assert!(from_host(format!("\n{}", valid()).as_bytes()).is_ok());
    assert!(from_host(&Struct::default().encode_to_vec()).is_err());
}

/// `config` as a `google.protobuf.Struct`.
fn encoded(config: &Value) -> Vec<u8> {
    use prost::Message;
    use prost_types::value::Kind;
    use prost_types::{ListValue, Struct, Value as Item};

    fn item(json: &Value) -> Item {
        let kind = match json {
            Value::Null => Kind::NullValue(0),
            Value::Bool(yes) => Kind::BoolValue(*yes),
            Value::Number(number) => Kind::NumberValue(number.as_f64().unwrap()),
            Value::String(text) => Kind::StringValue(text.clone()),
            Value::Array(items) => {
                Kind::ListValue(ListValue { values: items.iter().map(item).collect() })
            }
            Value::Object(fields) => {
                let fields = fields.iter().map(|(name, field)| (name.clone(), item(field)));
                Kind::StructValue(Struct { fields: fields.collect() })
            }
        };
        Item { kind: Some(kind) }
    }

    let Kind::StructValue(fields) = item(config).kind.unwrap() else { panic!("not an object") };
    fields.encode_to_vec()
}

/// Revocations are taken out of a Struct without being decoded; the JSON beside it is the measure.
#[test]
fn revocations_in_a_struct_mean_what_they_mean_in_json() {
    const UUID: &str = "0123abcd-4567-89ef-0011-aabbccddeeff";
    let spaced = format!("{UUID} ");
    let longer = format!("{UUID}0");
    let probes = ["", "a", "b", "a,b", " a", "c d", UUID, &spaced, &longer];
    for revocations in [
        json!(""),
        json!("a,b"),
        json!(format!("a,{UUID}\n")),
        json!([]),
        json!([""]),
        json!(["a", " b", "a,b"]),
        json!([UUID, longer]),
        json!([spaced]),
        json!([longer, "a"]),
        json!(["a", 1.5]),
        json!([1.5, "a"]),
        json!(["a", null]),
        json!(["a", ["b"]]),
        json!(["a", {}]),
        json!(7.5),
        json!(null),
        json!({ "a": "b" }),
    ] {
        let config = with("revocations", revocations.clone());
        let from_struct = Config::from_host(encoded(&config), &RSA_CRATE);
        let from_json = Config::from_json(config.to_string().as_bytes());
        match (from_struct, from_json) {
            (Ok(one), Ok(other)) => {
                let (one, other) = (
                    one.policy.issuers.zone_token.revocations,
                    other.policy.issuers.zone_token.revocations,
                );
                assert_eq!(one.ids(), other.ids(), "{revocations}");
                for id in probes {
                    assert_eq!(one.contains(id), other.contains(id), "{revocations}: {id:?}");
                }
            }
            (Err(one), Err(other)) => {
                let without_place = |error: &ConfigError| {
                    let error = error.to_string();
                    error.split(" at line").next().unwrap().to_owned()
                };
                assert_eq!(without_place(&one), without_place(&other), "{revocations}");
            }
            (one, other) => panic!("{revocations}: {one:?}, and in JSON {other:?}"),
        }
    }
}

/// As in any protobuf map; Envoy never writes it.
#[test]
fn of_revocations_given_twice_the_last_counts() {
    let with_both = |first: Value, last: Value| {
        let last = encoded(&json!({ "revocations": last }));
        let bytes = [encoded(&with("revocations", first)), last].concat();
        Config::from_host(bytes, &RSA_CRATE)
    };
    for (first, last) in [(json!("a"), json!("b")), (json!("a"), json!(["b"]))] {
        let list = with_both(first, last).unwrap().policy.issuers.zone_token.revocations;
        assert!(list.contains("b") && !list.contains("a"));
    }
    let list =
        with_both(json!(["a", 1.5]), json!("b")).unwrap().policy.issuers.zone_token.revocations;
    assert!(list.contains("b") && !list.contains("a"));
    let error = with_both(json!("a"), json!(["b", 1.5])).unwrap_err().to_string();
    assert!(error.starts_with("revocations[1]: "), "{error}");
}

#[test]
fn an_id_in_a_struct_must_be_utf8() {
    let config =
        json!({ "publicKeys": [{ "kid": "1", "key": KEY_1 }], "revocations": ["a", "##"] });
    let bytes = encoded(&config);
    let at = bytes.windows(2).position(|pair| pair == b"##").unwrap();
    let mut broken = bytes.clone();
    *broken.get_mut(at).unwrap() = 0xff;
    assert!(Config::from_host(bytes, &RSA_CRATE).is_ok());
    let error = Config::from_host(broken, &RSA_CRATE).unwrap_err().to_string();
    assert!(error.starts_with("revocations: "), "{error}");
}
