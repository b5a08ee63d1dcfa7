//! The API server, as the cluster's administrator uses it.
//!
//! In: where it is. Out: objects, as JSON. What an object must have is not known here: the API server
//! says so.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, bail};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::ServerName;

use crate::certificates::{HTTP_1_1, client_config};

/// A client of the API.
#[derive(Debug, Clone)]
pub struct Api {
    address: SocketAddr,
    tls: Arc<ClientConfig>,
    token: String,
}

impl Api {
    /// Of the server at `address`, whose certificate is of the authority `ca` (PEM).
    ///
    /// # Errors
    /// If `ca` is not a certificate.
    pub fn new(address: SocketAddr, ca: &str, token: &str) -> anyhow::Result<Self> {
        Ok(Self { address, tls: client_config(ca, &[HTTP_1_1])?, token: token.to_owned() })
    }

    /// Where it is.
    pub fn address(&self) -> SocketAddr {
        self.address
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
        self.send(Method::DELETE, path, Some(&options)).await.map(drop)
    }

    /// POSTs an object; what the API server made of it.
    ///
    /// # Errors
    /// The API server refuses, with its words.
    pub async fn create(&self, path: &str, object: &Value) -> anyhow::Result<Value> {
        let text = self.send(Method::POST, path, Some(object)).await?;
        Ok(serde_json::from_str(&text)?)
    }

    /// GETs a path; `None` where there is nothing.
    ///
    /// # Errors
    /// The API server does not answer, or refuses.
    pub async fn get(&self, path: &str) -> anyhow::Result<Option<String>> {
        let (status, text) = self.answer(Method::GET, path, None).await?;
        match status {
            StatusCode::NOT_FOUND => Ok(None),
            status if status.is_success() => Ok(Some(text)),
            status => bail!("GET {path}: {status}: {text}"),
        }
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> anyhow::Result<String> {
        let (status, text) = self.answer(method.clone(), path, body).await?;
        match status.is_success() {
            true => Ok(text),
            false => bail!("{method} {path}: {status}: {text}"),
        }
    }

    /// A connection each: whoever asks is in no hurry.
    async fn answer(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> anyhow::Result<(StatusCode, String)> {
        let body = body.map(Value::to_string).unwrap_or_default();
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", self.address.to_string())
            .header("authorization", format!("Bearer {}", self.token))
            .header("content-type", "application/json")
            .body(Full::new(Bytes::from(body)))?;
        let tcp = TcpStream::connect(self.address).await.context("connecting to the API server")?;
        let name = ServerName::try_from("localhost")?;
        let tls = TlsConnector::from(Arc::clone(&self.tls)).connect(name, tcp).await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(tls)).await?;
        let connection = tokio::spawn(connection);
        let answer = sender.send_request(request).await.context("asking the API server")?;
        let status = answer.status();
        let body = answer.into_body().collect().await?.to_bytes();
        connection.abort();
        Ok((status, String::from_utf8_lossy(&body).into_owned()))
    }
}
