//! Ports for programs that cannot report a port that the system chose.
//!
//! In: nothing. Out: a port that was free a moment ago, and was not given out before.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::sync::{Mutex, PoisonError};

use anyhow::bail;
use rand::RngExt;

/// Below the range from which Linux takes ports for outgoing connections, so that none of those takes a port before the
/// program listens.
const RANGE: std::ops::Range<u16> = 20_000..32_000;

/// The ports that were given out; their programs may not listen yet.
static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());

/// A port that is free on all interfaces.
///
/// # Errors
/// No free port was found.
pub fn free_port() -> anyhow::Result<u16> {
    for _ in 0..100 {
        let port = rand::rng().random_range(RANGE);
        let free = TcpListener::bind(("0.0.0.0", port)).and_then(|listener| {
            drop(listener);
            TcpListener::bind(("::", port)).or_else(|_| TcpListener::bind(("0.0.0.0", port)))
        });
        let mut given = GIVEN.lock().unwrap_or_else(PoisonError::into_inner);
        if free.is_ok() && given.insert(port) {
            return Ok(port);
        }
    }
    bail!("no free port")
}
