#![allow(clippy::unwrap_used)] // a test may panic

use serde_json::json;

use super::*;

const ECDS: &str = include_str!("../../../../envoy/ecds/zonegate.yaml");
const GATEWAY: &str = include_str!("../../../../envoy/gateway.yaml");

fn plugin() -> Value {
    let (ecds, _) = text::value(ECDS.as_bytes()).unwrap();
    ecds.pointer("/resources/0/typed_config/config/configuration/value").unwrap().clone()
}

/// A Wasm filter of Envoy.
fn filter(name: &str, configuration: Value) -> Value {
    json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
        "config": { "root_id": name, "configuration": configuration },
    })
}

fn structured(value: Value) -> Value {
    json!({ "@type": "type.googleapis.com/google.protobuf.Struct", "value": value })
}

fn find(file: &Value) -> Result<(String, Value), PluginFileError> {
    let found = PluginConfiguration::find(file.to_string().as_bytes())?;
    Ok((found.place, serde_json::from_slice(&found.json).unwrap()))
}

#[test]
fn the_shipped_file_is_found_and_honoured() {
    let found = PluginConfiguration::find(ECDS.as_bytes()).unwrap();
    assert_eq!(found.place, "resources[0].typed_config.config.configuration.value");
    assert_eq!(found.config().unwrap().policy.zone(), Some("default"));
}

#[test]
fn the_plugin_configuration_is_found_wherever_it_stands() {
    let (plugin, text) = (plugin(), plugin().to_string());
    let string = json!({ "@type": "x/google.protobuf.StringValue", "value": text });
    let listener = |filter: Value| json!({ "static_resources": { "listeners": [filter] } });
    let typed = json!({
        "type_url": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
        "value": { "config": { "configuration": structured(plugin.clone()) } },
    });
    let listeners = "static_resources.listeners[0]";
    for (file, place) in [
        (plugin.clone(), String::new()),
        (
            listener(filter("x", structured(plugin.clone()))),
            format!("{listeners}.config.configuration.value"),
        ),
        (listener(filter("x", string)), format!("{listeners}.config.configuration.value")),
        (listener(typed), format!("{listeners}.value.config.configuration.value")),
        (
            json!({ "kind": "WasmPlugin", "spec": { "pluginConfig": plugin } }),
            "spec.pluginConfig".to_owned(),
        ),
        (
            json!({ "kind": "EnvoyExtensionPolicy", "spec": { "wasm": [{ "config": plugin }] } }),
            "spec.wasm[0].config".to_owned(),
        ),
        (
            json!({ "kind": "EnvoyExtensionPolicy", "spec": { "dynamicModule": [
                { "name": "other", "config": { "a": 1 } },
                { "name": "zonegate", "config": plugin },
            ] } }),
            "spec.dynamicModule[1].config".to_owned(),
        ),
        (
            json!({ "kind": "List", "items": [{ "kind": "WasmPlugin", "spec": { "pluginConfig": plugin } }] }),
            "items[0].spec.pluginConfig".to_owned(),
        ),
        (
            json!({ "kind": "ConfigMap", "data": { "zonegate.yaml": ECDS, "other.txt": "x" } }),
            "data[\"zonegate.yaml\"].resources[0].typed_config.config.configuration.value"
                .to_owned(),
        ),
        (
            json!({ "kind": "ConfigMap", "data": { "policy.json": text } }),
            "data[\"policy.json\"]".to_owned(),
        ),
        // The form of Envoy's /config_dump.
        (
            json!({ "configs": [
                { "@type": "type.googleapis.com/envoy.admin.v3.BootstrapConfigDump" },
                {
                    "@type": "type.googleapis.com/envoy.admin.v3.EcdsConfigDump",
                    "ecds_filters": [{ "ecds_filter": {
                        "@type": "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig",
                        "name": "zonegate",
                        "typed_config": filter("zonegate", structured(plugin.clone())),
                    }}],
                },
            ]}),
            "configs[1].ecds_filters[0].ecds_filter.typed_config.config.configuration.value"
                .to_owned(),
        ),
    ] {
        assert_eq!(find(&file), Ok((place, plugin.clone())), "{file}");
    }
}

#[test]
fn among_several_filters_the_one_named_zonegate_is_meant() {
    let other = filter("other", structured(json!({ "a": 1 })));
    let ours = filter("zonegate", structured(plugin()));
    let found = find(&json!({ "resources": [other, ours] })).unwrap();
    assert_eq!(found.0, "resources[1].config.configuration.value");
    let places = ["resources[0].config.configuration", "resources[1].config.configuration"];
    let several = PluginFileError::Several(places.map(str::to_owned).into());
    assert_eq!(find(&json!({ "resources": [other, other] })), Err(several.clone()));
    assert_eq!(find(&json!({ "resources": [ours, ours] })), Err(several));
}

#[test]
fn files_without_a_plugin_configuration_are_refused_by_name() {
    let place = "resources[0].config.configuration".to_owned();
    let in_resources = |configuration| json!({ "resources": [filter("x", configuration)] });
    let other_type = json!({ "@type": "x/google.protobuf.BytesValue", "value": "" });
    for (file, wanted) in [
        (json!([]), PluginFileError::NotAnObject),
        (json!("text"), PluginFileError::NotAnObject),
        (json!({ "static_resources": {} }), PluginFileError::NoFilter),
        (json!({ "kind": "Secret", "data": {} }), PluginFileError::OtherKind(FileKind::Secrets)),
        (json!({ "dpServer": {} }), PluginFileError::OtherKind(FileKind::KumaCp)),
        (json!({ "kind": "ConfigMap" }), PluginFileError::OtherKind(FileKind::ConfigMap)),
        (
            json!({ "kind": "ConfigMap", "data": { "config.yaml": "dpServer: {}" } }),
            PluginFileError::OtherKind(FileKind::KumaCp),
        ),
        (
            json!({ "kind": "WasmPlugin" }),
            PluginFileError::NoConfiguration("spec.pluginConfig".into()),
        ),
        (in_resources(structured(json!(1))), PluginFileError::NoConfiguration(place.clone())),
        (
            in_resources(other_type),
            PluginFileError::OtherType { place, type_url: "x/google.protobuf.BytesValue".into() },
        ),
    ] {
        assert_eq!(find(&file), Err(wanted), "{file}");
    }
    let elsewhere = PluginFileError::Elsewhere("/etc/zonegate/ecds/zonegate.yaml".into());
    assert_eq!(PluginConfiguration::find(GATEWAY.as_bytes()), Err(elsewhere));
}

/// Envoy 1.40 turns these numbers in a Struct into text: `leewaySeconds: "5.0"`, `zone: "1.50"`.
#[test]
fn a_number_that_envoy_reads_as_text_is_refused_in_yaml_alone() {
    let ecds = |zone: &str| ECDS.replace("zone: default", &format!("zone: {zone}"));
    let place = "resources[0].typed_config.config.configuration".to_owned();
    for number in ["1.50", "1e3", "2147483648"] {
        let found = PluginConfiguration::find(ecds(number).as_bytes());
        assert_eq!(found, Err(PluginFileError::Number(place.clone())), "{number}");
    }
    let quoted = PluginConfiguration::find(ecds("\"1.50\"").as_bytes()).unwrap();
    assert_eq!(quoted.config().unwrap().policy.zone(), Some("1.50"));
    let (json, _) = text::value(ecds("1.50").as_bytes()).unwrap();
    assert!(PluginConfiguration::find(json.to_string().as_bytes()).is_ok());
    let plain = PluginConfiguration::find(b"zone: 1.50\npublicKeys: []\n").unwrap();
    assert!(plain.config().unwrap_err().to_string().starts_with("zone: invalid type"));
}

#[test]
fn an_error_of_the_filter_keeps_its_place() {
    let file = json!({ "resources": [filter("x", structured(json!({ "publicKeys": [] })))] });
    let error = PluginConfiguration::find(file.to_string().as_bytes()).unwrap().config();
    assert_eq!(
        error.unwrap_err().to_string(),
        "resources[0].config.configuration.value: publicKeys: at least one key is required: proxies of type ingress connect with zoneToken"
    );
}

#[test]
fn a_repeated_name_reaches_the_filters_own_reader() {
    let twice = br#"{"publicKeys":[],"zone":"a","zone":"b"}"#;
    let error = PluginConfiguration::find(twice).unwrap().config().unwrap_err();
    assert!(error.to_string().contains("duplicate field `zone`"), "{error}");
}
