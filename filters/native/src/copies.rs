//! Other copies of the library in this process: Envoy loads one from another path beside the first, which
//! stays as long as its streams do. Each has its own statics, and is told of no push to another. So each
//! copy offers itself in Envoy's registry of functions, and a push to one is told to all.
//!
//! In: nothing. Out: the other copies.

use std::sync::OnceLock;

use crate::abi::{self, OtherCopy};

/// More copies than anybody loads into one process.
const MOST: usize = 64;

/// The place of this copy in the registry.
static PLACE: OnceLock<Option<usize>> = OnceLock::new();

/// Takes a place in the registry.
pub(crate) fn join() {
    PLACE.get_or_init(|| (0..MOST).find(|place| abi::offer(&key(*place))));
}

/// All other copies.
pub(crate) fn others() -> impl Iterator<Item = OtherCopy> {
    let own = PLACE.get().copied().flatten();
    let found = (0..MOST).map_while(|place| Some((place, OtherCopy::find(&key(place))?)));
    found.filter(move |(place, _)| Some(*place) != own).map(|(_, copy)| copy)
}

/// The key of a place. The number before it is that of the function's form.
fn key(place: usize) -> String {
    format!("zonegate.pushed.1.{place}")
}
