//! What is compared: the chains of filters that check a token.
//!
//! In: the key, and which ids are revoked. Out: the filters of one Envoy, as JSON. Everything around
//! them is the same for all; see [`crate::envoy`].

use std::path::{Path, PathBuf};

use anyhow::Context;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rsa::pkcs1::DecodeRsaPublicKey;
use rsa::traits::PublicKeyParts;
use serde_json::{Value, json};
use zonegate::issuer::SigningKey;

use crate::tokens::{KID, ZONE, revoked_ids};

const ECDS: &str = include_str!("../../envoy/ecds/zonegate.yaml");

/// Names of subjects, as they stand in the results.
pub(crate) const NO_FILTER: &str = "no filter";
pub(crate) const JWT: &str = "jwt_authn";
pub(crate) const JWT_CACHE: &str = "jwt_authn, token cache";
pub(crate) const ZONEGATE: &str = "zonegate";

/// How a chain checks.
#[derive(Debug, Clone)]
pub(crate) enum Check {
    /// Not at all.
    None,
    /// Envoy's own JWT filter.
    Jwt {
        /// Whether it remembers verified tokens.
        cache: bool,
        /// How many ids an RBAC filter behind it denies; 0 is no such filter.
        denied: usize,
    },
    /// This filter.
    Zonegate {
        module: PathBuf,
        /// How many ids it has on its list.
        revoked: usize,
    },
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
            Check::Zonegate { module, revoked } => vec![zonegate(key, module, *revoked)?],
        })
    }
}

/// The policy of the contract, with this key.
pub(crate) fn policy(key: &SigningKey, revoked: usize) -> Value {
    json!({
        "zone": ZONE,
        "publicKeys": [{ "kid": KID, "key": key.public_key_pem() }],
        "revocations": revoked_ids(revoked).collect::<Vec<_>>().join(","),
    })
}

fn zonegate(key: &SigningKey, module: &Path, revoked: usize) -> anyhow::Result<Value> {
    let file: Value = serde_saphyr::from_str(ECDS)?;
    let wasm = file.pointer("/resources/0/typed_config").context("envoy/ecds/zonegate.yaml")?;
    let mut wasm = wasm.clone();
    wasm["config"]["vm_config"]["code"]["local"]["filename"] = json!(module);
    wasm["config"]["configuration"]["value"] = policy(key, revoked);
    Ok(json!({ "name": "zonegate", "typed_config": wasm }))
}

/// The same header, the same key by the same kid, and like Kuma no check of issuer or audience.
fn jwt_authn(key: &SigningKey, cache: bool) -> anyhow::Result<Value> {
    let mut provider = json!({
        "local_jwks": { "inline_string": jwks(key)?.to_string() },
        "from_headers": [{ "name": "authorization" }],
        "forward": true,
        "payload_in_metadata": "token",
    });
    if cache {
        // Room for every token of a scenario that repeats them.
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
    Ok(
        json!({ "keys": [{ "kty": "RSA", "alg": "RS256", "use": "sig", "kid": KID, "n": n, "e": e }] }),
    )
}

/// The documented way to deny ids: one matcher each, over the claims that jwt_authn left.
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
