//! Tokens of service accounts: how the API server issues and judges them.
//!
//! In: a [`TokenRequest`]; or a text that may be a token. Out: a token; or a [`Review`], the API
//! server's verdict. Kuma: `pkg/xds/auth/k8s/authenticator.go` asks for a review without audiences, as is
//! done here.

use anyhow::Context;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Api;

/// What a token is to say: `TokenRequest` of `authentication.k8s.io/v1`.
#[derive(Debug, Clone)]
pub struct TokenRequest<'a> {
    /// Of the service account.
    pub namespace: &'a str,
    /// Its name.
    pub service_account: &'a str,
    /// Where there are none, the API server's own.
    pub audiences: &'a [&'a str],
    /// How long it is valid, in seconds; the API server takes nothing below 600.
    pub valid_for: u64,
    /// What it is valid as long as.
    pub bound: Option<Bound<'a>>,
}

/// An object; with it, the token ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound<'a> {
    /// A pod, as the kubelet does it.
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
    /// Whether it is good.
    pub authenticated: bool,
    /// Whose it is.
    pub user: User,
    /// For which of the audiences.
    pub audiences: Vec<String>,
    /// Why not, where it is not; often the API server does not say.
    pub error: String,
}

/// Whose a token is.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct User {
    /// `system:serviceaccount:NAMESPACE:NAME`.
    pub username: String,
    /// The pod and the node, where it names any; the ID of the token.
    pub extra: Value,
}

impl Default for Review {
    fn default() -> Self {
        let (audiences, error) = (Vec::new(), String::new());
        Self { authenticated: false, user: User::default(), audiences, error }
    }
}

impl<'a> TokenRequest<'a> {
    /// For an hour, for the API server's own audiences, bound to nothing.
    #[must_use]
    pub fn new(namespace: &'a str, service_account: &'a str) -> Self {
        Self { namespace, service_account, audiences: &[], valid_for: 3600, bound: None }
    }

    /// The same, bound.
    #[must_use]
    pub fn bound(self, to: Bound<'a>) -> Self {
        Self { bound: Some(to), ..self }
    }
}

impl Api {
    /// Has a token issued.
    ///
    /// # Errors
    /// The API server refuses, with its words.
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

    /// Asks what a token is worth, as Kuma asks. The API server remembers a good token for some
    /// seconds, also when its pod is gone.
    ///
    /// # Errors
    /// The API server does not answer as it should.
    pub async fn review(&self, token: &str) -> anyhow::Result<Review> {
        let path = "/apis/authentication.k8s.io/v1/tokenreviews";
        let answer = self.create(path, &json!({ "spec": { "token": token } })).await?;
        let status = answer.get("status").context("a review without a status")?;
        Ok(serde_json::from_value(status.clone())?)
    }
}
