//! For Envoy Gateway.
//!
//! In: a [`Plugin`] and a [`Target`]. Out: an EnvoyExtensionPolicy, or an EnvoyPatchPolicy with what it takes; and in
//! both cases what the Gateway and its routes need so that Kuma's connections pass as they are.

use serde::Serialize;
use serde_json::{Value, json};

use super::{Bundle, Manifest, Plugin, Target, filters, join, mounts, with_policy};
use crate::render::envoy::{RenderError, yaml};

const POLICY: &str = "\
# The filter for a Gateway of Envoy Gateway, in front of a control plane of Kuma. Headers go on before the first message
# is judged (holdHeaders: false), for EnvoyExtensionPolicy has no field for Envoy's allow_on_headers_stop_iteration
# (envoyproxy/gateway issue 8382). Each push is a change of the listener: it takes some seconds, and streams end when
# the drain time is over. --format envoy-gateway-ecds has neither. The policies below hold for the whole Gateway.
";
const PATCH: &str = "\
# The filter for a Gateway of Envoy Gateway, in front of a control plane of Kuma. To push, change the ConfigMap: Envoy
# watches it, and no stream is touched that the policy does not end. Envoy Gateway must allow patches
# (extensionApis.enableEnvoyPatchPolicy), the Gateway must name the EnvoyProxy below
# (spec.infrastructure.parametersRef), and the cluster must know image volumes (Kubernetes 1.35, or the feature gate).
";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ExtensionPolicy<'a> {
    target_refs: [Value; 1],
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

/// An EnvoyExtensionPolicy, and what goes with it.
///
/// # Errors
/// See [`RenderError`].
pub fn extension_policy(plugin: &Plugin, target: &Target) -> Result<Bundle, RenderError> {
    let mut plugin = plugin.clone();
    plugin.let_headers_go();
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
        metadata: target.metadata(),
        spec: ExtensionPolicy {
            target_refs: [target.reference()],
            wasm: [Wasm {
                name: "zonegate",
                root_id: "zonegate",
                fail_open: false,
                code,
                config: &plugin,
            }],
        },
    };
    let policy = with_policy(&plugin, &manifest, "/spec/wasm/0/config")?;
    let [client, backend] = traffic(target)?;
    Ok(Bundle { text: join(POLICY, &[policy.clone(), client, backend]), policy })
}

/// An EnvoyPatchPolicy that puts in the filter with its policy by ECDS, and what goes with it.
///
/// # Errors
/// See [`RenderError`].
pub fn patch_policy(plugin: &Plugin, target: &Target) -> Result<Bundle, RenderError> {
    let (config_map, policy) = target.config_map(plugin)?;
    let [client, backend] = traffic(target)?;
    let documents =
        [config_map, yaml(&patch(target)?)?, yaml(&envoy_proxy(target))?, client, backend];
    Ok(Bundle { text: join(PATCH, &documents), policy })
}

fn patch(target: &Target) -> Result<Manifest<Value>, RenderError> {
    const MANAGERS: &str =
        "..filters[?(@.name=='envoy.filters.network.http_connection_manager')].typed_config";
    // Envoy Gateway's name for a listener.
    let namespace = target.namespace.as_deref().unwrap_or("default");
    let gateway = target.gateway.as_deref().unwrap_or(&target.name);
    let listener = target.listener.as_deref().unwrap_or_default();
    let [filter, guard] = filters()?;
    // Each is put before all others, so that the filter comes first.
    let put = |filter: Value| {
        json!({
            "type": "type.googleapis.com/envoy.config.listener.v3.Listener",
            "name": format!("{namespace}/{gateway}/{listener}"),
            "operation": { "op": "add", "jsonPath": MANAGERS, "path": "/http_filters/0", "value": filter },
        })
    };
    Ok(Manifest {
        api_version: "gateway.envoyproxy.io/v1alpha1",
        kind: "EnvoyPatchPolicy",
        metadata: target.metadata(),
        spec: json!({
            "targetRef": target.reference(),
            "type": "JSONPatch",
            "jsonPatches": [put(guard), put(filter)],
        }),
    })
}

/// Brings the ConfigMap and the module into the pods.
fn envoy_proxy(target: &Target) -> Manifest<Value> {
    let deployment = json!({
        "pod": { "volumes": target.volumes() },
        "container": { "volumeMounts": mounts() },
    });
    Manifest {
        api_version: "gateway.envoyproxy.io/v1alpha1",
        kind: "EnvoyProxy",
        metadata: target.metadata(),
        spec: json!({
            "provider": { "type": "Kubernetes", "kubernetes": { "envoyDeployment": deployment } },
        }),
    }
}

/// What clients and routes need. The reasons are in `envoy/gateway.yaml`.
fn traffic(target: &Target) -> Result<[String; 2], RenderError> {
    let policy = |kind, spec: Value| {
        yaml(&Manifest {
            api_version: "gateway.envoyproxy.io/v1alpha1",
            kind,
            metadata: target.metadata(),
            spec,
        })
    };
    let client = json!({
        "targetRefs": [target.reference()],
        "connection": { "bufferLimit": "1280Ki" },
        "http2": {
            "initialStreamWindowSize": "1280Ki",
            "initialConnectionWindowSize": "5Mi",
            "maxConcurrentStreams": 100,
        },
        "path": { "disableMergeSlashes": true, "escapedSlashesAction": "KeepUnchanged" },
        "headers": { "withUnderscoresAction": "DropHeader" },
        "timeout": { "http": {
            "requestReceivedTimeout": "0s",
            "requestHeadersReceivedTimeout": "10s",
            "streamIdleTimeout": "0s",
        }},
    });
    let backend = json!({
        "targetRefs": [target.reference()],
        "useClientProtocol": true,
        "timeout": { "http": {
            "requestTimeout": "0s",
            "maxStreamDuration": "0s",
            "streamIdleTimeout": "0s",
        }},
        "circuitBreaker": {
            "maxConnections": 100_000,
            "maxPendingRequests": 100_000,
            "maxParallelRequests": 100_000,
        },
        "connection": { "bufferLimit": "1Mi" },
    });
    Ok([policy("ClientTrafficPolicy", client)?, policy("BackendTrafficPolicy", backend)?])
}
