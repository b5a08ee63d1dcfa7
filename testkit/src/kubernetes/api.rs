//! The API server, as the cluster's administrator uses it.
//!
//! In: where it is. Out: objects, as JSON. What an object must have is not known here: the API server
//! says so.

use std::net::SocketAddr;

use anyhow::Context;
use hyper::Method;
use serde_json::{Value, json};

use crate::json_client::JsonClient;

/// A client of the API.
#[derive(Debug, Clone)]
pub struct Api {
    client: JsonClient,
    token: String,
}

impl Api {
    /// Of the server at `address`, whose certificate is of the authority `ca` (PEM).
    ///
    /// # Errors
    /// If `ca` is not a certificate.
    pub fn new(address: SocketAddr, ca: &str, token: &str) -> anyhow::Result<Self> {
        Ok(Self { client: JsonClient::tls(address, ca, token)?, token: token.to_owned() })
    }

    /// Where it is.
    pub fn address(&self) -> SocketAddr {
        self.client.address()
    }

    /// The administrator's token.
    pub(super) fn token(&self) -> &str {
        &self.token
    }

    /// The keys of the service-account tokens: the document `/openid/v1/jwks`, as it is.
    ///
    /// # Errors
    /// The API server does not answer as it should.
    pub async fn jwks(&self) -> anyhow::Result<String> {
        self.get("/openid/v1/jwks").await?.context("the API server has no keys")
    }

    /// Makes a namespace.
    ///
    /// # Errors
    /// The API server refuses.
    pub async fn create_namespace(&self, name: &str) -> anyhow::Result<Value> {
        let metadata = json!({ "name": name });
        self.create("/api/v1/namespaces", &json!({ "metadata": metadata })).await
    }

    /// Makes a service account.
    ///
    /// # Errors
    /// The API server refuses.
    pub async fn create_service_account(
        &self,
        namespace: &str,
        name: &str,
    ) -> anyhow::Result<Value> {
        let path = format!("/api/v1/namespaces/{namespace}/serviceaccounts");
        self.create(&path, &json!({ "metadata": { "name": name } })).await
    }

    /// Makes a node, which nothing runs on.
    ///
    /// # Errors
    /// The API server refuses.
    pub async fn create_node(&self, name: &str) -> anyhow::Result<Value> {
        self.create("/api/v1/nodes", &json!({ "metadata": { "name": name } })).await
    }

    /// Makes a pod of a service account; on `node`, if there is one. Nothing runs it.
    ///
    /// # Errors
    /// The API server refuses.
    pub async fn create_pod(
        &self,
        namespace: &str,
        name: &str,
        service_account: &str,
        node: Option<&str>,
    ) -> anyhow::Result<Value> {
        let mut spec = json!({
            "serviceAccountName": service_account,
            "containers": [{ "name": "only", "image": "none" }],
        });
        if let (Some(node), Some(fields)) = (node, spec.as_object_mut()) {
            fields.insert("nodeName".to_owned(), json!(node));
        }
        let pod = json!({ "metadata": { "name": name }, "spec": spec });
        self.create(&format!("/api/v1/namespaces/{namespace}/pods"), &pod).await
    }

    /// Removes an object at once, without the grace period in which a kubelet would stop a pod.
    ///
    /// # Errors
    /// There is none, or the API server refuses.
    pub async fn remove(&self, path: &str) -> anyhow::Result<()> {
        let options = json!({ "gracePeriodSeconds": 0 });
        self.client.send(Method::DELETE, path, Some(&options)).await.map(drop)
    }

    /// POSTs an object; what the API server made of it.
    ///
    /// # Errors
    /// The API server refuses, with its words.
    pub async fn create(&self, path: &str, object: &Value) -> anyhow::Result<Value> {
        let text = self.client.send(Method::POST, path, Some(object)).await?;
        Ok(serde_json::from_str(&text)?)
    }

    /// GETs a path; `None` where there is nothing.
    ///
    /// # Errors
    /// The API server does not answer, or refuses.
    pub async fn get(&self, path: &str) -> anyhow::Result<Option<String>> {
        self.client.get(path).await
    }
}
