//! Puts the commit into `zonegate --version`.
//!
//! In: git, a source archive, or `ZONEGATE_COMMIT`. Out: `ZONEGATE_VERSION`, with the commit if it
//! is known. The module for Envoy does not have it, so that equal sources give equal modules.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

/// `git archive` writes the commit here (see `.gitattributes`).
const ARCHIVED: &str = "$Format:%h$";

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=ZONEGATE_COMMIT");
    let version = env!("CARGO_PKG_VERSION");
    match given().or_else(archived).or_else(checked_out) {
        Some(commit) => println!("cargo::rustc-env=ZONEGATE_VERSION={version} ({commit})"),
        None => println!("cargo::rustc-env=ZONEGATE_VERSION={version}"),
    }
}

/// The commit that a packager gives.
fn given() -> Option<String> {
    env::var("ZONEGATE_COMMIT").ok().filter(|commit| !commit.is_empty())
}

fn archived() -> Option<String> {
    (!ARCHIVED.starts_with('$')).then(|| ARCHIVED.to_owned())
}

/// The commit of this checkout. A copy of the sources inside another repository has no commit of it.
fn checked_out() -> Option<String> {
    let answer = git(&["rev-parse", "--show-toplevel", "--short=9", "HEAD"])?;
    let (top, commit) = answer.split_once('\n')?;
    let here = folder()?;
    if Path::new(top).canonicalize().ok()? != here.parent()?.canonicalize().ok()? {
        return None;
    }
    // These files change with every commit and every checkout, and at no other time. A missing path would make Cargo
    // rebuild every time.
    for file in git(&["rev-parse", "--git-path", "HEAD", "--git-path", "logs/HEAD"])?.lines() {
        let path = here.join(file);
        if path.exists() {
            println!("cargo::rerun-if-changed={}", path.display());
        }
    }
    Some(commit.to_owned())
}

/// The folder of this package in this build: a build folder can be a copy of another one.
fn folder() -> Option<PathBuf> {
    env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from)
}

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git")
        .args(arguments)
        .current_dir(folder()?)
        .output()
        .ok()
        .filter(|output| output.status.success())?;
    Some(String::from_utf8(output.stdout).ok()?.trim_end().to_owned())
}
