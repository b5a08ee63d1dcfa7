//! What is done once, when Envoy loads the library: nothing.

/// Whether this copy of the library can be used.
pub(crate) fn loaded() -> bool {
    true
}
