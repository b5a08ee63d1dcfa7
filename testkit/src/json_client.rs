//! A client of an HTTP API that speaks JSON, with an administrator's rights.
//!
//! In: the address, and the administrator's credential. Out: answers, as text. They are not interpreted here.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, bail};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::ServerName;

use crate::certificates::{HTTP_1_1, client_config};

/// A client of such an API.
#[derive(Debug, Clone)]
pub(crate) struct JsonClient {
    address: SocketAddr,
    administrator: Administrator,
}

/// How the API authenticates its administrator.
#[derive(Debug, Clone)]
enum Administrator {
    /// Every client on loopback is the administrator, by plain HTTP.
    Loopback,
    /// By this token, over TLS.
    Token(Arc<ClientConfig>, String),
}

impl JsonClient {
    /// A client of the server at `address`, plain HTTP.
    pub(crate) fn plain(address: SocketAddr) -> Self {
        Self { address, administrator: Administrator::Loopback }
    }

    /// A client of the server at `address`, whose certificate the authority `ca` (PEM) signed.
    pub(crate) fn tls(address: SocketAddr, ca: &str, token: &str) -> anyhow::Result<Self> {
        let tls = client_config(ca, &[HTTP_1_1])?;
        Ok(Self { address, administrator: Administrator::Token(tls, token.to_owned()) })
    }

    /// The address of the server.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// GETs a path; `None` if nothing is there.
    pub(crate) async fn get(&self, path: &str) -> anyhow::Result<Option<String>> {
        let (status, text) = self.answer(Method::GET, path, None).await?;
        match status {
            StatusCode::NOT_FOUND => Ok(None),
            status if status.is_success() => Ok(Some(text)),
            status => bail!("GET {path}: {status}: {text}"),
        }
    }

    /// Sends a body, and returns the answer.
    pub(crate) async fn send(
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

    /// Makes a new connection for each request: speed does not matter here.
    async fn answer(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> anyhow::Result<(StatusCode, String)> {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", self.address.to_string())
            .header("content-type", "application/json");
        if let Administrator::Token(_, token) = &self.administrator {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let body = body.map(Value::to_string).unwrap_or_default();
        let request = request.body(Full::new(Bytes::from(body)))?;
        let tcp = TcpStream::connect(self.address);
        let tcp = tcp.await.with_context(|| format!("connecting to {}", self.address))?;
        match &self.administrator {
            Administrator::Loopback => ask(tcp, request).await,
            Administrator::Token(tls, _) => {
                let name = ServerName::try_from("localhost")?;
                ask(TlsConnector::from(Arc::clone(tls)).connect(name, tcp).await?, request).await
            }
        }
    }
}

async fn ask(
    connection: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    request: Request<Full<Bytes>>,
) -> anyhow::Result<(StatusCode, String)> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(connection)).await?;
    let connection = tokio::spawn(connection);
    let answer = sender.send_request(request).await.context("asking the server")?;
    let status = answer.status();
    let body = answer.into_body().collect().await?.to_bytes();
    connection.abort();
    Ok((status, String::from_utf8_lossy(&body).into_owned()))
}
