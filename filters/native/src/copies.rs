//! Other copies of the library in this process. Envoy loads a library from another path beside the first, which stays
//! as long as its streams do. Each copy has its own statics, and Envoy does not tell it of pushes to another copy. So
//! each copy registers itself in Envoy's registry of functions, and passes each push on to all others.
//!
//! In: nothing. Out: the other copies.

use std::sync::OnceLock;

use crate::abi::{self, OtherCopy};

/// A limit that is larger than the number of copies in any process.
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

/// The key of a place. The number in front is the version of the function's signature.
fn key(place: usize) -> String {
    format!("zonegate.pushed.1.{place}")
}
