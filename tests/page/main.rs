//! The page as HTML: its content. No text of a policy or a proxy becomes markup.
//!
//! `tests/browser` tests how the page looks; `tests/sync` and `tests/service` test that both servers serve it.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)] // a test may panic
#![allow(clippy::arithmetic_side_effects)]

mod attention;
mod document;
mod escaping;
mod sections;
mod state;
