//! A release as its users get it: checked, unpacked, installed, run, pushed to a registry and pulled.
//!
//! In: the folder with it (`ZONEGATE_DIST`), an Envoy (`ENVOY_PATH`), and `crane` and `rsign` (`CRANE`, `RSIGN`):
//! `make test-release` names them. Not checked: that a second build is the same; `make release VERIFY=1` does that.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)] // a test may panic
#![allow(clippy::arithmetic_side_effects)]

mod archive;
mod gateway;
mod images;
mod lists;
mod packages;
mod sums;

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

const VERSION: &str = env!("CARGO_PKG_VERSION");

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

fn named(variable: &str) -> PathBuf {
    let path = std::env::var_os(variable);
    PathBuf::from(path.unwrap_or_else(|| panic!("{variable} is not set: run make test-release")))
}

/// A file of the release.
fn dist(name: &str) -> PathBuf {
    named("ZONEGATE_DIST").join(name)
}

/// The only file of the release whose name has this beginning and this end.
fn the_one(start: &str, end: &str) -> PathBuf {
    let entries = fs::read_dir(named("ZONEGATE_DIST")).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let fitting: Vec<_> =
        names.filter(|name| name.starts_with(start) && name.ends_with(end)).collect();
    assert_eq!(fitting.len(), 1, "{start}…{end}: {fitting:?}");
    dist(&fitting[0])
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// Runs a program that must succeed. Returns its standard output.
fn run<A: AsRef<OsStr>>(program: impl AsRef<OsStr>, arguments: &[A]) -> Vec<u8> {
    let output = Command::new(program.as_ref()).args(arguments).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {said}", program.as_ref().display());
    output.stdout
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap()
}

/// The commit that the release names as its source.
fn commit() -> String {
    let provenance = json(&dist("provenance.json"));
    let sources = &provenance["predicate"]["buildDefinition"]["resolvedDependencies"][0];
    sources["digest"]["gitCommit"].as_str().unwrap().to_owned()
}

/// Runs an installed tool, and checks that it prints the version of this release.
fn assert_is_the_tool(program: &Path) {
    let said = text(run(program, &["--version"]));
    let (version, short) = said.trim().rsplit_once(' ').unwrap();
    assert_eq!(version, format!("zonegate {VERSION}"));
    let short = short.trim_matches(['(', ')']);
    assert!(short.len() >= 9 && commit().starts_with(short), "{said}");
}
