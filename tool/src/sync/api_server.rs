//! A client of a control plane's API server, for the one thing that is read there.
//!
//! In: an [`Address`], and where token, CA and client certificate are. Out: the GlobalSecrets that zone
//! tokens depend on, or why there are none. Files are read anew for each poll, so all of them may be
//! replaced at any time. Nothing that the server says is repeated in an error: it may be a secret.
//!
//! Answers are wiped from memory when they have been read. What the HTTP and TLS libraries still have
//! in their buffers is not.

mod connector;
mod root;
mod trust;

pub(super) use trust::is_ca_as_server;

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use http::header::{AUTHORIZATION, CONTENT_TYPE, ETAG, IF_NONE_MATCH, USER_AGENT};
use http::{HeaderMap, HeaderValue, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper_util::client::legacy::Client;
use tokio::time::timeout;
use zeroize::Zeroizing;

use super::address::Address;
use super::admin_token::TokenSource;
use super::answer::{Page, join};
use super::fetch_error::FetchError;
use super::rendered::Reads;
use crate::kuma_inputs::Secrets;
use connector::Connector;

/// How to ask.
#[derive(Debug, Clone)]
pub struct ApiServer {
    /// Where.
    pub address: Address,
    /// As whom.
    pub token: TokenSource,
    /// The CA of the server's certificate, PEM; needed for `https`.
    pub ca: Option<PathBuf>,
    /// A certificate to show, and its key, PEM.
    pub client: Option<ClientCertificate>,
    /// How long all of a poll may take.
    pub timeout: Duration,
}

/// A certificate by which the server knows an admin.
#[derive(Debug, Clone)]
pub struct ClientCertificate {
    /// The certificate and what leads to its CA.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// What a poll found.
pub enum Found {
    /// What the server said last time.
    Unchanged,
    /// These.
    Secrets {
        /// The secrets.
        secrets: Secrets,
        /// By which the server can tell next time that they are unchanged.
        etag: Option<Etag>,
    },
}

/// The version of an answer (RFC 9110 section 8.8.3). kuma-cp gives none; a server in front of it may.
#[derive(Clone, PartialEq, Eq)]
pub struct Etag(HeaderValue);

/// It may be anything; it is not shown.
impl fmt::Debug for Etag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Etag")
    }
}

/// Names that contain this: the keys and the revocations. What else the control plane keeps secret,
/// such as the keys of its CAs, is not asked for.
const OF_ZONE_TOKENS: &str = "/global-secrets?name=zone-token&size=1000";
/// Of all meshes, and the revocations where Kuma reads them since 2.10.
const OF_DATAPLANE_TOKENS: [&str; 2] = [
    "/secrets?name=dataplane-token&size=1000",
    "/global-secrets?name=dataplane-token-revocations&size=1000",
];
/// More than a million revoked ids.
const MAX_BYTES: usize = 64 * 1024 * 1024;
/// Of a thousand secrets each.
const MAX_PAGES: usize = 100;

impl ApiServer {
    /// Whether everything is there that asking takes.
    ///
    /// # Errors
    /// A file is missing or has not what it should have; see [`FetchError`].
    pub fn check(&self) -> Result<(), FetchError> {
        Connector::new(self)?;
        self.token.header().map_err(FetchError::Token)?;
        Ok(())
    }

    /// Asks.
    ///
    /// # Errors
    /// See [`FetchError`].
    pub async fn fetch(&self, reads: Reads, known: Option<&Etag>) -> Result<Found, FetchError> {
        let connector = Connector::new(self)?;
        let poll = Poll {
            server: self,
            client: Client::builder(hyper_util::rt::TokioExecutor::new()).build(connector.0),
            token: self.token.header().map_err(FetchError::Token)?,
        };
        timeout(self.timeout, poll.run(&queries(reads), known))
            .await
            .unwrap_or_else(|_| Err(FetchError::Timeout(self.timeout)))
    }
}

/// One poll.
struct Poll<'a> {
    server: &'a ApiServer,
    client: Client<connector::Https, Empty<Bytes>>,
    token: Option<HeaderValue>,
}

impl Poll<'_> {
    /// A version of one answer says nothing about the others.
    async fn run(&self, queries: &[&str], known: Option<&Etag>) -> Result<Found, FetchError> {
        let known = known.filter(|_| queries.len() == 1);
        let mut all = Secrets::default();
        let mut last = None;
        for query in queries {
            let Found::Secrets { secrets, etag } = self.list(query, known).await? else {
                return Ok(Found::Unchanged);
            };
            all = all.and(secrets).map_err(FetchError::Secrets)?;
            last = etag;
        }
        if all.keys().next().is_none() && all.mesh_keys().next().is_none() {
            return Err(FetchError::NoKeys { unusable: all.skipped().len() });
        }
        Ok(Found::Secrets { secrets: all, etag: last.filter(|_| queries.len() == 1) })
    }

    async fn list(&self, query: &str, known: Option<&Etag>) -> Result<Found, FetchError> {
        let Some((headers, body)) = self.page(query, known, MAX_BYTES).await? else {
            return Ok(Found::Unchanged);
        };
        let mut next = next(query, &body, &headers)?;
        let mut bodies = vec![body];
        while let Some(next_query) = next {
            if bodies.len() >= MAX_PAGES {
                return Err(FetchError::TooLarge(MAX_BYTES));
            }
            let page = self.page(&next_query, None, room(&bodies)).await?;
            let (headers, body) = page.ok_or(FetchError::NotTheApi)?;
            next = self::next(query, &body, &headers)?;
            bodies.push(body);
        }
        // A version of one page says nothing about the others.
        let etag = headers.get(ETAG).filter(|_| bodies.len() == 1).cloned().map(Etag);
        Ok(Found::Secrets { secrets: secrets(&bodies)?, etag })
    }

    /// One page, or `None` where it is the known one.
    async fn page(
        &self,
        query: &str,
        known: Option<&Etag>,
        room: usize,
    ) -> Result<Option<(HeaderMap, Zeroizing<Vec<u8>>)>, FetchError> {
        let uri = self.server.address.join(query).map_err(FetchError::Address)?;
        let answer = self.client.request(self.request(uri, known)?).await;
        let answer = answer.map_err(|error| FetchError::of(&error))?;
        let (head, body) = answer.into_parts();
        match head.status {
            StatusCode::OK => Ok(Some((head.headers, read(body, room).await?))),
            StatusCode::NOT_MODIFIED if known.is_some() => Ok(None),
            StatusCode::UNAUTHORIZED => Err(FetchError::Unauthorized(self.server.token.clone())),
            StatusCode::FORBIDDEN => Err(FetchError::Forbidden(self.server.token.clone())),
            status if status.is_redirection() => Err(FetchError::Redirect(status)),
            status => Err(FetchError::Status(status)),
        }
    }

    fn request(&self, uri: Uri, known: Option<&Etag>) -> Result<Request<Empty<Bytes>>, FetchError> {
        let mut request = Request::get(uri)
            .header(USER_AGENT, concat!("zonegate/", env!("CARGO_PKG_VERSION")))
            .header(http::header::ACCEPT, "application/json");
        if let Some(token) = &self.token {
            request = request.header(AUTHORIZATION, token);
        }
        if let Some(Etag(etag)) = known {
            request = request.header(IF_NONE_MATCH, etag);
        }
        request.body(Empty::new()).map_err(|_| FetchError::NotTheApi)
    }
}

fn queries(reads: Reads) -> Vec<&'static str> {
    let zone_tokens = reads.zone_tokens.then_some(OF_ZONE_TOKENS);
    let dataplane_tokens = OF_DATAPLANE_TOKENS.into_iter().filter(|_| reads.dataplane_tokens);
    zone_tokens.into_iter().chain(dataplane_tokens).collect()
}

/// How much may still come.
fn room(bodies: &[Zeroizing<Vec<u8>>]) -> usize {
    bodies.iter().fold(MAX_BYTES, |room, body| room.saturating_sub(body.len()))
}

async fn read(mut body: Incoming, room: usize) -> Result<Zeroizing<Vec<u8>>, FetchError> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(64 * 1024));
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| FetchError::of(&error))?;
        let Some(chunk) = frame.data_ref() else { continue };
        if bytes.len().saturating_add(chunk.len()) > room {
            return Err(FetchError::TooLarge(MAX_BYTES));
        }
        append(&mut bytes, chunk);
    }
    Ok(bytes)
}

/// `Vec` would free its old room without wiping it.
fn append(bytes: &mut Zeroizing<Vec<u8>>, chunk: &[u8]) {
    let needed = bytes.len().saturating_add(chunk.len());
    if needed > bytes.capacity() {
        let mut larger = Zeroizing::new(Vec::with_capacity(needed.saturating_mul(2)));
        larger.extend_from_slice(bytes);
        *bytes = larger;
    }
    bytes.extend_from_slice(chunk);
}

/// How to ask for the page after this one.
fn next(query: &str, body: &[u8], headers: &HeaderMap) -> Result<Option<String>, FetchError> {
    let Some(page) = Page::parse(body) else {
        let kind = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
        let is_html = kind.starts_with(b"text/html");
        return Err(if is_html { FetchError::Html } else { FetchError::NotTheApi });
    };
    Ok(page.next()?.map(|offset| format!("{query}&offset={offset}")))
}

fn secrets(bodies: &[Zeroizing<Vec<u8>>]) -> Result<Secrets, FetchError> {
    let pages: Option<Vec<_>> = bodies.iter().map(|body| Page::parse(body)).collect();
    let pages = pages.ok_or(FetchError::NotTheApi)?;
    let list = join(&pages).map_err(|(there, total)| FetchError::Incomplete { there, total })?;
    Secrets::parse(&list).map_err(FetchError::Secrets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_grow_keep_their_contents() {
        let mut bytes = Zeroizing::new(Vec::with_capacity(1));
        for chunk in [&b"a"[..], b"bcd", b"", b"efghijkl"] {
            append(&mut bytes, chunk);
        }
        assert_eq!(bytes.as_slice(), b"abcdefghijkl");
    }
}
