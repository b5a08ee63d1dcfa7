//! The page, as HTML: what it says, and that nothing that a policy or a proxy says becomes markup.
//!
//! How it looks is for `tests/browser`; that both servers show it, for `tests/sync` and `tests/service`.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)] // a test may panic
#![allow(clippy::arithmetic_side_effects)]

mod attention;
mod document;
mod escaping;
mod sections;
mod state;
