//! The access log of a gateway, and the streams that are open according to it.
//!
//! In: lines of the log, in the format of `envoy/gateway.yaml`: one when a request ends, and one in each interval while
//! it is in progress. Out: the open streams, each with the facts of its token. The log has no tokens and proves
//! nothing: whoever can write the log can write anything.

mod line;
mod open;
mod token_facts;

pub use line::{Event, Line, StreamKey};
pub use open::{OpenStreams, Window};
pub use token_facts::TokenFacts;
