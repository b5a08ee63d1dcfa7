//! Text for people: quoted, escaped, bounded.
//!
//! In: values, some of them from outside. Out: text that can go into a log line, an answer or a table. Values are not
//! interpreted.

mod human_duration;
mod quoted;

pub use human_duration::HumanDuration;
pub use quoted::{Quoted, push_pair_value};
