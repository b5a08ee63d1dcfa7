//! The dynamic module as it is shipped: what it needs from a machine and from Envoy, and what it exports.
//!
//! `make test` names it (`ZONEGATE_NATIVE`). It is read with `readelf`, which is part of the linker's package.
#![allow(clippy::unwrap_used, clippy::panic)] // a test may panic

use std::fs;
use std::process::Command;

const MAX_BYTES: usize = 4_000_000;

/// Libraries of every image with an Envoy: glibc, and its loader.
const NEEDED: &[&str] = &["libc.so.6", "ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1"];

/// The callbacks of Envoy 1.38, 1.39 and 1.40 that the library calls: `nm -D envoy`.
const CALLBACKS: &[&str] = &[
    "http_filter_config_define_counter",
    "http_filter_config_define_gauge",
    "http_filter_config_scheduler_commit",
    "http_filter_config_scheduler_delete",
    "http_filter_config_scheduler_new",
    "http_filter_continue_decoding",
    "http_filter_decrement_gauge",
    "http_filter_get_attribute_string",
    "http_filter_increment_counter",
    "http_filter_increment_gauge",
    "http_filter_scheduler_commit",
    "http_filter_scheduler_delete",
    "http_filter_scheduler_new",
    "http_filter_set_gauge",
    "http_get_body_chunks",
    "http_get_body_chunks_size",
    "http_get_headers",
    "http_get_headers_size",
    "http_send_response",
    "http_send_response_headers",
    "http_set_filter_state_bytes",
    "log",
];

fn library(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: run make test"))
}

fn readelf(what: &str) -> String {
    let output =
        Command::new("readelf").args([what, "--wide", &library("ZONEGATE_NATIVE")]).output();
    let output = output.unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The dynamic symbols: whether each is defined here, and its name.
fn symbols() -> Vec<(bool, String)> {
    let text = readelf("--dyn-syms");
    let lines = text.lines().filter_map(|line| {
        let mut words = line.split_whitespace().skip(6);
        let (section, name) = (words.next()?, words.next()?);
        Some((section != "UND", name.split('@').next()?.to_owned()))
    });
    lines.filter(|(_, name)| name != "Name").collect()
}

/// libgcc_s is not needed: images made for Envoy lack it.
#[test]
fn the_library_needs_glibc_and_nothing_else() {
    let text = readelf("--dynamic");
    let needed = text.lines().filter(|line| line.contains("(NEEDED)"));
    let needed: Vec<_> = needed.filter_map(|line| line.split(['[', ']']).nth(1)).collect();
    assert!(needed.contains(&"libc.so.6"), "{text}");
    for library in needed {
        assert!(NEEDED.contains(&library), "{library}");
    }
}

/// A thread of the library runs as long as Envoy does.
#[test]
fn the_library_is_never_unloaded() {
    let text = readelf("--dynamic");
    assert!(text.lines().any(|line| line.contains("NODELETE")), "{text}");
}

#[test]
fn the_library_calls_only_what_every_supported_envoy_offers() {
    let called = symbols().into_iter().filter(|(is_here, _)| !is_here);
    let mut called: Vec<String> = called
        .filter_map(|(_, name)| {
            Some(name.strip_prefix("envoy_dynamic_module_callback_")?.to_owned())
        })
        .collect();
    called.sort();
    assert_eq!(called, CALLBACKS);
}

/// None of its linked code can be mistaken for Envoy's own, such as BoringSSL.
#[test]
fn the_library_offers_hooks_and_nothing_else() {
    let offered: Vec<_> = symbols().into_iter().filter(|(is_here, _)| *is_here).collect();
    assert_eq!(offered.len(), 22, "{offered:?}");
    for (_, name) in offered {
        assert!(name.starts_with("envoy_dynamic_module_on_"), "{name}");
    }
}

/// The same as for the module in wasm (`tests/module.rs`).
#[test]
fn the_library_has_no_injected_faults() {
    const MARK: &[u8] = b"x-zonegate-fault";
    let has_faults =
        |name| fs::read(library(name)).unwrap().windows(MARK.len()).any(|part| part == MARK);
    assert!(has_faults("ZONEGATE_FAULTY_NATIVE"), "the mark has changed");
    assert!(!has_faults("ZONEGATE_NATIVE"));
}

/// The version is in a note, where `systemd-analyze inspect-elf` looks for it.
#[test]
fn the_library_says_which_version_it_is() {
    let text = readelf("--notes");
    let json = concat!(r#"{"name":"zonegate","version":""#, env!("CARGO_PKG_VERSION"), r#""}"#);
    let bytes: Vec<String> = json.bytes().map(|byte| format!("{byte:02x}")).collect();
    assert!(text.contains(json) || text.contains(&bytes.join(" ")), "{text}");
}

#[test]
fn the_library_is_small() {
    let length = fs::read(library("ZONEGATE_NATIVE")).unwrap().len();
    assert!(length < MAX_BYTES, "{length} bytes");
    println!("libzonegate.so: {length} bytes");
}
