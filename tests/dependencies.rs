//! The crates of the filter: those that are linked into the module, and those that run when it is built. All of them
//! handle, or could change, code that reads bytes from strangers, so a new crate must be noticed.
//!
//! In: the output of `cargo tree` for `zonegate-wasm`, and for `zonegate-native`, the filter as a dynamic module. A
//! crate that is not in the lists fails, and so does a listed crate that is no longer needed. `scripts/deny` checks
//! versions, licences and known vulnerabilities.
#![allow(clippy::unwrap_used)] // a test may panic

use std::collections::BTreeSet;
use std::process::Command;

/// Crates of this workspace.
const OURS: &[&str] = &["zonegate", "zonegate-wasm"];

/// Direct dependencies. The `Cargo.toml` of the workspace gives the reason for each.
const CHOSEN: &[&str] = &[
    "base64",
    "bytes",
    "jsonwebtoken",
    "log",
    "memchr",
    "p256",
    "prost",
    "prost-types",
    "proxy-wasm",
    "quick_cache",
    "rsa",
    "rustc-hash",
    "serde",
    "serde_json",
    "serde_path_to_error",
    "sha2",
    "signature",
];

/// Dependencies of those.
const BROUGHT: &[&str] = &[
    "allocator-api2",
    "base16ct",
    "base64ct",
    "block-buffer",
    "cfg-if",
    "cmov",
    "const-oid",
    "cpubits",
    "crypto-bigint",
    "crypto-common",
    "crypto-primes",
    "ctutils",
    "der",
    "digest",
    "ecdsa",
    "elliptic-curve",
    "equivalent",
    "ff",
    "foldhash",
    "futures-core",
    "futures-task",
    "futures-util",
    "getrandom",
    "group",
    "hashbrown",
    "hmac",
    "hybrid-array",
    "itoa",
    "js-sys",
    "num-traits",
    "pem-rfc7468",
    "pin-project-lite",
    "pkcs1",
    "pkcs8",
    "primefield",
    "primeorder",
    "rand_core",
    "rfc6979",
    "sec1",
    "serde_core",
    "slab",
    "spki",
    "subtle",
    "typenum",
    "unicode-ident",
    "wasi",
    "wasm-bindgen",
    "wasm-bindgen-shared",
    "wnaf",
    "zeroize",
    "zmij",
];

/// Crates that run during the build: derive macros and build scripts, and their dependencies.
const BUILDING: &[&str] = &[
    "anyhow",
    "autocfg",
    "bumpalo",
    "either",
    "itertools",
    "proc-macro2",
    "prost-derive",
    "quote",
    "rustversion",
    "serde_derive",
    "syn",
    "wasm-bindgen-macro",
    "wasm-bindgen-macro-support",
    "zeroize_derive",
];

/// In the dynamic module only: AWS-LC for RSA, and the detection of instructions for SHA-256.
const ONLY_NATIVE: &[&str] = &["aws-lc-rs", "aws-lc-sys", "cpufeatures", "zonegate-native"];

/// In the wasm module only: the host interface, and what replaces an operating system.
const ONLY_WASM: &[&str] = &[
    "allocator-api2",
    "futures-core",
    "futures-task",
    "futures-util",
    "getrandom",
    "js-sys",
    "log",
    "pin-project-lite",
    "proxy-wasm",
    "slab",
    "wasi",
    "wasm-bindgen",
    "wasm-bindgen-shared",
    "zonegate-wasm",
];

/// Crates that run only during the build of the dynamic module, and those that run only during the build of the wasm
/// module.
const BUILDING_NATIVE: &[&str] = &[
    "cc",
    "cmake",
    "dunce",
    "find-msvc-tools",
    "fs_extra",
    "jobserver",
    "libc",
    "pkg-config",
    "shlex",
];
const BUILDING_WASM: &[&str] =
    &["bumpalo", "rustversion", "wasm-bindgen-macro", "wasm-bindgen-macro-support"];

const WASM: [&str; 4] = ["--package", "zonegate-wasm", "--target", "wasm32-wasip1"];
const NATIVE: [&str; 4] = ["--package", "zonegate-native", "--target", "x86_64-unknown-linux-gnu"];

#[test]
fn the_module_is_linked_of_these_crates_only() {
    assert_same(&tree(WASM, "normal,no-proc-macro"), &[OURS, CHOSEN, BROUGHT].concat());
}

#[test]
fn nothing_else_runs_when_the_module_is_built() {
    assert_same(&tree(WASM, "normal,build"), &[OURS, CHOSEN, BROUGHT, BUILDING].concat());
}

#[test]
fn the_dynamic_module_is_linked_of_these_crates_only() {
    let linked = without(&[OURS, CHOSEN, BROUGHT].concat(), ONLY_WASM);
    // unicode-ident belongs to the macros of wasm-bindgen, which count as linked in the wasm module.
    let linked = [&without(&linked, &["unicode-ident"]), ONLY_NATIVE].concat();
    assert_same(&tree(NATIVE, "normal,no-proc-macro"), &linked);
}

#[test]
fn nothing_else_runs_when_the_dynamic_module_is_built() {
    let all = [OURS, CHOSEN, BROUGHT, BUILDING].concat();
    let all = without(&without(&all, ONLY_WASM), BUILDING_WASM);
    assert_same(&tree(NATIVE, "normal,build"), &[&all, ONLY_NATIVE, BUILDING_NATIVE].concat());
}

fn without<'a>(all: &[&'a str], left_out: &[&str]) -> Vec<&'a str> {
    all.iter().filter(|name| !left_out.contains(name)).copied().collect()
}

/// The names of the crates that the filter depends on by `edges`. Cargo downloads a crate that is missing.
fn tree(package: [&str; 4], edges: &str) -> BTreeSet<String> {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--locked", "--manifest-path", env!("CARGO_MANIFEST_PATH")])
        .args(package)
        .args(["--edges", edges, "--prefix", "none", "--format", "{p}"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
}

fn assert_same(found: &BTreeSet<String>, listed: &[&str]) {
    let listed: BTreeSet<String> = listed.iter().map(|&name| name.to_owned()).collect();
    let new: Vec<_> = found.difference(&listed).collect();
    let gone: Vec<_> = listed.difference(found).collect();
    assert!(new.is_empty() && gone.is_empty(), "not in the lists: {new:?}; not needed: {gone:?}");
}
