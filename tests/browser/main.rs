//! The page in a real browser: how it looks on a phone and on a desk, in light and dark, and that it runs nothing.
//!
//! ChromeDriver is looked for in `CHROMEDRIVER`, then on PATH, and a Chromium in `CHROMIUM`, then where ChromeDriver
//! looks; without them nothing is tested (Debian: `chromium-driver`). With `ZONEGATE_SCREENSHOTS` every page is written
//! there as a picture.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)] // a test may panic
#![allow(clippy::arithmetic_side_effects)]

#[allow(dead_code)] // not all of it is used here
#[path = "../page/document.rs"]
mod document;
mod driver;
mod looks;
mod pages;
#[allow(dead_code)]
#[path = "../page/state.rs"]
mod state;
