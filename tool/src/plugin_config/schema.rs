//! The plugin configuration as a JSON Schema.
//!
//! In: nothing. Out: the schema, and the settings of a configuration with the defaults of the schema. The tests compare
//! the schema with the filter's own reader, field by field and value by value. The filter decides.

use serde_json::{Map, Value};

/// The schema, JSON.
pub const SCHEMA: &str = include_str!("plugin.schema.json");

/// Fields that are not settings.
const LISTS: [&str; 4] = ["publicKeys", "useSecrets", "revocations", "generation"];

/// Every setting of `configuration` by its path, with defaults, in the order of the paths. Settings without a meaning
/// for its profile are left out.
pub fn settings(configuration: &Value) -> Vec<(String, Value)> {
    let schema: Value = serde_json::from_str(SCHEMA).unwrap_or_default();
    let mut settings = Vec::new();
    collect(&schema, Some(configuration), "", &mut settings);
    if configuration.get("profile") == schema.pointer("/if/properties/profile/const") {
        let meaningless = schema.pointer("/then/properties").and_then(Value::as_object);
        let is_meaningless = |path: &str| {
            let name = path.split('.').next().unwrap_or_default();
            meaningless.is_some_and(|fields| fields.contains_key(name))
        };
        settings.retain(|(path, _)| !is_meaningless(path));
    }
    settings
}

fn collect(schema: &Value, value: Option<&Value>, path: &str, settings: &mut Vec<(String, Value)>) {
    let empty = Map::new();
    let fields = schema.get("properties").and_then(Value::as_object).unwrap_or(&empty);
    for (name, field) in fields.iter().filter(|(name, _)| !LISTS.contains(&name.as_str())) {
        let value = value.and_then(|value| value.get(name));
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        match field.get("properties") {
            Some(_) => collect(field, value, &path, settings),
            None => {
                // A field without a default is not a setting if it is absent.
                let value = value.or_else(|| field.get("default")).cloned();
                settings.extend(value.map(|value| (path, whole(without_keys(value)))));
            }
        }
    }
}

/// Clusters without their JWK Sets, because keys are not settings.
fn without_keys(mut value: Value) -> Value {
    for item in value.as_array_mut().into_iter().flatten() {
        if let Some(fields) = item.as_object_mut() {
            fields.remove("jwks");
        }
    }
    value
}

/// `5.0` and `5` are the same setting.
pub(crate) fn whole(value: Value) -> Value {
    #[allow(clippy::cast_possible_truncation)] // in range, checked here
    match value.as_f64() {
        Some(number) if number.fract() == 0.0 && number.abs() < 9e15 => Value::from(number as i64),
        _ => value,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)] // a test may panic
mod tests {
    use std::collections::BTreeSet;

    use serde_json::json;
    use zonegate::config::Config;

    use super::*;

    fn schema() -> Value {
        serde_json::from_str(SCHEMA).unwrap()
    }

    /// A good configuration, with `value` at `path`.
    fn with(path: &str, value: &Value) -> Value {
        let key = include_str!("../../../tests/data/key-1.pub.pem");
        let mut config = json!({ "publicKeys": [{ "kid": "1", "key": key }] });
        if path.starts_with("dpToken.publicKeys.0") {
            config["dpToken"] = json!({ "publicKeys": [{ "kid": "1", "key": key }] });
        }
        if path.starts_with("revocationRules.0") {
            config["revocationRules"] = json!([{ "kid": "2" }]);
        }
        if path.starts_with("serviceAccountToken.issuers.0") {
            let cluster = json!({ "issuer": "x", "jwks": { "keys": [] } });
            config["serviceAccountToken"] = json!({ "issuers": [cluster] });
        }
        if !path.is_empty() {
            let place =
                path.split('.').fold(&mut config, |place, name| match name.parse::<usize>() {
                    Ok(index) => &mut place[index],
                    Err(_) => &mut place[name],
                });
            *place = value.clone();
        }
        config
    }

    fn read(config: &Value) -> Result<String, String> {
        let read = Config::from_json(config.to_string().as_bytes());
        read.map(|config| format!("{:?}", config.policy)).map_err(|error| error.to_string())
    }

    /// The names in backquotes that an error of the filter's reader lists as known.
    fn known(error: &str) -> BTreeSet<String> {
        let (_, list) = error.split_once("expected ").unwrap_or_default();
        list.split('`').skip(1).step_by(2).map(str::to_owned).collect()
    }

    fn objects(schema: &Value) -> Vec<(String, &Value)> {
        let mut objects = vec![(String::new(), schema)];
        objects.push(("publicKeys.0".to_owned(), &schema["properties"]["publicKeys"]["items"]));
        let rule = &schema["properties"]["revocationRules"]["items"];
        objects.push(("revocationRules.0".to_owned(), rule));
        let dp_token = &schema["properties"]["dpToken"]["properties"];
        objects.push(("dpToken.publicKeys.0".to_owned(), &dp_token["publicKeys"]["items"]));
        let service_account = &schema["properties"]["serviceAccountToken"]["properties"];
        objects.push((
            "serviceAccountToken.issuers.0".to_owned(),
            &service_account["issuers"]["items"],
        ));
        for (name, field) in schema["properties"].as_object().unwrap() {
            if field["type"] == "object" {
                objects.push((name.clone(), field));
            }
        }
        objects
    }

    #[test]
    fn the_schema_has_exactly_the_fields_that_the_filter_reads() {
        let schema = schema();
        for (path, object) in objects(&schema) {
            let unknown = if path.is_empty() { "x".to_owned() } else { format!("{path}.x") };
            let error = read(&with(&unknown, &json!(1))).unwrap_err();
            let fields = object["properties"].as_object().unwrap().keys().cloned().collect();
            assert_eq!(known(&error), fields, "{path}: {error}");
            assert_eq!(object["additionalProperties"], false, "{path}");
        }
    }

    #[test]
    fn the_schema_has_exactly_the_values_that_the_filter_takes() {
        let schema = schema();
        for (path, object) in objects(&schema) {
            for (name, field) in object["properties"].as_object().unwrap() {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                if let Some(values) = field["enum"].as_array() {
                    let error = read(&with(&path, &json!("x"))).unwrap_err();
                    let values: BTreeSet<String> =
                        values.iter().map(|value| value.as_str().unwrap().to_owned()).collect();
                    assert_eq!(known(&error), values, "{path}: {error}");
                }
                if let (Some(least), Some(most)) =
                    (field["minimum"].as_i64(), field["maximum"].as_i64())
                {
                    for (value, is_good) in
                        [(least - 1, false), (least, true), (most, true), (most + 1, false)]
                    {
                        assert_eq!(
                            read(&with(&path, &json!(value))).is_ok(),
                            is_good,
                            "{path}: {value}"
                        );
                    }
                }
                if let Some(default) = field.get("default") {
                    assert_eq!(read(&with(&path, default)), read(&with("", &json!(0))), "{path}");
                }
            }
        }
    }

    #[test]
    fn required_fields_are_required_by_the_filter() {
        assert!(read(&json!({})).unwrap_err().contains("publicKeys"));
        for field in ["kid", "key"] {
            let mut config = with("", &json!(0));
            config["publicKeys"][0].as_object_mut().unwrap().remove(field);
            assert!(read(&config).is_err(), "{field}");
        }
        for (path, value) in [
            ("publicKeys", json!([])),
            ("publicKeys.0.kid", json!("")),
            ("publicKeys.0.keyFile", json!("x")),
            ("useSecrets", json!(true)),
            ("zone", json!("")),
            ("revocations", json!(1)),
            ("requireExpiration", json!("x")),
        ] {
            assert!(read(&with(path, &value)).is_err(), "{path}");
        }
        for (path, value) in [
            ("useSecrets", json!(false)),
            ("publicKeys.0.keyFile", json!("")),
            ("revocations", json!("a")),
            ("revocations", json!(["a"])),
        ] {
            assert!(read(&with(path, &value)).is_ok(), "{path}");
        }
    }

    /// A field without a meaning for a profile is refused by both, and every other field is accepted.
    #[test]
    fn a_profile_has_its_fields() {
        let schema = schema();
        let meaningless = schema["then"]["properties"].as_object().unwrap();
        let of_that_profile = schema["else"]["properties"].as_object().unwrap();
        let profile = &schema["if"]["properties"]["profile"]["const"];
        for (name, field) in schema["properties"].as_object().unwrap() {
            let value = match (field["type"] == "object", name.as_str()) {
                (true, _) => json!({}),
                (_, "revocations") => json!(""),
                (_, "useSecrets") => json!(false),
                (_, "countZones") => json!([]),
                (_, "profile" | "publicKeys") => continue,
                _ => field["default"].clone(),
            };
            let mut config = with("profile", profile);
            config[name] = value;
            assert_eq!(read(&config).is_err(), meaningless.contains_key(name), "{name}");
            config.as_object_mut().unwrap().remove("profile");
            assert_eq!(read(&config).is_err(), of_that_profile.contains_key(name), "{name}");
        }
        let settings = settings(&with("profile", profile));
        assert!(settings.iter().all(|(path, _)| path != "zone" && path != "proxies.ingress"));
        assert!(settings.iter().any(|(path, _)| path == "openStreams.onRevoked"));
    }

    #[test]
    fn settings_are_those_given_and_the_defaults() {
        let config = json!({ "zone": "z", "leewaySeconds": 5.0, "proxies": { "egress": "deny" } });
        let settings = settings(&config);
        let of = |path: &str| settings.iter().find(|(other, _)| other == path).unwrap().1.clone();
        assert_eq!((of("zone"), of("leewaySeconds")), (json!("z"), json!(5)));
        assert_eq!(
            (of("proxies.egress"), of("proxies.ingress")),
            (json!("deny"), json!("zoneToken"))
        );
        assert_eq!(of("openStreams.cutWithinMilliseconds"), json!(500));
        assert!(settings.iter().all(|(_, value)| !value.is_null()));
    }
}
