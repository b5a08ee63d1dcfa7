//! A stand-in for a control plane's API server, whose answers a test sets.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, ETAG, IF_NONE_MATCH, LOCATION};
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use zonegate_issuer::SigningKey;

/// The kind of answer.
#[derive(Clone)]
pub(crate) enum Answer {
    /// The answer of kuma-cp.
    Truly,
    /// Always this answer.
    With(StatusCode, &'static str, String),
    /// These bytes for any request, then the end of the connection.
    Raw(Vec<u8>),
    /// A list without an end.
    Endless,
    /// No answer.
    Never,
    /// A redirect to this URL.
    Elsewhere(String),
}

pub(crate) struct State {
    pub(crate) answer: Answer,
    /// Names and bytes.
    pub(crate) secrets: Vec<(String, Vec<u8>)>,
    /// Meshes, names and bytes.
    pub(crate) mesh_secrets: Vec<(String, String, Vec<u8>)>,
    /// The token of an admin; `None` if no token is needed.
    pub(crate) token: Option<String>,
    pub(crate) page: usize,
    pub(crate) etag: Option<String>,
    /// The version in the answer at `/`.
    pub(crate) version: &'static str,
    /// The number of requests for `/`.
    pub(crate) root_asked: usize,
    /// The other requests: path and query, and the headers that matter.
    pub(crate) asked: Vec<Asked>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) path: String,
    pub(crate) authorization: Option<String>,
    pub(crate) if_none_match: Option<String>,
}

/// The running server. It ends when it is dropped.
pub(crate) struct Api {
    pub(crate) address: SocketAddr,
    state: Arc<Mutex<State>>,
    task: JoinHandle<()>,
}

impl Drop for Api {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Api {
    pub(crate) async fn start() -> Self {
        Self::serve(TcpListener::bind("127.0.0.1:0").await.unwrap(), None)
    }

    pub(crate) async fn start_tls(config: Arc<ServerConfig>) -> Self {
        Self::serve(TcpListener::bind("127.0.0.1:0").await.unwrap(), Some(config))
    }

    /// Starts at an address of this machine that the certificate does not name; not all systems have one.
    pub(crate) async fn start_tls_unnamed(config: Arc<ServerConfig>) -> Option<Self> {
        Some(Self::serve(TcpListener::bind("127.0.0.2:0").await.ok()?, Some(config)))
    }

    /// Starts again at the same address, with the same secrets.
    pub(crate) async fn restart(self) -> Self {
        let address = self.stop().await;
        let again = Self::serve(TcpListener::bind(address).await.unwrap(), None);
        std::mem::swap(&mut *again.state(), &mut *self.state());
        again
    }

    /// Stops listening. Returns the address.
    pub(crate) async fn stop(&self) -> SocketAddr {
        self.task.abort();
        while tokio::net::TcpStream::connect(self.address).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        self.address
    }

    fn serve(listener: TcpListener, tls: Option<Arc<ServerConfig>>) -> Self {
        let address = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new(State {
            answer: Answer::Truly,
            secrets: Vec::new(),
            mesh_secrets: Vec::new(),
            token: None,
            page: 1000,
            etag: None,
            version: "2.14.3",
            root_asked: 0,
            asked: Vec::new(),
        }));
        let shared = Arc::clone(&state);
        let task = tokio::spawn(async move {
            // The connections end with the server.
            let mut connections = tokio::task::JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (state, tls) = (Arc::clone(&shared), tls.clone().map(TlsAcceptor::from));
                connections.spawn(async move {
                    match tls {
                        None => connection(stream, state).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                connection(stream, state).await;
                            }
                        }
                    }
                });
            }
        });
        Self { address, state, task }
    }

    pub(crate) fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Stores a secret as `kumactl apply` does.
    pub(crate) fn set(&self, name: &str, bytes: impl AsRef<[u8]>) {
        let mut state = self.state();
        state.secrets.retain(|(other, _)| other != name);
        state.secrets.push((name.to_owned(), bytes.as_ref().to_vec()));
        state.secrets.sort();
    }

    /// The same for a secret of a mesh.
    pub(crate) fn set_in_mesh(&self, mesh: &str, name: &str, bytes: impl AsRef<[u8]>) {
        let mut state = self.state();
        state.mesh_secrets.retain(|(of, other, _)| (of.as_str(), other.as_str()) != (mesh, name));
        state.mesh_secrets.push((mesh.to_owned(), name.to_owned(), bytes.as_ref().to_vec()));
        state.mesh_secrets.sort();
    }

    pub(crate) fn remove(&self, name: &str) {
        self.state().secrets.retain(|(other, _)| other != name);
    }

    /// Adds a new signing key under this kid.
    pub(crate) fn add_key(&self, kid: &str) -> SigningKey {
        let key = SigningKey::generate(2048).unwrap();
        self.set(&format!("zone-token-signing-key-{kid}"), key.to_pem().as_bytes());
        key
    }

    pub(crate) fn revoke(&self, ids: &str) {
        self.set("zone-token-revocations", ids);
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.state().asked.clone()
    }

    /// Waits until it was asked `more` times from now on.
    pub(crate) async fn asked_again(&self, more: usize) {
        let wanted = self.asked().len() + more;
        let waiting = async {
            while self.asked().len() < wanted {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(crate::tool::LIMIT, waiting).await.expect("nobody asks");
    }

    /// The texts that must not appear anywhere else.
    pub(crate) fn secret_texts(&self) -> Vec<String> {
        let state = self.state();
        let of_meshes = state.mesh_secrets.iter().map(|(_, name, bytes)| (name, bytes));
        let all = state.secrets.iter().map(|(name, bytes)| (name, bytes)).chain(of_meshes);
        let private = all.filter(|(name, _)| name.contains("signing-key"));
        let mut texts: Vec<String> = state.token.clone().into_iter().collect();
        for (_, bytes) in private {
            let pem = String::from_utf8_lossy(bytes).into_owned();
            // The first lines of a private key's body are also in its public half. All lines are in the base64 of the
            // secret.
            texts.extend(pem.lines().skip(7).filter(|line| line.len() == 64).map(str::to_owned));
            texts.extend(STANDARD.encode(bytes).get(600..700).map(str::to_owned));
        }
        texts
    }
}

async fn connection(mut stream: impl AsyncRead + AsyncWrite + Unpin, state: Arc<Mutex<State>>) {
    let answer = state.lock().unwrap().answer.clone();
    if let Answer::Raw(_) | Answer::Endless = answer {
        let _ = stream.read(&mut [0; 4096]).await;
    }
    if let Answer::Raw(bytes) = answer {
        let _ = stream.write_all(&bytes).await;
        let _ = stream.shutdown().await;
        return;
    }
    if let Answer::Endless = answer {
        let head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n{\"items\":[";
        let _ = stream.write_all(head).await;
        while stream.write_all(&[b' '; 256 * 1024]).await.is_ok() {}
        return;
    }
    let service = service_fn(move |request| {
        let state = Arc::clone(&state);
        async move { answer_to(&request, &state).await }
    });
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

async fn answer_to(
    request: &Request<Incoming>,
    state: &Mutex<State>,
) -> Result<Response<Full<Bytes>>, std::convert::Infallible> {
    let header = |name| request.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
    let asked = Asked {
        path: request.uri().path_and_query().unwrap().to_string(),
        authorization: header(AUTHORIZATION),
        if_none_match: header(IF_NONE_MATCH),
    };
    match asked.path.as_str() {
        "/" => {
            assert_eq!(asked.authorization, None);
            state.lock().unwrap().root_asked += 1;
        }
        _ => state.lock().unwrap().asked.push(asked.clone()),
    }
    let answer = state.lock().unwrap().answer.clone();
    if let Answer::Never = answer {
        std::future::pending::<()>().await;
    }
    let state = state.lock().unwrap();
    let built = Response::builder();
    Ok(match answer {
        Answer::With(status, kind, body) => {
            built.status(status).header("content-type", kind).body(Full::from(body)).unwrap()
        }
        Answer::Elsewhere(location) => built
            .status(StatusCode::TEMPORARY_REDIRECT)
            .header(LOCATION, location)
            .body(Full::default())
            .unwrap(),
        _ => truly(&state, &asked, request),
    })
}

/// Answers as kuma-cp 2.14 does (seen with `curl -i`).
fn truly(state: &State, asked: &Asked, request: &Request<Incoming>) -> Response<Full<Bytes>> {
    let json = |status: StatusCode, body: &Value| {
        let mut response =
            Response::builder().status(status).header("content-type", "application/json");
        if let Some(etag) = &state.etag {
            response = response.header(ETAG, etag);
        }
        response.body(Full::from(format!("{body:#}"))).unwrap()
    };
    let error = |status: u16, title: &str| {
        let body = json!({ "type": "/std-errors", "status": status, "title": title });
        json(StatusCode::from_u16(status).unwrap(), &body)
    };
    if asked.path == "/" {
        let root = json!({
            "basedOnKuma": null, "gui": "", "hostname": "cp", "instanceId": "cp-1234",
            "clusterId": "b3cc", "product": "Kuma", "version": state.version,
        });
        return json(StatusCode::OK, &root);
    }
    if let Some(token) = &state.token {
        match &asked.authorization {
            None => return error(403, "Access Denied"),
            Some(sent) if *sent == format!("Bearer {token}") => {}
            Some(sent) if sent.contains("user") => return error(403, "Access Denied"),
            Some(_) => return error(401, "Invalid authentication data"),
        }
    }
    if state.etag.is_some() && asked.if_none_match == state.etag {
        return json(StatusCode::NOT_MODIFIED, &Value::Null);
    }
    let path = request.uri().path();
    let time = "2026-11-24T21:38:29.350560558Z";
    let resource = |kind: &str, name: &str, bytes: &[u8]| {
        json!({
            "type": kind, "name": name, "creationTime": time, "modificationTime": time,
            "data": STANDARD.encode(bytes),
        })
    };
    let resources: Vec<(&str, Value)> = match path {
        "/global-secrets" => {
            let all = state.secrets.iter();
            all.map(|(name, bytes)| (name.as_str(), resource("GlobalSecret", name, bytes)))
                .collect()
        }
        // The secrets of all meshes (Kuma: `pkg/api-server/server.go`).
        "/secrets" => {
            let of_mesh = |(mesh, name, bytes): &(String, String, Vec<u8>)| {
                let mut secret = resource("Secret", name, bytes);
                secret["mesh"] = json!(mesh);
                secret
            };
            let all = state.mesh_secrets.iter();
            all.map(|secret| (secret.1.as_str(), of_mesh(secret))).collect()
        }
        _ => return error(404, "Page Not Found"),
    };
    let query = request.uri().query().unwrap_or_default();
    let parameter = |name: &str| {
        query.split('&').find_map(|pair| pair.split_once('=').filter(|(key, _)| *key == name))
    };
    let contains = parameter("name").map_or("", |(_, value)| value);
    let offset: usize = parameter("offset").map_or(0, |(_, value)| value.parse().unwrap());
    let all: Vec<Value> = resources
        .into_iter()
        .filter(|(name, _)| name.contains(contains))
        .map(|(_, resource)| resource)
        .collect();
    let items: Vec<Value> = all.iter().skip(offset).take(state.page).cloned().collect();
    let end = offset + items.len();
    let host = request.headers().get("host").unwrap().to_str().unwrap();
    let next = (end < all.len()).then(|| format!("http://{host}{path}?offset={end}"));
    json(StatusCode::OK, &json!({ "total": all.len(), "items": items, "next": next }))
}
