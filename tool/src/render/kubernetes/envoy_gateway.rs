//! Manifests for Envoy Gateway.
//!
//! In: a [`Plugin`] and a [`Target`]. Out: an EnvoyExtensionPolicy, or an EnvoyPatchPolicy with the objects that it
//! needs; and the settings of the Gateway and its routes with which Kuma's connections pass unchanged.

use serde::Serialize;
use serde_json::{Value, json};

use super::{
    Bundle, LIBRARY, Manifest, Plugin, Target, filters, join, module_mount, policy_mount,
    with_policy,
};
use crate::render::envoy::{RenderError, yaml};

const POLICY: &str = "\
# The filter for a Gateway of Envoy Gateway, in front of a control plane of Kuma. Headers go on before the first message
# is judged (holdHeaders: false), for EnvoyExtensionPolicy has no field for Envoy's allow_on_headers_stop_iteration
# (envoyproxy/gateway issue 8382). Each push is a change of the listener: it takes some seconds, and streams end when
# the drain time is over. --format envoy-gateway-ecds has neither. The policies below hold for the whole Gateway.
";
const NATIVE: &str = "\
# The filter as a dynamic module for a Gateway of Envoy Gateway, in front of a control plane of Kuma. Each push is a
# change of the listener: a revocation cuts its streams with it, and all other streams end when the drain time is over.
# --format envoy-gateway-ecds leaves them alone. The Gateway must name the EnvoyProxy below
# (spec.infrastructure.parametersRef), and the cluster must know image volumes (Kubernetes 1.35, or the feature gate).
";
const PATCH: &str = "\
# The filter for a Gateway of Envoy Gateway, in front of a control plane of Kuma. To push, change the ConfigMap: Envoy
# watches it, and no stream is touched that the policy does not end. Envoy Gateway must allow patches
# (extensionApis.enableEnvoyPatchPolicy), the Gateway must name the EnvoyProxy below
# (spec.infrastructure.parametersRef), and the cluster must know image volumes (Kubernetes 1.35, or the feature gate).
";

const API: &str = "gateway.envoyproxy.io/v1alpha1";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ExtensionPolicy<'a> {
    target_refs: [Value; 1],
    #[serde(flatten)]
    filter: Filter<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
enum Filter<'a> {
    Wasm([Wasm<'a>; 1]),
    DynamicModule([DynamicModule<'a>; 1]),
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

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DynamicModule<'a> {
    /// The name in the EnvoyProxy's registration.
    name: &'static str,
    filter_name: &'a str,
    config: &'a Plugin,
}

/// An EnvoyExtensionPolicy with the module in wasm, and the objects that it needs.
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
    let filter = Filter::Wasm([Wasm {
        name: REGISTERED,
        root_id: REGISTERED,
        fail_open: false,
        code,
        config: &plugin,
    }]);
    let policy = with_policy(&plugin, &extending(target, filter), "/spec/wasm/0/config")?;
    let [client, backend] = traffic(target)?;
    Ok(Bundle { text: join(POLICY, &[policy.clone(), client, backend]), policy })
}

/// An EnvoyExtensionPolicy with the dynamic module, and the objects that it needs.
///
/// # Errors
/// See [`RenderError`].
pub fn dynamic_module(plugin: &Plugin, target: &Target) -> Result<Bundle, RenderError> {
    // By this name the filter distinguishes pushes and open streams of several gateways in one Envoy.
    let filter_name = &*target.name;
    let filter =
        Filter::DynamicModule([DynamicModule { name: REGISTERED, filter_name, config: plugin }]);
    let policy = with_policy(plugin, &extending(target, filter), "/spec/dynamicModule/0/config")?;
    let library = target.module.as_deref().unwrap_or(LIBRARY);
    let mut proxy = envoy_proxy(target, &[target.module_volume()], &[module_mount()]);
    if let Some(fields) = proxy.spec.as_object_mut() {
        let registered = json!([{
            "name": REGISTERED,
            "source": { "type": "Local", "local": { "path": library } },
            // As in `envoy/ecds/zonegate-native.yaml`.
            "doNotClose": true,
        }]);
        fields.insert("dynamicModules".to_owned(), registered);
    }
    let [client, backend] = traffic(target)?;
    let documents = [policy.clone(), yaml(&proxy)?, client, backend];
    Ok(Bundle { text: join(NATIVE, &documents), policy })
}

/// The filter's own name, in objects that list several modules.
const REGISTERED: &str = "zonegate";

fn extending<'a>(target: &Target, filter: Filter<'a>) -> Manifest<ExtensionPolicy<'a>> {
    Manifest {
        api_version: API,
        kind: "EnvoyExtensionPolicy",
        metadata: target.metadata(),
        spec: ExtensionPolicy { target_refs: [target.reference()], filter },
    }
}

/// An EnvoyPatchPolicy that inserts the filter with its policy by ECDS, and the objects that it needs.
///
/// # Errors
/// See [`RenderError`].
pub fn patch_policy(plugin: &Plugin, target: &Target) -> Result<Bundle, RenderError> {
    let (config_map, policy) = target.config_map(plugin)?;
    let [client, backend] = traffic(target)?;
    let volumes = [target.policy_volume(), target.module_volume()];
    let proxy = envoy_proxy(target, &volumes, &[policy_mount(), module_mount()]);
    let documents = [config_map, yaml(&patch(target)?)?, yaml(&proxy)?, client, backend];
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
    // Each filter is inserted before all others, so that Zonegate's filter comes first.
    let put = |filter: Value| {
        json!({
            "type": "type.googleapis.com/envoy.config.listener.v3.Listener",
            "name": format!("{namespace}/{gateway}/{listener}"),
            "operation": { "op": "add", "jsonPath": MANAGERS, "path": "/http_filters/0", "value": filter },
        })
    };
    Ok(Manifest {
        api_version: API,
        kind: "EnvoyPatchPolicy",
        metadata: target.metadata(),
        spec: json!({
            "targetRef": target.reference(),
            "type": "JSONPatch",
            "jsonPatches": [put(guard), put(filter)],
        }),
    })
}

/// An EnvoyProxy that mounts these volumes into the pods.
fn envoy_proxy(target: &Target, volumes: &[Value], mounts: &[Value]) -> Manifest<Value> {
    let deployment = json!({
        "pod": { "volumes": volumes },
        "container": { "volumeMounts": mounts },
    });
    Manifest {
        api_version: API,
        kind: "EnvoyProxy",
        metadata: target.metadata(),
        spec: json!({
            "provider": { "type": "Kubernetes", "kubernetes": { "envoyDeployment": deployment } },
        }),
    }
}

/// The policies for clients and routes. `envoy/gateway.yaml` has the reasons for the settings.
///
/// # Errors
/// [`RenderError::NotReadBack`].
pub(in crate::render) fn traffic(target: &Target) -> Result<[String; 2], RenderError> {
    let policy = |kind, spec: Value| {
        yaml(&Manifest { api_version: API, kind, metadata: target.metadata(), spec })
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
