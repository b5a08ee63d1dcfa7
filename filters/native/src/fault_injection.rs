//! Faults to order, for the tests of what becomes of them (`scripts/native faulty`). The library that is
//! shipped has nothing of this; a test looks for [`MARK`] in it.

use super::abi::Headers;

/// Stands in every library that has faults, and in no other.
const MARK: &str = "x-zonegate-fault";

/// Panics, where the request asks for it.
#[allow(clippy::panic)] // that is what it is for
pub(super) fn at_headers(headers: Headers<'_>) {
    let asked = headers.iter().find(|(name, _)| *name == MARK.as_bytes());
    if asked.is_some_and(|(_, value)| value == b"trap") {
        panic!("{MARK}: as asked");
    }
}
