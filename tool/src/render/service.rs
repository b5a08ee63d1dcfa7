//! Manifests with which Envoy Gateway asks a service, `zonegate serve`, instead of a filter.
//!
//! In: the Gateway that asks, and the service. Out: an `EnvoyExtensionPolicy` with `extProc`, or a `SecurityPolicy`
//! with `extAuth`, and the settings of the Gateway and its routes. The service has the policy. Whether there is such a
//! service is not checked.

use serde_json::{Value, json};

use super::envoy::{RenderError, yaml};
use super::kubernetes::{Target, join, traffic};

/// The service, and the Gateway that asks it.
#[derive(Debug, Clone)]
pub struct ServiceTarget {
    /// The name of the object.
    pub name: String,
    /// The namespace of the object; `None` leaves it to whoever applies it.
    pub namespace: Option<String>,
    /// The Gateway (of the Gateway API) that asks.
    pub gateway: String,
    /// The Kubernetes Service that is asked.
    pub service: String,
    /// Its port.
    pub port: u16,
}

const EXT_PROC: &str = "\
# Envoy Gateway asks zonegate serve by external processing: the first message of a stream is seen, and open streams
# are cut. To push, change the service's file. The policies below hold for the whole Gateway.
";
const EXT_AUTH: &str = "\
# Envoy Gateway asks zonegate serve by external authorization: headers only. A token passes if any proxy could use it,
# no open stream is cut, and the policy needs bootstrap: pass or deny. --format envoy-gateway-ext-proc has none of these
# limits. The policies below hold for the whole Gateway.
";

/// An `EnvoyExtensionPolicy` with `extProc`.
///
/// # Errors
/// [`RenderError::NotReadBack`].
pub fn ext_proc_policy(target: &ServiceTarget) -> Result<String, RenderError> {
    let asked = json!([{
        "backendRefs": backend(target),
        // Each open stream is a call, as in `envoy/service/ext_proc.yaml`. The default limit is 1,024 calls.
        "backendSettings": {
            "circuitBreaker": {
                "maxConnections": 100_000,
                "maxPendingRequests": 100_000,
                "maxParallelRequests": 100_000,
            },
            "http2": { "connectionKeepalive": { "interval": "10s", "timeout": "5s" } },
        },
        "failOpen": false,
        "statusOnError": 503,
        // No response settings: the service does not see responses.
        "processingMode": {
            "request": { "body": "FullDuplexStreamed", "attributes": ["source.address"] },
        },
        "metadata": { "writableNamespaces": ["zonegate"] },
    }]);
    manifest(EXT_PROC, "EnvoyExtensionPolicy", target, "extProc", &asked)
}

/// A `SecurityPolicy` with `extAuth`.
///
/// # Errors
/// [`RenderError::NotReadBack`].
pub fn ext_auth_policy(target: &ServiceTarget) -> Result<String, RenderError> {
    let asked = json!({
        "grpc": { "backendRefs": backend(target) },
        "headersToExtAuth": ["authorization", "content-type", "client-id", "x-request-id"],
        "failOpen": false,
        "timeout": "2s",
    });
    manifest(EXT_AUTH, "SecurityPolicy", target, "extAuth", &asked)
}

fn backend(target: &ServiceTarget) -> Value {
    json!([{ "name": target.service, "port": target.port }])
}

fn manifest(
    words: &str,
    kind: &str,
    target: &ServiceTarget,
    field: &str,
    asked: &Value,
) -> Result<String, RenderError> {
    let ServiceTarget { name, namespace, gateway, .. } = target;
    let metadata = match namespace {
        Some(namespace) => json!({ "name": name, "namespace": namespace }),
        None => json!({ "name": name }),
    };
    let refs =
        json!([{ "group": "gateway.networking.k8s.io", "kind": "Gateway", "name": gateway }]);
    let manifest = json!({
        "apiVersion": "gateway.envoyproxy.io/v1alpha1",
        "kind": kind,
        "metadata": metadata,
        "spec": { "targetRefs": refs, field: asked },
    });
    let gateway = Some(gateway.clone());
    let (name, namespace) = (name.clone(), namespace.clone());
    let [client, backend] = traffic(&Target { name, namespace, gateway, ..Target::default() })?;
    Ok(join(words, &[yaml(&manifest)?, client, backend]))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)] // a test may panic
mod tests {
    use super::*;

    fn target() -> ServiceTarget {
        ServiceTarget {
            name: "zonegate".into(),
            namespace: Some("kuma-system".into()),
            gateway: "edge".into(),
            service: "zonegate-serve".into(),
            port: 9912,
        }
    }

    /// The object that asks the service. The two objects after it are in all formats for Envoy Gateway.
    fn read(text: &str) -> Value {
        let mut objects: Vec<Value> = serde_saphyr::from_multiple(text).unwrap();
        let kinds: Vec<_> = objects[1..].iter().map(|object| object["kind"].clone()).collect();
        assert_eq!(kinds, ["ClientTrafficPolicy", "BackendTrafficPolicy"]);
        for object in &objects {
            assert_eq!(object["spec"]["targetRefs"], objects[0]["spec"]["targetRefs"]);
            assert_eq!(object["metadata"], objects[0]["metadata"]);
        }
        objects.remove(0)
    }

    /// The expected fields are those of `EnvoyExtensionPolicySpec` and `SecurityPolicySpec` of Envoy Gateway 1.9.
    #[test]
    fn the_manifests_have_what_envoy_gateway_wants() {
        let metadata = json!({ "name": "zonegate", "namespace": "kuma-system" });
        let refs = json!([
            { "group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "edge" }
        ]);
        let backend = json!([{ "name": "zonegate-serve", "port": 9912 }]);
        let wanted = json!({
            "apiVersion": "gateway.envoyproxy.io/v1alpha1",
            "kind": "EnvoyExtensionPolicy",
            "metadata": metadata,
            "spec": { "targetRefs": refs, "extProc": [{
                "backendRefs": backend, "failOpen": false, "statusOnError": 503,
                "backendSettings": {
                    "circuitBreaker": {
                        "maxConnections": 100_000,
                        "maxPendingRequests": 100_000,
                        "maxParallelRequests": 100_000,
                    },
                    "http2": { "connectionKeepalive": { "interval": "10s", "timeout": "5s" } },
                },
                "processingMode": { "request": {
                    "body": "FullDuplexStreamed", "attributes": ["source.address"],
                } },
                "metadata": { "writableNamespaces": ["zonegate"] },
            }] },
        });
        assert_eq!(read(&ext_proc_policy(&target()).unwrap()), wanted);
        let wanted = json!({
            "apiVersion": "gateway.envoyproxy.io/v1alpha1",
            "kind": "SecurityPolicy",
            "metadata": metadata,
            "spec": { "targetRefs": refs, "extAuth": {
                "grpc": { "backendRefs": backend },
                "headersToExtAuth": ["authorization", "content-type", "client-id", "x-request-id"],
                "failOpen": false,
                "timeout": "2s",
            } },
        });
        assert_eq!(read(&ext_auth_policy(&target()).unwrap()), wanted);
    }
}
