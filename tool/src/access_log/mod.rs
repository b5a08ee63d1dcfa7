//! The access log of a gateway, and which streams are open by it.
//!
//! In: lines of the log, as `envoy/gateway.yaml` has them written: one when a request ends, and one again and again
//! while it goes on. Out: the streams that are open, each with whose it is. No token is in such a log, and none of
//! it is proved: whoever can write the log can write anything.

mod line;
mod open;
mod token_facts;

pub use line::{Event, Line, StreamKey};
pub use open::{OpenStreams, Window};
pub use token_facts::TokenFacts;
