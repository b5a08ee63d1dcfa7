//! The record of what the control plane has seen. Tests ask it whether a request reached the control plane.
//!
//! In: events of connections, requests and bodies. Out: copies of them, counts, and a wait that is woken by every
//! event. A request is counted the moment its headers arrive. Its body is kept as it came off the wire, undecoded.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::bail;
use http::{HeaderMap, Version};
use tokio::sync::watch;
use tokio::time::timeout;

/// How a stream ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// The whole answer was handed over, and the request was not reset.
    Cleanly,
    /// The other side reset the stream, or its connection went away.
    Reset,
}

/// One request, as far as it has been seen.
#[derive(Debug, Clone)]
pub struct Request {
    /// The number of its connection, counted from 1.
    pub connection: u64,
    /// HTTP/1.1 or HTTP/2.
    pub version: Version,
    /// The method.
    pub method: String,
    /// Path and query, undecoded.
    pub path: String,
    /// `:authority`, or `host`.
    pub authority: String,
    /// Headers without pseudo-headers. Those of one name keep their order.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The bytes of the body so far. Empty if bodies are not recorded.
    pub body: Vec<u8>,
    /// How many bytes of the body there were so far, recorded or not.
    pub body_bytes: u64,
    /// Trailers, if any came.
    pub trailers: Vec<(String, Vec<u8>)>,
    /// Whether the end of the body was seen.
    pub body_complete: bool,
    /// How the stream ended; `None` while it is open.
    pub ended: Option<Ended>,
}

impl Request {
    /// All values of one header (lower case).
    pub fn header<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.headers.iter().filter(move |(n, _)| n == name).map(|(_, value)| value.as_slice())
    }
}

/// Records all events. Clones share one record.
#[derive(Clone)]
pub struct Recorder {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    changed: watch::Sender<()>,
    record_bodies: bool,
    announce: bool,
}

#[derive(Default)]
struct State {
    connections: u64,
    connections_before_clear: u64,
    next: u64,
    open: usize,
    requests: BTreeMap<u64, Request>,
}

impl Recorder {
    /// Copies of all requests, in order of arrival. Costly for thousands of requests: use [`Self::count`] then.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        self.state().requests.values().cloned().collect()
    }

    /// How many requests came.
    #[must_use]
    pub fn count(&self) -> usize {
        self.state().requests.len()
    }

    /// How many requests ended in this way.
    #[must_use]
    pub fn count_ended(&self, how: Ended) -> usize {
        self.state().requests.values().filter(|request| request.ended == Some(how)).count()
    }

    /// How many TLS connections were made.
    #[must_use]
    pub fn connections(&self) -> u64 {
        let state = self.state();
        state.connections.saturating_sub(state.connections_before_clear)
    }

    /// How many requests are open, of any kind.
    #[must_use]
    pub fn open_streams(&self) -> usize {
        self.state().open
    }

    /// How many requests are open that have this value of a header (lower case).
    #[must_use]
    pub fn open_with(&self, name: &str, value: &[u8]) -> usize {
        let state = self.state();
        let open = state.requests.values().filter(|request| request.ended.is_none());
        open.filter(|request| request.header(name).any(|found| found == value)).count()
    }

    /// Forgets all events so far. Open streams stay in [`Self::open_streams`], but their requests are gone from
    /// [`Self::requests`].
    pub fn clear(&self) {
        let mut state = self.state();
        state.requests.clear();
        state.connections_before_clear = state.connections;
        drop(state);
        self.tell();
    }

    /// Waits until `predicate` holds. It is evaluated at once and after every event.
    ///
    /// # Errors
    /// If it does not hold within `limit`; the text says what was recorded instead.
    pub async fn wait_for(
        &self,
        predicate: impl Fn(&Self) -> bool,
        limit: Duration,
    ) -> anyhow::Result<()> {
        // Subscribe first, so that no event between the check and the wait is missed.
        let mut changes = self.shared.changed.subscribe();
        let wait = async {
            while !predicate(self) {
                // The sender lives in `self`, so this cannot fail.
                changes.changed().await.ok();
            }
        };
        if timeout(limit, wait).await.is_err() {
            bail!("not seen within {limit:?}: {self:?}");
        }
        Ok(())
    }

    pub(super) fn new(record_bodies: bool, announce: bool) -> Self {
        let shared = Shared {
            state: Mutex::default(),
            changed: watch::Sender::new(()),
            record_bodies,
            announce,
        };
        Self { shared: Arc::new(shared) }
    }

    /// Records a TLS connection, and returns its number.
    pub(super) fn connected(&self) -> u64 {
        let mut state = self.state();
        state.connections = state.connections.saturating_add(1);
        let connection = state.connections;
        drop(state);
        self.announce(format_args!("connection {connection}"));
        self.tell();
        connection
    }

    /// Records the headers of a request, and returns its number.
    pub(super) fn arrived(&self, connection: u64, head: &http::request::Parts) -> u64 {
        let request = from_head(connection, head);
        let line = format!("{} {} ({:?})", request.method, request.path, request.version);
        let mut state = self.state();
        let id = state.next;
        state.next = state.next.saturating_add(1);
        state.open = state.open.saturating_add(1);
        state.requests.insert(id, request);
        drop(state);
        self.announce(format_args!("request {id}: {line}"));
        self.tell();
        id
    }

    /// Records a piece of the body.
    pub(super) fn body(&self, id: u64, piece: &[u8]) {
        self.update(id, |request| {
            request.body_bytes = request.body_bytes.saturating_add(piece.len() as u64);
            if self.shared.record_bodies {
                request.body.extend_from_slice(piece);
            }
        });
    }

    /// Records the trailers.
    pub(super) fn trailers(&self, id: u64, trailers: &HeaderMap) {
        self.update(id, |request| request.trailers = pairs(trailers));
    }

    /// Records the end of the body.
    pub(super) fn body_complete(&self, id: u64) {
        self.update(id, |request| request.body_complete = true);
    }

    /// Records the end of the request.
    pub(super) fn ended(&self, id: u64, how: Ended) {
        {
            let mut state = self.state();
            state.open = state.open.saturating_sub(1);
            // Absent after `clear`.
            if let Some(request) = state.requests.get_mut(&id) {
                request.ended = Some(how);
            }
        }
        self.announce(format_args!("request {id}: {how}"));
        self.tell();
    }

    fn update(&self, id: u64, change: impl FnOnce(&mut Request)) {
        // Absent after `clear`.
        if let Some(request) = self.state().requests.get_mut(&id) {
            change(request);
        }
        self.tell();
    }

    fn tell(&self) {
        self.shared.changed.send_replace(());
    }

    fn announce(&self, line: fmt::Arguments<'_>) {
        if self.shared.announce {
            println!("control plane: {line}");
        }
    }

    /// A poisoned lock is used anyway: the record stays valid if another thread panics.
    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        f.debug_struct("Recorder")
            .field("connections", &state.connections)
            .field("requests", &state.requests.len())
            .field("open", &state.open)
            .field("last", &state.requests.values().next_back().map(|r| (&r.path, r.ended)))
            .finish_non_exhaustive()
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cleanly => "ended cleanly",
            Self::Reset => "was reset",
        })
    }
}

fn from_head(connection: u64, head: &http::request::Parts) -> Request {
    let host = || head.headers.get(http::header::HOST).map(|h| h.as_bytes().to_vec());
    let authority = match head.uri.authority() {
        Some(authority) => authority.to_string(),
        None => String::from_utf8_lossy(&host().unwrap_or_default()).into_owned(),
    };
    Request {
        connection,
        version: head.version,
        method: head.method.to_string(),
        path: head.uri.path_and_query().map(ToString::to_string).unwrap_or_default(),
        authority,
        headers: pairs(&head.headers),
        body: Vec::new(),
        body_bytes: 0,
        trailers: Vec::new(),
        body_complete: false,
        ended: None,
    }
}

fn pairs(headers: &HeaderMap) -> Vec<(String, Vec<u8>)> {
    headers.iter().map(|(name, value)| (name.to_string(), value.as_bytes().to_vec())).collect()
}
