//! The host's state of streams and configurations. One thread owns all of it, except the lists through which the
//! library's own thread wakes streams.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::c_void;
use std::sync::Mutex;

/// A stream.
#[derive(Debug, Default)]
pub(crate) struct Stream {
    pub(crate) headers: Vec<(Vec<u8>, Vec<u8>)>,
    /// The body that the host has buffered, and the piece that has just come.
    pub(crate) kept: Vec<u8>,
    pub(crate) received: Vec<u8>,
    pub(crate) filter_state: BTreeSet<Vec<u8>>,
    pub(crate) module: usize,
    pub(crate) config: usize,
    pub(crate) is_answered: bool,
    pub(crate) is_reset: bool,
    pub(crate) is_gone: bool,
    /// Whether its headers have passed.
    pub(crate) has_passed: bool,
    /// Whether the library has resumed it outside a hook of its own.
    pub(crate) is_resumed: bool,
}

impl Stream {
    pub(crate) fn is_over(&self) -> bool {
        self.is_answered || self.is_reset || self.is_gone
    }
}

/// The whole state.
#[derive(Debug, Default)]
pub(crate) struct Host {
    pub(crate) streams: BTreeMap<usize, Stream>,
    pub(crate) last: usize,
    /// The metrics of each configuration: names by number.
    pub(crate) metrics: BTreeMap<usize, Vec<String>>,
    pub(crate) values: BTreeMap<String, i64>,
    /// Configurations that asked for a later call.
    pub(crate) later: Vec<usize>,
    /// Whether a stream is destroyed inside the call that ends it.
    pub(crate) ends_inside: bool,
    pub(crate) log: Vec<String>,
}

thread_local! {
    static HOST: RefCell<Host> = RefCell::default();
}

/// The stream of each scheduler that the library holds.
pub(crate) static SCHEDULERS: Mutex<Vec<usize>> = Mutex::new(Vec::new());

/// Streams whose worker is to be woken.
pub(crate) static WOKEN: Mutex<Vec<usize>> = Mutex::new(Vec::new());

/// Accesses the whole state. No hook may run during the call.
pub(crate) fn with<T>(look: impl FnOnce(&mut Host) -> T) -> T {
    HOST.with_borrow_mut(look)
}

/// Accesses the stream of a filter that the library names. The stream must exist.
pub(crate) fn stream<T>(filter: *mut c_void, look: impl FnOnce(&mut Stream) -> T) -> T {
    with(|host| match host.streams.get_mut(&filter.addr()) {
        Some(stream) if !stream.is_gone => look(stream),
        // A panic must not cross into the library.
        _ => {
            eprintln!("the library names a filter that is gone: {filter:?}");
            std::process::abort()
        }
    })
}
