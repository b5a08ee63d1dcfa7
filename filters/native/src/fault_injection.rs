//! Injected faults, for tests (`scripts/native faulty`). The shipped library does not have this code; a test looks for
//! [`MARK`] in it.

use super::abi::Headers;

/// A text that every library with injected faults has, and no other library.
const MARK: &str = "x-zonegate-fault";

/// Panics, if the request asks for it.
#[allow(clippy::panic)] // this function must panic
pub(super) fn at_headers(headers: Headers<'_>) {
    let asked = headers.iter().find(|(name, _)| *name == MARK.as_bytes());
    if asked.is_some_and(|(_, value)| value == b"trap") {
        panic!("{MARK}: as asked");
    }
}
