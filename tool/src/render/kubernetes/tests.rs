#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // a test may panic

use super::*;
use crate::plugin_config::plugin_file::PluginConfiguration;

fn plugin() -> Plugin {
    let key = include_str!("../../../../tests/data/key-1.pub.pem");
    let base = json!({ "zone": "z", "publicKeys": [{ "kid": "1", "key": key }] });
    Plugin::from_base(&base, "base").unwrap()
}

/// The policy for gateways where headers cannot be held.
fn without_headers() -> Value {
    let mut plugin = plugin().to_json();
    plugin["holdHeaders"] = json!(false);
    plugin
}

fn target(url: &str) -> Target {
    Target {
        name: "zonegate".into(),
        namespace: Some("kuma-system".into()),
        module_url: url.into(),
        module_sha256: Some("ab".repeat(32)),
        module: None,
        gateway: Some("edge".into()),
        listener: Some("kuma".into()),
        port: Some(5678),
        selector: BTreeMap::new(),
    }
}

fn read(text: &str) -> Vec<Value> {
    serde_saphyr::from_multiple(text).unwrap()
}

fn kinds(documents: &[Value]) -> Vec<&str> {
    documents.iter().map(|one| one["kind"].as_str().unwrap()).collect()
}

#[test]
fn a_wasm_plugin_has_what_istio_wants() {
    let mut target = target("oci://example.org/zonegate:1");
    target.gateway = None;
    target.selector = [("istio".into(), "ingressgateway".into())].into();
    let bundle = wasm_plugin(&plugin(), &target).unwrap();
    let documents = read(&bundle.text);
    assert_eq!(kinds(&documents), ["WasmPlugin", "EnvoyFilter"]);
    let wanted = json!({
        "apiVersion": "extensions.istio.io/v1alpha1",
        "kind": "WasmPlugin",
        "metadata": { "name": "zonegate", "namespace": "kuma-system" },
        "spec": {
            "selector": { "matchLabels": { "istio": "ingressgateway" } },
            "url": "oci://example.org/zonegate:1",
            "sha256": "ab".repeat(32),
            "phase": "AUTHN",
            "failStrategy": "FAIL_CLOSE",
            "pluginName": "zonegate",
            "pluginConfig": without_headers(),
        },
    });
    assert_eq!(documents[0], wanted);
    assert_eq!(
        documents[1]["spec"]["workloadSelector"]["labels"],
        json!({ "istio": "ingressgateway" })
    );
    let merged = &documents[1]["spec"]["configPatches"][0]["patch"]["value"]["typed_config"];
    assert_eq!(merged["merge_slashes"], false);
    assert_eq!(merged["http2_protocol_options"]["initial_stream_window_size"], 1_310_720);
    let found = PluginConfiguration::find(bundle.policy.as_bytes()).unwrap();
    assert_eq!(found.config().unwrap().policy.issuers.keys().count(), 1);
}

#[test]
fn an_extension_policy_names_a_gateway_and_an_image_or_a_url() {
    let image = extension_policy(&plugin(), &target("oci://example.org/zonegate:1")).unwrap();
    let http = extension_policy(&plugin(), &target("https://example.org/z.wasm")).unwrap();
    let hash = "ab".repeat(32);
    let code = |bundle: &Bundle| read(&bundle.text)[0]["spec"]["wasm"][0]["code"].clone();
    let wanted =
        json!({ "type": "Image", "image": { "url": "example.org/zonegate:1", "sha256": hash } });
    assert_eq!(code(&image), wanted);
    let wanted =
        json!({ "type": "HTTP", "http": { "url": "https://example.org/z.wasm", "sha256": hash } });
    assert_eq!(code(&http), wanted);
    let documents = read(&http.text);
    let all = ["EnvoyExtensionPolicy", "ClientTrafficPolicy", "BackendTrafficPolicy"];
    assert_eq!(kinds(&documents), all);
    for one in &documents {
        assert_eq!(one["spec"]["targetRefs"][0]["name"], "edge");
        assert_eq!(one["metadata"]["namespace"], "kuma-system");
    }
    assert_eq!(documents[0]["spec"]["wasm"][0]["failOpen"], false);
    assert_eq!(documents[0]["spec"]["wasm"][0]["config"], without_headers());
    PluginConfiguration::find(http.policy.as_bytes()).unwrap().config().unwrap();
}

#[test]
fn a_dynamic_module_is_registered_mounted_and_holds_headers() {
    let mut target = target("oci://example.org/zonegate:1-native");
    target.name = "east".into();
    let bundle = dynamic_module(&plugin(), &target).unwrap();
    let documents = read(&bundle.text);
    let all = ["EnvoyExtensionPolicy", "EnvoyProxy", "ClientTrafficPolicy", "BackendTrafficPolicy"];
    assert_eq!(kinds(&documents), all);
    // `DynamicModule` and `DynamicModuleEntry` of Envoy Gateway 1.9. The ECDS file is what Envoy gets from them.
    let wanted = json!({
        "targetRefs": [{ "group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "edge" }],
        "dynamicModule": [{ "name": "zonegate", "filterName": "east", "config": plugin().to_json() }],
    });
    assert_eq!(documents[0]["spec"], wanted);
    let library = "/etc/zonegate/module/libzonegate.so";
    let wanted = json!({
        "provider": { "type": "Kubernetes", "kubernetes": { "envoyDeployment": {
            "pod": { "volumes": [{
                "name": "zonegate-module",
                "image": { "reference": "example.org/zonegate:1-native" },
            }] },
            "container": { "volumeMounts": [{
                "name": "zonegate-module", "mountPath": "/etc/zonegate/module", "readOnly": true,
            }] },
        } } },
        "dynamicModules": [{
            "name": "zonegate",
            "source": { "type": "Local", "local": { "path": library } },
            "doNotClose": true,
        }],
    });
    assert_eq!(documents[1]["spec"], wanted);
    PluginConfiguration::find(bundle.policy.as_bytes()).unwrap().config().unwrap();
    // By ECDS, the file names the module.
    target.module = Some(library.into());
    for bundle in [patch_policy(&plugin(), &target), envoy_filter(&plugin(), &target)] {
        let file = &read(&bundle.unwrap().policy)[0]["resources"][0]["typed_config"];
        assert_eq!(file["dynamic_module_config"]["module"]["local"]["filename"], library);
        assert_eq!(file["filter_config"]["value"], plugin().to_json());
    }
}

/// The filter comes first, then the guard; the policy is the ConfigMap's, and holds headers.
#[test]
fn by_ecds_the_filter_is_the_shipped_one_and_stands_first() {
    let target = target("oci://example.org/zonegate:1");
    let patch = patch_policy(&plugin(), &target).unwrap();
    let filter = envoy_filter(&plugin(), &target).unwrap();
    let (patch_documents, filter_documents) = (read(&patch.text), read(&filter.text));
    assert_eq!(
        kinds(&patch_documents),
        [
            "ConfigMap",
            "EnvoyPatchPolicy",
            "EnvoyProxy",
            "ClientTrafficPolicy",
            "BackendTrafficPolicy"
        ]
    );
    assert_eq!(kinds(&filter_documents), ["ConfigMap", "EnvoyFilter"]);
    let shipped: Value = serde_saphyr::from_str(GATEWAY).unwrap();
    let shipped = shipped.pointer(&format!("{MANAGER}/http_filters")).unwrap();
    let patches = patch_documents[1]["spec"]["jsonPatches"].as_array().unwrap();
    let put: Vec<_> = patches.iter().map(|one| one["operation"]["value"].clone()).collect();
    assert_eq!(put, [shipped[1].clone(), shipped[0].clone()]);
    assert!(patches.iter().all(|one| one["name"] == "kuma-system/edge/kuma"));
    let patches = filter_documents[1]["spec"]["configPatches"].as_array().unwrap();
    let put: Vec<_> = patches[1..].iter().map(|one| one["patch"]["value"].clone()).collect();
    assert_eq!(put, [shipped[1].clone(), shipped[0].clone()]);
    for (bundle, documents) in [(&patch, &patch_documents), (&filter, &filter_documents)] {
        assert_eq!(documents[0]["data"]["zonegate.yaml"], json!(bundle.policy));
        let file = &read(&bundle.policy)[0]["resources"][0]["typed_config"]["config"];
        assert_eq!(file["vm_config"]["code"]["local"]["filename"], MODULE);
        assert_eq!(file["allow_on_headers_stop_iteration"], true);
        assert_eq!(file["configuration"]["value"], plugin().to_json());
    }
}

#[test]
fn hold_headers_is_kept_and_not_added_for_kds() {
    let mut base = plugin().to_json();
    base["holdHeaders"] = json!(true);
    let said = Plugin::from_base(&base, "base").unwrap();
    let text = wasm_plugin(&said, &target("oci://a/b:1")).unwrap().text;
    assert_eq!(read(&text)[0]["spec"]["pluginConfig"]["holdHeaders"], true);
    base.as_object_mut().unwrap().retain(|name, _| name == "publicKeys");
    base["profile"] = json!("globalKds");
    let kds = Plugin::from_base(&base, "base").unwrap();
    let text = extension_policy(&kds, &target("oci://a/b:1")).unwrap().text;
    assert_eq!(read(&text)[0]["spec"]["wasm"][0]["config"].get("holdHeaders"), None);
}
