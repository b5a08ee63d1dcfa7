//! Runs every file of every corpus in its target, without a fuzzer, in `make test` and `make check`.
#![allow(clippy::unwrap_used, clippy::panic, clippy::arithmetic_side_effects)] // a test may panic

use std::fs;
use std::panic::catch_unwind;
use std::path::Path;

use zonegate_fuzz::TARGETS;

/// The corpora are small, so that replaying them takes seconds.
const MOST_FILES: usize = 200;
const LARGEST_FILE: u64 = 16 * 1024;

#[test]
fn every_file_of_the_corpora_passes_its_target() {
    let mut broken = Vec::new();
    for (name, target) in TARGETS {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(name);
        let files = fs::read_dir(&corpus).unwrap_or_else(|error| panic!("{corpus:?}: {error}"));
        let mut files: Vec<_> = files.map(|file| file.unwrap().path()).collect();
        files.sort();
        assert!((10..MOST_FILES).contains(&files.len()), "{name} has {} files", files.len());
        for file in files {
            let bytes = fs::read(&file).unwrap();
            assert!(bytes.len() as u64 <= LARGEST_FILE, "{} is too large", file.display());
            if catch_unwind(|| target(&bytes)).is_err() {
                broken.push(file);
            }
        }
    }
    assert!(broken.is_empty(), "does not hold for {broken:#?}");
}

/// cargo-fuzz builds a program for each target, and nothing else.
#[test]
fn every_target_is_a_program() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz_targets");
    let programs = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    let mut programs: Vec<_> =
        programs.map(|file| file.file_stem().unwrap().to_str().unwrap().to_owned()).collect();
    programs.sort();
    let mut targets: Vec<_> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    targets.sort();
    assert_eq!(programs, targets);
}
