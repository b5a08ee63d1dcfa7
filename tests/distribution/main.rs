//! The parts of a release that can be checked without making one: units for systemd, workflows of the forge, recipes of
//! images, the list of packed files.
//!
//! `make test-release` checks a release itself (`tests/release/main.rs`).
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)] // a test may panic

mod images;
mod packages;
mod units;
mod version;
mod workflows;

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The files in a folder, sorted.
fn files(folder: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(root().join(folder)).unwrap();
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// The name of a file without its folder.
fn name(path: &Path) -> &str {
    path.file_name().unwrap().to_str().unwrap()
}
