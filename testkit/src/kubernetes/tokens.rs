//! Tokens of service accounts: how the API server issues and judges them.
//!
//! In: a [`TokenRequest`]; or a text that may be a token. Out: a token; or a [`Review`], the API server's verdict. The
//! review is requested without audiences, as Kuma does (`pkg/xds/auth/k8s/authenticator.go`).

use anyhow::Context;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Api;

/// The wanted token: `TokenRequest` of `authentication.k8s.io/v1`.
#[derive(Debug, Clone)]
pub struct TokenRequest<'a> {
    /// The namespace of the service account.
    pub namespace: &'a str,
    /// The name of the service account.
    pub service_account: &'a str,
    /// If empty, the API server's own audiences.
    pub audiences: &'a [&'a str],
    /// The lifetime in seconds; the API server accepts no less than 600.
    pub valid_for: u64,
    /// The object that the token is bound to.
    pub bound: Option<Bound<'a>>,
}

/// An object that a token is bound to. If the object is deleted, the token is no longer valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound<'a> {
    /// A pod, as in a kubelet's request.
    Pod(&'a str),
    /// A secret.
    Secret(&'a str),
    /// A node.
    Node(&'a str),
}

/// The API server's verdict on a token: `TokenReview` of `authentication.k8s.io/v1`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default)]
pub struct Review {
    /// Whether the token is valid.
    pub authenticated: bool,
    /// The user of the token.
    pub user: User,
    /// The requested audiences that the token is valid for.
    pub audiences: Vec<String>,
    /// The error if the token is not valid; often empty.
    pub error: String,
}

/// The user of a token.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct User {
    /// `system:serviceaccount:NAMESPACE:NAME`.
    pub username: String,
    /// The pod and the node, if the token names them; the ID of the token.
    pub extra: Value,
}

impl Default for Review {
    fn default() -> Self {
        let (audiences, error) = (Vec::new(), String::new());
        Self { authenticated: false, user: User::default(), audiences, error }
    }
}

impl<'a> TokenRequest<'a> {
    /// A token for an hour, for the API server's own audiences, bound to nothing.
    #[must_use]
    pub fn new(namespace: &'a str, service_account: &'a str) -> Self {
        Self { namespace, service_account, audiences: &[], valid_for: 3600, bound: None }
    }

    /// The same token, bound to an object.
    #[must_use]
    pub fn bound(self, to: Bound<'a>) -> Self {
        Self { bound: Some(to), ..self }
    }
}

impl Api {
    /// Requests a token.
    ///
    /// # Errors
    /// The API server refuses; with its message.
    pub async fn token_for(&self, request: &TokenRequest<'_>) -> anyhow::Result<String> {
        let TokenRequest { namespace, service_account, audiences, valid_for, bound } = request;
        let bound = bound.map(|bound| match bound {
            Bound::Pod(name) => json!({ "kind": "Pod", "apiVersion": "v1", "name": name }),
            Bound::Secret(name) => json!({ "kind": "Secret", "apiVersion": "v1", "name": name }),
            Bound::Node(name) => json!({ "kind": "Node", "apiVersion": "v1", "name": name }),
        });
        let spec = json!({
            "audiences": audiences,
            "expirationSeconds": valid_for,
            "boundObjectRef": bound,
        });
        let path =
            format!("/api/v1/namespaces/{namespace}/serviceaccounts/{service_account}/token");
        let answer = self.create(&path, &json!({ "spec": spec })).await?;
        let token = answer.pointer("/status/token").and_then(Value::as_str);
        Ok(token.context("the API server issued no token")?.to_owned())
    }

    /// Requests a review of a token, as Kuma does. The API server caches a valid token for some seconds, even if its
    /// pod is deleted.
    ///
    /// # Errors
    /// The API server does not answer as expected.
    pub async fn review(&self, token: &str) -> anyhow::Result<Review> {
        let path = "/apis/authentication.k8s.io/v1/tokenreviews";
        let answer = self.create(path, &json!({ "spec": { "token": token } })).await?;
        let status = answer.get("status").context("a review without a status")?;
        Ok(serde_json::from_value(status.clone())?)
    }
}
