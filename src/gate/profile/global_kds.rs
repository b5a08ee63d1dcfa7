//! Settings of a gate in front of a global control plane.
//!
//! In: the zone that a caller claims to be. Out: whether this zone has its own metrics. Other files decide who may
//! connect.

use std::collections::BTreeSet;
use std::sync::Arc;

/// Settings of a gate in front of a global control plane.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GlobalKds {
    /// The zones that have their own metrics. This has no effect on who may connect.
    pub count_zones: BTreeSet<Arc<str>>,
}

impl GlobalKds {
    /// The name of a zone, if it has its own metrics.
    pub fn counted(&self, zone: &[u8]) -> Option<&Arc<str>> {
        self.count_zones.get(std::str::from_utf8(zone).ok()?)
    }
}
