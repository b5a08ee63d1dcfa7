//! Manifests for Istio's gateways.
//!
//! In: a [`Plugin`] and a [`Target`]. Out: a WasmPlugin, or an EnvoyFilter with the objects that it needs.

use serde::Serialize;
use serde_json::{Value, json};

use super::{
    Bundle, Manifest, Plugin, Target, filters, join, manager, module_mount, policy_mount,
    with_policy,
};
use crate::render::envoy::{RenderError, yaml};

const PLUGIN: &str = "\
# The filter for a gateway of Istio, in front of a control plane of Kuma. Headers go on before the first message is
# judged (holdHeaders: false), for WasmPlugin has no field for Envoy's allow_on_headers_stop_iteration; --format
# istio-ecds does without. Take the module from an image (oci://): one from file:// gets another VM with each push, and
# the VMs of before stay as long as their streams.
";
const FILTER: &str = "\
# The filter for a gateway of Istio, in front of a control plane of Kuma. To push, change the ConfigMap: Envoy watches
# it, and no stream is touched that the policy does not end. The pods of the gateway must have these volumes; image
# volumes are in Kubernetes 1.35, or behind a feature gate:
";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WasmPlugin<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    selector: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target_refs: Option<[Value; 1]>,
    url: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    sha256: Option<&'a str>,
    phase: &'static str,
    fail_strategy: &'static str,
    plugin_name: &'static str,
    plugin_config: &'a Plugin,
}

/// A WasmPlugin, and an EnvoyFilter with settings of the connection manager.
///
/// # Errors
/// See [`RenderError`].
pub fn wasm_plugin(plugin: &Plugin, target: &Target) -> Result<Bundle, RenderError> {
    let mut plugin = plugin.clone();
    plugin.let_headers_go();
    let manifest = Manifest {
        api_version: "extensions.istio.io/v1alpha1",
        kind: "WasmPlugin",
        metadata: target.metadata(),
        spec: WasmPlugin {
            selector: selector(target, "matchLabels"),
            target_refs: target.gateway.is_some().then(|| [target.reference()]),
            url: &target.module_url,
            sha256: target.module_sha256.as_deref(),
            phase: "AUTHN",
            // A filter that fails lets nothing through.
            fail_strategy: "FAIL_CLOSE",
            plugin_name: "zonegate",
            plugin_config: &plugin,
        },
    };
    let policy = with_policy(&plugin, &manifest, "/spec/pluginConfig")?;
    let filter = yaml(&filter_of(target, &[connection_manager(target)?]))?;
    Ok(Bundle { text: join(PLUGIN, &[policy.clone(), filter]), policy })
}

/// An EnvoyFilter that inserts the filter with its policy by ECDS, and the ConfigMap of the policy.
///
/// # Errors
/// See [`RenderError`].
pub fn envoy_filter(plugin: &Plugin, target: &Target) -> Result<Bundle, RenderError> {
    let (config_map, policy) = target.config_map(plugin)?;
    let [filter, guard] = filters()?;
    // Each filter is inserted before all others, so that Zonegate's filter comes first.
    let put = |filter: Value| {
        json!({
            "applyTo": "HTTP_FILTER",
            "match": matching(target),
            "patch": { "operation": "INSERT_FIRST", "value": filter },
        })
    };
    let patches = [connection_manager(target)?, put(guard), put(filter)];
    let filter = yaml(&filter_of(target, &patches))?;
    let volumes = yaml(&json!({
        "volumes": [target.policy_volume(), target.module_volume()],
        "volumeMounts": [policy_mount(), module_mount()],
    }))?;
    let volumes: String = volumes.lines().map(|line| format!("#   {line}\n")).collect();
    Ok(Bundle { text: join(&format!("{FILTER}{volumes}"), &[config_map, filter]), policy })
}

fn filter_of(target: &Target, patches: &[Value]) -> Manifest<Value> {
    let mut spec = json!({ "configPatches": patches });
    if let Some(fields) = spec.as_object_mut() {
        if let Some(selector) = selector(target, "labels") {
            fields.insert("workloadSelector".to_owned(), selector);
        }
        if target.gateway.is_some() {
            fields.insert("targetRefs".to_owned(), json!([target.reference()]));
        }
    }
    Manifest {
        api_version: "networking.istio.io/v1alpha3",
        kind: "EnvoyFilter",
        metadata: target.metadata(),
        spec,
    }
}

fn selector(target: &Target, member: &str) -> Option<Value> {
    (!target.selector.is_empty()).then(|| json!({ member: target.selector }))
}

fn matching(target: &Target) -> Value {
    let name = "envoy.filters.network.http_connection_manager";
    let mut listener = json!({ "filterChain": { "filter": { "name": name } } });
    if let (Some(port), Some(fields)) = (target.port, listener.as_object_mut()) {
        fields.insert("portNumber".to_owned(), json!(port));
    }
    json!({ "context": "GATEWAY", "listener": listener })
}

/// The settings of the shipped connection manager that Kuma's connections need to pass unchanged.
fn connection_manager(target: &Target) -> Result<Value, RenderError> {
    const SETTINGS: [&str; 7] = [
        "@type",
        "stream_idle_timeout",
        "request_timeout",
        "normalize_path",
        "merge_slashes",
        "path_with_escaped_slashes_action",
        "http2_protocol_options",
    ];
    let manager = manager()?;
    let mut settings = json!({});
    for name in SETTINGS {
        let value = manager.get(name).cloned().ok_or(RenderError::NotReadBack)?;
        if let Some(fields) = settings.as_object_mut() {
            fields.insert(name.to_owned(), value);
        }
    }
    Ok(json!({
        "applyTo": "NETWORK_FILTER",
        "match": matching(target),
        "patch": { "operation": "MERGE", "value": { "typed_config": settings } },
    }))
}
