//! The hook that Envoy calls when it loads the library. It does nothing.

/// Whether this copy of the library can be used.
pub(crate) fn loaded() -> bool {
    true
}
