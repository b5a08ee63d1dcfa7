//! What is set for a global control plane alone.
//!
//! In: the zone that a caller says it is. Out: whether it is one that is counted by itself. Who may connect is
//! not decided here.

use std::collections::BTreeSet;
use std::sync::Arc;

/// What is set for a global control plane alone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GlobalKds {
    /// The zones that have metrics of their own. Whether one may connect does not depend on it.
    pub count_zones: BTreeSet<Arc<str>>,
}

impl GlobalKds {
    /// The name of a zone that has metrics of its own.
    pub fn counted(&self, zone: &[u8]) -> Option<&Arc<str>> {
        self.count_zones.get(std::str::from_utf8(zone).ok()?)
    }
}
