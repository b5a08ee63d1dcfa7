//! What the names of secrets say.
//!
//! In: a name. Out: the kid in it, or the name that is meant by one like it.

use super::{NO_SERIAL, PUBLIC_KEY, REVOCATIONS, SIGNING_KEY};

/// What stands behind `prefix-`, or nothing where the name is the prefix alone.
pub(super) fn kid<'a>(name: &'a str, prefix: &str) -> Option<Option<&'a str>> {
    match name.strip_prefix(prefix)? {
        "" => Some(None),
        rest => rest.strip_prefix('-').map(Some),
    }
}

/// The name that a name like it is meant to be. Other tokens have secrets of their own
/// (`dataplane-token-…`, `user-token-…`).
pub(super) fn meant(name: &str) -> Option<&'static str> {
    let name = name.to_ascii_lowercase().replace(['_', '.', ' '], "-");
    if !name.starts_with("zone") && !name.starts_with("token") && !name.starts_with("revo") {
        return None;
    }
    match () {
        () if name.contains("revo") => Some(REVOCATIONS),
        () if name.contains("public-key") => Some(PUBLIC_KEY),
        () if name.contains("signing-key") => Some(SIGNING_KEY),
        () => None,
    }
}

pub(super) fn kid_of(serial: Option<&str>) -> &str {
    serial.unwrap_or(NO_SERIAL)
}
