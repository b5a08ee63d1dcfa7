//! The crates that the filter is built of: what is linked into the module, and what runs when it is
//! built. All of it is trusted with every byte that a stranger sends, so none comes in unseen.
//!
//! In: what `cargo tree` says of `zonegate-wasm`. A crate that is not in the lists fails, and so does
//! one in the lists that is no longer needed. Versions, licences and known faults are `scripts/deny`'s.
#![allow(clippy::unwrap_used)] // a test may panic

use std::collections::BTreeSet;
use std::process::Command;

/// Of this workspace.
const OURS: &[&str] = &["zonegate", "zonegate-wasm"];

/// Named in a `Cargo.toml` here, with the reason in that of the workspace.
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

/// What those bring along.
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

/// Run when it is built: derive macros and build scripts, with what they are made of.
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

#[test]
fn the_module_is_linked_of_these_crates_only() {
    assert_same(&tree("normal,no-proc-macro"), &[OURS, CHOSEN, BROUGHT].concat());
}

#[test]
fn nothing_else_runs_when_it_is_built() {
    assert_same(&tree("normal,build"), &[OURS, CHOSEN, BROUGHT, BUILDING].concat());
}

/// The names of the crates that the filter depends on by `edges`. Where one was never downloaded,
/// cargo does that now.
fn tree(edges: &str) -> BTreeSet<String> {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--locked", "--manifest-path", env!("CARGO_MANIFEST_PATH")])
        .args(["--package", "zonegate-wasm", "--target", "wasm32-wasip1"])
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
