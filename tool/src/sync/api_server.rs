//! A client of a control plane's API server, which only reads secrets.
//!
//! In: an [`Address`], and the sources of token, CA and client certificate. Out: the secrets for tokens, or why there
//! are none. Files are read again for each poll, so all of them may be replaced at any time. An error never repeats the
//! server's response, which may be a secret.
//!
//! Responses are wiped from memory after they have been read. The buffers of the HTTP and TLS libraries are not wiped.

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

/// How to reach the API server.
#[derive(Debug, Clone)]
pub struct ApiServer {
    /// The address of the server.
    pub address: Address,
    /// The admin token.
    pub token: TokenSource,
    /// The CA of the server's certificate, PEM; needed for `https`.
    pub ca: Option<PathBuf>,
    /// A client certificate and its key, PEM.
    pub client: Option<ClientCertificate>,
    /// The time limit of a poll.
    pub timeout: Duration,
}

/// A certificate with which an admin authenticates.
#[derive(Debug, Clone)]
pub struct ClientCertificate {
    /// The certificate and its chain.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// The result of a poll.
pub enum Found {
    /// The secrets are the same as last time.
    Unchanged,
    /// New secrets.
    Secrets {
        /// The secrets.
        secrets: Secrets,
        /// The version, with which the server can tell next time that they are unchanged.
        etag: Option<Etag>,
    },
}

/// The version of a response (RFC 9110 section 8.8.3). kuma-cp sends none; a server in front of it may.
#[derive(Clone, PartialEq, Eq)]
pub struct Etag(HeaderValue);

/// The version is not shown, because it may contain anything.
impl fmt::Debug for Etag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Etag")
    }
}

/// Secrets with this in their names: the keys and the revocations. Other secrets of the control plane, such as the keys
/// of its CAs, are not requested.
const OF_ZONE_TOKENS: &str = "/global-secrets?name=zone-token&size=1000";
/// The secrets of all meshes, and the global revocations, which Kuma reads since 2.10.
const OF_DATAPLANE_TOKENS: [&str; 2] = [
    "/secrets?name=dataplane-token&size=1000",
    "/global-secrets?name=dataplane-token-revocations&size=1000",
];
/// Enough for more than a million revoked ids.
const MAX_BYTES: usize = 64 * 1024 * 1024;
/// Pages have a thousand secrets each.
const MAX_PAGES: usize = 100;

impl ApiServer {
    /// Checks all files that a poll needs.
    ///
    /// # Errors
    /// A file is missing or has the wrong contents; see [`FetchError`].
    pub fn check(&self) -> Result<(), FetchError> {
        Connector::new(self)?;
        self.token.header().map_err(FetchError::Token)?;
        Ok(())
    }

    /// Polls the API server.
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
    /// The version of one response says nothing about the others, so it only counts for a single response.
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
        // The version of one page says nothing about the others.
        let etag = headers.get(ETAG).filter(|_| bodies.len() == 1).cloned().map(Etag);
        Ok(Found::Secrets { secrets: secrets(&bodies)?, etag })
    }

    /// One page, or `None` if it is the known one.
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

/// The number of bytes that may still come.
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

/// `Vec` would free its old buffer without wiping it.
fn append(bytes: &mut Zeroizing<Vec<u8>>, chunk: &[u8]) {
    let needed = bytes.len().saturating_add(chunk.len());
    if needed > bytes.capacity() {
        let mut larger = Zeroizing::new(Vec::with_capacity(needed.saturating_mul(2)));
        larger.extend_from_slice(bytes);
        *bytes = larger;
    }
    bytes.extend_from_slice(chunk);
}

/// The query for the next page.
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
