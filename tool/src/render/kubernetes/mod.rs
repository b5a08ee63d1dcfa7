//! Manifests that bring the filter into gateways on Kubernetes.
//!
//! In: a [`Plugin`], and its target. Out: the objects, as documents of one text, for Envoy Gateway or for Istio, in one
//! of two forms:
//!
//! - The policy is in an object of theirs, which creates the filter. For the module in wasm, this object has no field
//!   for Envoy's `allow_on_headers_stop_iteration`, so headers cannot be held: `holdHeaders: false`. A dynamic module,
//!   which only Envoy Gateway supports, needs no such field.
//! - The policy is in a ConfigMap that Envoy watches, and the filter is inserted into Envoy's configuration as in
//!   `envoy/gateway.yaml`. A push changes only the policy.
//!
//! Whether the names of gateways, listeners and images are right is not checked.

mod envoy_gateway;
mod istio;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Value, json};

use super::Plugin;
use super::envoy::{RenderError, ecds, read_back, yaml};

pub(super) use envoy_gateway::traffic;
pub use envoy_gateway::{dynamic_module, extension_policy, patch_policy};
pub use istio::{envoy_filter, wasm_plugin};

/// The gateway that gets the filter, and the source of the module.
#[derive(Debug, Clone, Default)]
pub struct Target {
    /// The name of the objects.
    pub name: String,
    /// The namespace of the objects; `None` leaves it to whoever applies them.
    pub namespace: Option<String>,
    /// The URL from which the gateway fetches the module: `oci://…`, `https://…`, with Istio also `file://…`.
    pub module_url: String,
    /// SHA-256 of the module, or of an image's manifest, in hexadecimal.
    pub module_sha256: Option<String>,
    /// The path of the module in the pods, if it is not the path in the images of a release. A path that ends in `.so`
    /// is a dynamic module.
    pub module: Option<String>,
    /// The Gateway (of the Gateway API) to which it belongs.
    pub gateway: Option<String>,
    /// The name of its listener.
    pub listener: Option<String>,
    /// The port on which the gateway's Envoy listens.
    pub port: Option<u16>,
    /// Labels of the gateway's pods; Istio only.
    pub selector: BTreeMap<String, String>,
}

/// Some objects, and the text with their policy as a file that other commands read.
#[derive(Debug, Clone)]
pub struct Bundle {
    /// All objects.
    pub text: String,
    /// The text with the policy: the first object, or the file in it.
    pub policy: String,
}

/// The folder of the policy in the pods.
const ECDS_FOLDER: &str = "/etc/zonegate/ecds";
const MODULE_FOLDER: &str = "/etc/zonegate/module";
/// The path of the module in an image, where Istio and Envoy Gateway look for it.
const MODULE: &str = "/etc/zonegate/module/plugin.wasm";
/// The path of the dynamic module in an image.
const LIBRARY: &str = "/etc/zonegate/module/libzonegate.so";

/// The gateway's own file.
const GATEWAY: &str = include_str!("../../../../envoy/gateway.yaml");
const MANAGER: &str = "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Manifest<Spec> {
    api_version: &'static str,
    kind: &'static str,
    metadata: Value,
    spec: Spec,
}

impl Target {
    fn metadata(&self) -> Value {
        match &self.namespace {
            Some(namespace) => json!({ "name": self.name, "namespace": namespace }),
            None => json!({ "name": self.name }),
        }
    }

    /// A reference to the Gateway of the Gateway API.
    fn reference(&self) -> Value {
        let name = self.gateway.as_deref().unwrap_or(&self.name);
        json!({ "group": "gateway.networking.k8s.io", "kind": "Gateway", "name": name })
    }

    /// The ConfigMap with the file that Envoy watches.
    fn config_map(&self, plugin: &Plugin) -> Result<(String, String), RenderError> {
        let file = ecds(plugin, Some(self.module.as_deref().unwrap_or(MODULE)))?;
        let mut object =
            json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": self.metadata() });
        if let Some(fields) = object.as_object_mut() {
            fields.insert("data".to_owned(), json!({ "zonegate.yaml": file }));
        }
        let text = yaml(&object)?;
        read_back(&text, "/data/zonegate.yaml", &json!(file))?;
        Ok((text, file))
    }

    /// The volume of the ConfigMap, in the pods.
    fn policy_volume(&self) -> Value {
        json!({ "name": POLICY_VOLUME, "configMap": { "name": self.name } })
    }

    /// The volume of the image, in the pods.
    fn module_volume(&self) -> Value {
        let url = &self.module_url;
        let image = url.strip_prefix("oci://").unwrap_or(url);
        json!({ "name": MODULE_VOLUME, "image": { "reference": image } })
    }
}

const POLICY_VOLUME: &str = "zonegate-policy";
const MODULE_VOLUME: &str = "zonegate-module";

fn policy_mount() -> Value {
    json!({ "name": POLICY_VOLUME, "mountPath": ECDS_FOLDER, "readOnly": true })
}

fn module_mount() -> Value {
    json!({ "name": MODULE_VOLUME, "mountPath": MODULE_FOLDER, "readOnly": true })
}

/// The filter with its policy by ECDS, and the guard behind it, as in `envoy/gateway.yaml`.
fn filters() -> Result<[Value; 2], RenderError> {
    let manager = manager()?;
    let filter = |index: usize| {
        let found = manager.pointer(&format!("/http_filters/{index}")).cloned();
        found.ok_or(RenderError::NotReadBack)
    };
    Ok([filter(0)?, filter(1)?])
}

/// The connection manager of `envoy/gateway.yaml`.
fn manager() -> Result<Value, RenderError> {
    let gateway: Value = serde_saphyr::from_str(GATEWAY).map_err(|_| RenderError::NotReadBack)?;
    gateway.pointer(MANAGER).cloned().ok_or(RenderError::NotReadBack)
}

/// Joins documents into one text, after this comment.
pub(super) fn join(words: &str, documents: &[String]) -> String {
    format!("{words}{}", documents.join("---\n"))
}

/// The object with the policy, after checking that it reads back unchanged.
fn with_policy(
    plugin: &Plugin,
    manifest: &impl Serialize,
    pointer: &str,
) -> Result<String, RenderError> {
    plugin.check().map_err(RenderError::Refused)?;
    let text = yaml(manifest)?;
    read_back(&text, pointer, &plugin.to_json())?;
    Ok(text)
}
