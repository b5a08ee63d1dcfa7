//! The subjects of the comparison: chains of filters that check a token.
//!
//! In: the key, and the revoked ids. Out: the filters of one Envoy, as JSON. The rest of the Envoy is the same for all
//! subjects; see [`crate::envoy`].

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Context;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rsa::pkcs1::DecodeRsaPublicKey;
use rsa::traits::PublicKeyParts;
use serde_json::{Value, json};
use zonegate_issuer::SigningKey;
use zonegate_testkit::gateway::{Form, ServiceProtocol};

use crate::tokens::{DATAPLANE_KID, KID, MESH, ZONE, revoked_ids};

/// The name of the service's cluster.
const SERVICE: &str = "zonegate-serve";

/// Names of subjects, as in the results.
pub(crate) const NO_FILTER: &str = "no filter";
pub(crate) const JWT: &str = "jwt_authn";
pub(crate) const JWT_CACHE: &str = "jwt_authn, token cache";
pub(crate) const ZONEGATE: &str = "zonegate";
pub(crate) const NATIVE: &str = "zonegate, native";

pub(crate) const ZONEGATE_CRATE: &str = "zonegate, no host crypto";
pub(crate) const EXT_AUTHZ: &str = "ext_authz service";
pub(crate) const EXT_PROC: &str = "ext_proc service";

/// How a chain checks.
#[derive(Debug, Clone)]
pub(crate) enum Check {
    /// Not at all.
    None,
    /// Envoy's own JWT filter.
    Jwt {
        /// Whether it caches verified tokens.
        cache: bool,
        /// How many ids an RBAC filter behind it denies; with 0 there is no such filter.
        denied: usize,
    },
    /// A service that judges as this filter does, in machine code.
    Service {
        /// By which protocol Envoy asks it.
        protocol: ServiceProtocol,
        /// How many ids it has on its list.
        revoked: usize,
    },
    /// A module that makes the calls that a filter must make, and ignores the results; `step` says which calls
    /// (`benches/floor/lib.rs`, `benches/floor_native/lib.rs`).
    Floor { module: PathBuf, step: &'static str },
    /// This filter, in the form of its file.
    Zonegate {
        module: PathBuf,
        /// The backend that verifies signatures.
        crypto: Crypto,
        /// How many ids it has on its list.
        revoked: usize,
    },
}

/// The backend that verifies signatures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Crypto {
    /// The backend that the filter chooses: in Envoy, the host.
    Chosen,
    /// The crate, in the VM, as on a host without `verify_signature`.
    Crate,
}

/// One chain.
#[derive(Debug, Clone)]
pub(crate) struct Subject {
    pub(crate) name: String,
    pub(crate) check: Check,
}

impl Subject {
    pub(crate) fn new(name: impl Into<String>, check: Check) -> Self {
        Self { name: name.into(), check }
    }

    /// The filters before the router.
    pub(crate) fn filters(&self, key: &SigningKey) -> anyhow::Result<Vec<Value>> {
        Ok(match &self.check {
            Check::None => Vec::new(),
            Check::Jwt { cache, denied: 0 } => vec![jwt_authn(key, *cache)?],
            Check::Jwt { cache, denied } => vec![jwt_authn(key, *cache)?, rbac(*denied)],
            Check::Service { protocol, .. } => asking(*protocol)?,
            Check::Floor { module, step } => vec![floor(module, step)?],
            Check::Zonegate { module, crypto, revoked } => {
                vec![zonegate(key, module, *crypto, *revoked)?]
            }
        })
    }
}

/// The policy of zonegate, with this key and this many revoked ids.
pub(crate) fn policy(key: &SigningKey, revoked: usize) -> Value {
    json!({
        "zone": ZONE,
        "publicKeys": [{ "kid": KID, "key": key.public_key_pem() }],
        "revocations": revoked_ids(revoked).collect::<Vec<_>>().join(","),
        "proxies": { "dataplane": "dpToken" },
        "dpToken": {
            "publicKeys": [{ "mesh": MESH, "kid": DATAPLANE_KID, "key": key.public_key_pem() }],
        },
    })
}

/// The filter as in the shipped files, with `module` as its module.
fn shipped(module: &Path) -> anyhow::Result<Value> {
    let form = Form::of(module);
    let file: Value = serde_saphyr::from_str(form.ecds())?;
    let filter = file.pointer("/resources/0/typed_config").context("the ECDS file")?;
    let mut filter = filter.clone();
    *filter.pointer_mut(form.code()).context("the ECDS file")? = json!(module);
    Ok(filter)
}

fn floor(module: &Path, step: &str) -> anyhow::Result<Value> {
    let mut filter = shipped(module)?;
    *filter.pointer_mut(Form::of(module).policy()).context("the ECDS file")? =
        json!({ "@type": "type.googleapis.com/google.protobuf.StringValue", "value": step });
    Ok(json!({ "name": "floor", "typed_config": filter }))
}

fn zonegate(
    key: &SigningKey,
    module: &Path,
    crypto: Crypto,
    revoked: usize,
) -> anyhow::Result<Value> {
    let mut filter = shipped(module)?;
    if crypto == Crypto::Crate {
        filter["config"]["vm_config"]["configuration"] = json!({
            "@type": "type.googleapis.com/google.protobuf.StringValue",
            "value": "crypto=crate",
        });
    }
    let place = format!("{}/value", Form::of(module).policy());
    *filter.pointer_mut(&place).context("the ECDS file")? = policy(key, revoked);
    Ok(json!({ "name": "zonegate", "typed_config": filter }))
}

/// The filters that ask a service, as in the shipped files.
fn asking(protocol: ServiceProtocol) -> anyhow::Result<Vec<Value>> {
    let parts: Value = serde_saphyr::from_str(protocol.parts())?;
    parts["http_filters"].as_array().cloned().context("envoy/service")
}

/// The cluster of the service at `address`.
pub(crate) fn service_cluster(address: SocketAddr) -> Value {
    cluster(SERVICE, address)
}

/// A cluster of one HTTP/2 server.
pub(crate) fn cluster(name: &str, address: SocketAddr) -> Value {
    let socket = json!({ "address": address.ip(), "port_value": address.port() });
    json!({
        "name": name,
        "type": "STATIC",
        "connect_timeout": "5s",
        "circuit_breakers": { "thresholds": [{
            "max_connections": 100_000, "max_pending_requests": 100_000, "max_requests": 100_000,
        }] },
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{ "lb_endpoints": [{ "endpoint": {
                "address": { "socket_address": socket },
            } }] }],
        },
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                "explicit_http_config": { "http2_protocol_options": {} },
            },
        },
    })
}

/// It reads the same header, has the same key under the same kids, and like Kuma does not check issuer or audience.
fn jwt_authn(key: &SigningKey, cache: bool) -> anyhow::Result<Value> {
    let mut provider = json!({
        "local_jwks": { "inline_string": jwks(key)?.to_string() },
        "from_headers": [{ "name": "authorization" }],
        "forward": true,
        "payload_in_metadata": "token",
    });
    if cache {
        // Large enough for every token of a scenario that repeats tokens.
        provider["jwt_cache_config"] = json!({ "jwt_cache_size": 25_000 });
    }
    Ok(json!({
        "name": "envoy.filters.http.jwt_authn",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication",
            "providers": { "zone": provider },
            "rules": [{ "match": { "prefix": "/" }, "requires": { "provider_name": "zone" } }],
        },
    }))
}

fn jwks(key: &SigningKey) -> anyhow::Result<Value> {
    let public = rsa::PublicKey::from_pkcs1_pem(key.public_key_pem())?;
    let number = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let (n, e) = (number(&public.n_bytes()), number(&public.e_bytes()));
    let keys = [KID, DATAPLANE_KID].map(
        |kid| json!({ "kty": "RSA", "alg": "RS256", "use": "sig", "kid": kid, "n": n, "e": e }),
    );
    Ok(json!({ "keys": keys }))
}

/// The documented way to deny ids: one matcher for each, on the claims in the metadata of jwt_authn.
fn rbac(denied: usize) -> Value {
    let matcher = |id: String| {
        json!({ "metadata": {
            "filter": "envoy.filters.http.jwt_authn",
            "path": [{ "key": "token" }, { "key": "jti" }],
            "value": { "string_match": { "exact": id } },
        } })
    };
    let ids: Vec<Value> = revoked_ids(denied).map(matcher).collect();
    json!({
        "name": "envoy.filters.http.rbac",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC",
            "rules": {
                "action": "DENY",
                "policies": { "revoked": {
                    "permissions": [{ "any": true }],
                    "principals": [{ "or_ids": { "ids": ids } }],
                } },
            },
        },
    })
}
