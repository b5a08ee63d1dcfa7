//! A client of a control plane's HTTP API, as its administrator on the same machine.
//!
//! In: the address. Out: secrets, tokens and the state of proxies. For kuma-cp every client on loopback is the
//! administrator, so no token is sent.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::Method;
use serde_json::{Value, json};

use super::Kind;
use crate::json_client::JsonClient;

/// A client of the API.
#[derive(Debug, Clone)]
pub struct Api {
    client: JsonClient,
}

impl Api {
    /// A client of the server at `address`, plain HTTP.
    pub fn new(address: SocketAddr) -> Self {
        Self { client: JsonClient::plain(address) }
    }

    /// The address of the server.
    pub fn address(&self) -> SocketAddr {
        self.client.address()
    }

    /// The bytes of a global secret; `None` if it does not exist.
    ///
    /// # Errors
    /// The control plane does not answer as expected.
    pub async fn secret(&self, name: &str) -> anyhow::Result<Option<Vec<u8>>> {
        let Some(text) = self.get(&format!("/global-secrets/{name}")).await? else {
            return Ok(None);
        };
        let secret: Value = serde_json::from_str(&text)?;
        let data = secret.get("data").and_then(Value::as_str).unwrap_or_default();
        Ok(Some(STANDARD.decode(data).with_context(|| format!("secret {name}"))?))
    }

    /// Writes a global secret, new or in place of an older one.
    ///
    /// # Errors
    /// The control plane refuses it.
    pub async fn set_secret(&self, name: &str, bytes: &[u8]) -> anyhow::Result<()> {
        let data = STANDARD.encode(bytes);
        let secret = json!({ "type": "GlobalSecret", "name": name, "data": data });
        self.put(&format!("/global-secrets/{name}"), &secret).await
    }

    /// Removes a global secret.
    ///
    /// # Errors
    /// No secret has this name.
    pub async fn remove_secret(&self, name: &str) -> anyhow::Result<()> {
        self.client.send(Method::DELETE, &format!("/global-secrets/{name}"), None).await.map(drop)
    }

    /// A zone token, issued by the control plane itself.
    ///
    /// # Errors
    /// The control plane issues no token.
    pub async fn zone_token(
        &self,
        zone: &str,
        scope: &[&str],
        valid_for: Duration,
    ) -> anyhow::Result<String> {
        let valid_for = format!("{}s", valid_for.as_secs());
        let wanted = json!({ "zone": zone, "scope": scope, "validFor": valid_for });
        self.client.send(Method::POST, "/tokens/zone", Some(&wanted)).await
    }

    /// A token for the sidecar `name`.
    ///
    /// # Errors
    /// The control plane issues no token.
    pub async fn dataplane_token(&self, mesh: &str, name: &str) -> anyhow::Result<String> {
        let wanted = json!({ "mesh": mesh, "name": name, "validFor": "1h" });
        self.client.send(Method::POST, "/tokens/dataplane", Some(&wanted)).await
    }

    /// Whether the control plane lists this proxy as online: connected, and not disconnected since.
    ///
    /// # Errors
    /// The control plane does not answer as expected.
    pub async fn is_online(&self, kind: Kind, mesh: &str, name: &str) -> anyhow::Result<bool> {
        let Some(text) = self.get(&kind.overview(mesh, name)).await? else { return Ok(false) };
        let overview: Value = serde_json::from_str(&text)?;
        let last = overview
            .pointer(kind.subscriptions())
            .and_then(Value::as_array)
            .and_then(|subscriptions| subscriptions.last());
        Ok(last.is_some_and(|last| {
            last.get("connectTime").is_some() && last.get("disconnectTime").is_none()
        }))
    }

    /// GETs a path; `None` if nothing is there.
    ///
    /// # Errors
    /// The control plane does not answer, or refuses.
    pub async fn get(&self, path: &str) -> anyhow::Result<Option<String>> {
        self.client.get(path).await
    }

    /// PUTs a resource.
    ///
    /// # Errors
    /// The control plane does not answer, or refuses.
    pub async fn put(&self, path: &str, resource: &Value) -> anyhow::Result<()> {
        self.client.send(Method::PUT, path, Some(resource)).await.map(drop)
    }
}
