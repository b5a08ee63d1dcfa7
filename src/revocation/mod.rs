//! Revoked ids (Kuma: `pkg/core/tokens/revocation.go`, the GlobalSecret `zone-token-revocations`).
//!
//! In: the text of the secret, or a list of ids. Out: each id with its place and what is odd about it
//! ([`entries`], [`items`]), and the set of them that a gate asks ([`RevocationList`]). Everyone who
//! reads revocations reads them here: what the tool says of a list is what the gate does with it.
//!
//! Not known here: whose token has an id.

mod list;
mod oddity;
mod reader;
mod uuid_set;

pub use list::RevocationList;
pub use oddity::{OddEntries, OddKind, Oddity};
pub use reader::{Entry, Place, entries, items};
