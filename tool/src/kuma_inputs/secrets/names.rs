//! The names of secrets.
//!
//! In: a name. Out: the kid in it, or the name that a similar name is meant to be.

use super::{NO_SERIAL, PUBLIC_KEY, REVOCATIONS, SIGNING_KEY};

/// The part after `prefix-`, or nothing if the name is only the prefix.
pub(super) fn kid<'a>(name: &'a str, prefix: &str) -> Option<Option<&'a str>> {
    match name.strip_prefix(prefix)? {
        "" => Some(None),
        rest => rest.strip_prefix('-').map(Some),
    }
}

/// The name that a similar name is meant to be. Names of other tokens' secrets (`dataplane-token-…`, `user-token-…`) do
/// not count.
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
