//! Injected faults, for tests (`scripts/native faulty`). The shipped library does not have this code; a test looks for
//! [`MARK`] in it.

use std::cell::Cell;

use super::abi::Headers;

/// A text that every library with injected faults has, and no other library.
const MARK: &str = "x-zonegate-fault";

thread_local! {
    /// Whether a request asked for a panic when a stream is woken.
    static WHEN_WOKEN: Cell<bool> = const { Cell::new(false) };
}

/// Panics, if the request asks for it.
#[allow(clippy::panic)] // this function must panic
pub(super) fn at_headers(headers: Headers<'_>) {
    let asked = headers.iter().find(|(name, _)| *name == MARK.as_bytes());
    match asked {
        Some((_, b"trap")) => panic!("{MARK}: as asked"),
        Some((_, b"trap when woken")) => WHEN_WOKEN.set(true),
        _ => {}
    }
}

/// Panics once, if a request has asked for it.
#[allow(clippy::panic)] // as above
pub(super) fn when_woken() {
    if WHEN_WOKEN.take() {
        panic!("{MARK}: as asked, when woken");
    }
}
