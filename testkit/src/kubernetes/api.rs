//! A client of the API server, as the cluster's administrator.
//!
//! In: its address. Out: objects, as JSON. Objects are not validated here; the API server does so.

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
    /// A client of the server at `address`, whose certificate the authority `ca` (PEM) signed.
    ///
    /// # Errors
    /// If `ca` is not a certificate.
    pub fn new(address: SocketAddr, ca: &str, token: &str) -> anyhow::Result<Self> {
        Ok(Self { client: JsonClient::tls(address, ca, token)?, token: token.to_owned() })
    }

    /// The address of the server.
    pub fn address(&self) -> SocketAddr {
        self.client.address()
    }

    /// The administrator's token.
    pub(super) fn token(&self) -> &str {
        &self.token
    }

    /// The keys of the service-account tokens: the document `/openid/v1/jwks`, unchanged.
    ///
    /// # Errors
    /// The API server does not answer as expected.
    pub async fn jwks(&self) -> anyhow::Result<String> {
        self.get("/openid/v1/jwks").await?.context("the API server has no keys")
    }

    /// Creates a namespace.
    ///
    /// # Errors
    /// The API server refuses.
    pub async fn create_namespace(&self, name: &str) -> anyhow::Result<Value> {
        let metadata = json!({ "name": name });
        self.create("/api/v1/namespaces", &json!({ "metadata": metadata })).await
    }

    /// Creates a service account.
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

    /// Creates a node, on which nothing runs.
    ///
    /// # Errors
    /// The API server refuses.
    pub async fn create_node(&self, name: &str) -> anyhow::Result<Value> {
        self.create("/api/v1/nodes", &json!({ "metadata": { "name": name } })).await
    }

    /// Creates a pod of a service account, on `node` if given. Nothing runs it.
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
    /// It does not exist, or the API server refuses.
    pub async fn remove(&self, path: &str) -> anyhow::Result<()> {
        let options = json!({ "gracePeriodSeconds": 0 });
        self.client.send(Method::DELETE, path, Some(&options)).await.map(drop)
    }

    /// POSTs an object. Returns the object that the API server made.
    ///
    /// # Errors
    /// The API server refuses; with its message.
    pub async fn create(&self, path: &str, object: &Value) -> anyhow::Result<Value> {
        let text = self.client.send(Method::POST, path, Some(object)).await?;
        Ok(serde_json::from_str(&text)?)
    }

    /// GETs a path; `None` if nothing is there.
    ///
    /// # Errors
    /// The API server does not answer, or refuses.
    pub async fn get(&self, path: &str) -> anyhow::Result<Option<String>> {
        self.client.get(path).await
    }
}
