//! Manifests that bring the filter into gateways on Kubernetes.
//!
//! In: a [`Plugin`], and where it shall go. Out: an Istio `WasmPlugin` or an Envoy Gateway
//! `EnvoyExtensionPolicy`. Neither has a field for Envoy's `allow_on_headers_stop_iteration`, which the
//! filter needs to see the first message of a stream; the manifest says so at its top.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Value, json};

use super::envoy::{RenderError, read_back, yaml};
use super::{Plugin, envoy};

/// Where the filter shall go, and where it comes from.
#[derive(Debug, Clone, Default)]
pub struct Target {
    /// Of the object.
    pub name: String,
    /// Of the object; `None` leaves it to whoever applies it.
    pub namespace: Option<String>,
    /// Where the gateway fetches the module: `oci://…`, `https://…`, with Istio `file://…`.
    pub module_url: String,
    /// SHA-256 of the module, in hexadecimal.
    pub module_sha256: Option<String>,
    /// The Gateway (of the Gateway API) to which it belongs.
    pub gateway: Option<String>,
    /// Labels of the gateway's pods; Istio only.
    pub selector: BTreeMap<String, String>,
}

/// What Istio does not say to Envoy.
const ISTIO: &str = "\
# Istio's WasmPlugin has no field for Envoy's allow_on_headers_stop_iteration, which the filter needs to
# see the first message of a stream. Without it, requests that are refused by their headers are refused
# as they should be, and every other stream is answered no_first_message. With Istio use an EnvoyFilter
# that inserts the whole filter, or a gateway of Envoy's own: see docs/tool.md.
";
/// What Envoy Gateway does not say to Envoy.
const ENVOY_GATEWAY: &str = "\
# EnvoyExtensionPolicy has no field for Envoy's allow_on_headers_stop_iteration (envoyproxy/gateway
# issue 8382), which the filter needs to see the first message of a stream. Without it, requests that
# are refused by their headers are refused as they should be, and every other stream is answered
# no_first_message. Set it with an EnvoyPatchPolicy: see docs/tool.md.
";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Manifest<Spec> {
    api_version: &'static str,
    kind: &'static str,
    metadata: Value,
    spec: Spec,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WasmPlugin<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    selector: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target_refs: Option<Value>,
    url: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    sha256: Option<&'a str>,
    phase: &'static str,
    fail_strategy: &'static str,
    plugin_name: &'static str,
    plugin_config: &'a Plugin,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ExtensionPolicy<'a> {
    target_refs: Value,
    wasm: [Wasm<'a>; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Wasm<'a> {
    name: &'static str,
    #[serde(rename = "rootID")]
    root_id: &'static str,
    fail_open: bool,
    code: Value,
    config: &'a Plugin,
}

/// An Istio `WasmPlugin`.
///
/// # Errors
/// See [`RenderError`].
pub fn wasm_plugin(plugin: &Plugin, target: &Target) -> Result<String, RenderError> {
    let selector = (!target.selector.is_empty()).then(|| json!({ "matchLabels": target.selector }));
    let manifest = Manifest {
        api_version: "extensions.istio.io/v1alpha1",
        kind: "WasmPlugin",
        metadata: metadata(target),
        spec: WasmPlugin {
            selector,
            target_refs: target.gateway.as_deref().map(target_refs),
            url: &target.module_url,
            sha256: target.module_sha256.as_deref(),
            phase: "AUTHN",
            // A filter that fails lets nothing through.
            fail_strategy: "FAIL_CLOSE",
            plugin_name: "zonegate",
            plugin_config: plugin,
        },
    };
    finish(plugin, ISTIO, &manifest, "/spec/pluginConfig")
}

/// An Envoy Gateway `EnvoyExtensionPolicy`.
///
/// # Errors
/// See [`RenderError`].
pub fn extension_policy(plugin: &Plugin, target: &Target) -> Result<String, RenderError> {
    let url = &target.module_url;
    let mut source = json!({ "url": url.strip_prefix("oci://").unwrap_or(url) });
    if let (Some(fields), Some(hash)) = (source.as_object_mut(), &target.module_sha256) {
        fields.insert("sha256".to_owned(), json!(hash));
    }
    let code = match url.starts_with("http://") || url.starts_with("https://") {
        true => json!({ "type": "HTTP", "http": source }),
        false => json!({ "type": "Image", "image": source }),
    };
    let manifest = Manifest {
        api_version: "gateway.envoyproxy.io/v1alpha1",
        kind: "EnvoyExtensionPolicy",
        metadata: metadata(target),
        spec: ExtensionPolicy {
            target_refs: target_refs(target.gateway.as_deref().unwrap_or(&target.name)),
            wasm: [Wasm {
                name: "zonegate",
                root_id: "zonegate",
                fail_open: false,
                code,
                config: plugin,
            }],
        },
    };
    finish(plugin, ENVOY_GATEWAY, &manifest, "/spec/wasm/0/config")
}

fn metadata(target: &Target) -> Value {
    match &target.namespace {
        Some(namespace) => json!({ "name": target.name, "namespace": namespace }),
        None => json!({ "name": target.name }),
    }
}

fn target_refs(gateway: &str) -> Value {
    json!([{ "group": "gateway.networking.k8s.io", "kind": "Gateway", "name": gateway }])
}

fn finish(
    plugin: &Plugin,
    words: &str,
    manifest: &impl Serialize,
    pointer: &str,
) -> Result<String, RenderError> {
    plugin.check().map_err(envoy::RenderError::Refused)?;
    let text = format!("{words}{}", yaml(manifest)?);
    read_back(&text, pointer, &plugin.to_json())?;
    Ok(text)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)] // a test may panic
mod tests {
    use super::*;
    use crate::plugin_config::plugin_file::PluginConfiguration;

    fn plugin() -> Plugin {
        let key = include_str!("../../../tests/data/key-1.pub.pem");
        let base = json!({ "zone": "z", "publicKeys": [{ "kid": "1", "key": key }] });
        Plugin::from_base(&base, "base").unwrap()
    }

    fn target(url: &str) -> Target {
        Target {
            name: "zonegate".into(),
            namespace: Some("kuma-system".into()),
            module_url: url.into(),
            module_sha256: Some("ab".repeat(32)),
            gateway: Some("edge".into()),
            selector: BTreeMap::new(),
        }
    }

    fn read(text: &str) -> Value {
        serde_saphyr::from_str(text).unwrap()
    }

    #[test]
    fn a_wasm_plugin_has_what_istio_wants() {
        let mut target = target("oci://example.org/zonegate:1");
        target.gateway = None;
        target.selector = [("istio".into(), "ingressgateway".into())].into();
        let text = wasm_plugin(&plugin(), &target).unwrap();
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
                "pluginConfig": plugin().to_json(),
            },
        });
        assert_eq!(read(&text), wanted);
        let found = PluginConfiguration::find(text.as_bytes()).unwrap();
        assert_eq!(found.config().unwrap().policy.issuers.keys().count(), 1);
    }

    #[test]
    fn an_extension_policy_names_a_gateway_and_an_image_or_a_url() {
        let image = extension_policy(&plugin(), &target("oci://example.org/zonegate:1")).unwrap();
        let http = extension_policy(&plugin(), &target("https://example.org/z.wasm")).unwrap();
        let hash = "ab".repeat(32);
        let code = |text: &str| read(text)["spec"]["wasm"][0]["code"].clone();
        let wanted = json!({ "type": "Image", "image": { "url": "example.org/zonegate:1", "sha256": hash } });
        assert_eq!(code(&image), wanted);
        let wanted = json!({ "type": "HTTP", "http": { "url": "https://example.org/z.wasm", "sha256": hash } });
        assert_eq!(code(&http), wanted);
        assert_eq!(read(&http)["spec"]["targetRefs"][0]["name"], "edge");
        assert_eq!(read(&http)["spec"]["wasm"][0]["failOpen"], false);
        PluginConfiguration::find(http.as_bytes()).unwrap().config().unwrap();
    }
}
