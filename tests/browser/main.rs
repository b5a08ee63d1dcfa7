//! The page in a real browser: how it looks on a phone and on a desk, in light and dark, and that it runs nothing.
//!
//! ChromeDriver is the one that `CHROMEDRIVER` names, or else one on PATH. Chromium is the one that `CHROMIUM` names,
//! or else one that ChromeDriver finds. Without them the tests are skipped (Debian: `chromium-driver`). With
//! `ZONEGATE_SCREENSHOTS` a picture of every page is written to that folder.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)] // a test may panic
#![allow(clippy::arithmetic_side_effects)]

#[allow(dead_code)] // some of it is not used here
#[path = "../page/document.rs"]
mod document;
mod driver;
mod looks;
mod pages;
#[allow(dead_code)]
#[path = "../page/state.rs"]
mod state;
