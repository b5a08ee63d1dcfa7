//! The wasm module as it is shipped: what it needs from a host, and how large it is.
//!
//! `make test` names it (`ZONEGATE_WASM`).
#![allow(clippy::unwrap_used, clippy::panic)] // a test may panic

use std::fs;

use wasmparser::{Parser, Payload};

/// 718 KB without crate `p256`, which adds 60 KB and verifies ES256 if the host cannot.
const MAX_BYTES: usize = 850_000;

/// The functions of Envoy's wasm host: proxy-wasm ABI 0.2.1 (`env`), and these of WASI. Envoy:
/// `source/extensions/common/wasm`, proxy-wasm-cpp-host: `include/proxy-wasm/exports.h`.
const WASI: &[&str] =
    &["clock_time_get", "environ_get", "environ_sizes_get", "fd_write", "proc_exit", "random_get"];

fn module() -> Vec<u8> {
    built("ZONEGATE_WASM")
}

fn built(name: &str) -> Vec<u8> {
    let path = std::env::var_os(name);
    fs::read(path.unwrap_or_else(|| panic!("{name} is not set: run make test"))).unwrap()
}

#[test]
fn the_module_imports_nothing_that_envoy_lacks() {
    let mut imports = Vec::new();
    for payload in Parser::new(0).parse_all(&module()) {
        if let Payload::ImportSection(section) = payload.unwrap() {
            for import in section {
                let import = import.unwrap();
                imports.push((import.module.to_owned(), import.name.to_owned()));
            }
        }
    }
    assert!(imports.iter().any(|(_, name)| name == "proxy_send_local_response"), "{imports:?}");
    for (module, name) in imports {
        let known = match module.as_str() {
            "env" => name.starts_with("proxy_"),
            "wasi_snapshot_preview1" => WASI.contains(&name.as_str()),
            _ => false,
        };
        assert!(known, "{module}.{name}");
    }
}

/// Only tests inject faults, to see how Envoy handles them. The mark shows whether a module has the code for it
/// (`filters/wasm/src/fault_injection.rs`).
#[test]
fn the_module_has_no_injected_faults() {
    const MARK: &[u8] = b"x-zonegate-fault";
    let has_faults = |module: &[u8]| module.windows(MARK.len()).any(|part| part == MARK);
    assert!(has_faults(&built("ZONEGATE_FAULTY_WASM")), "the mark has changed");
    assert!(!has_faults(&module()));
}

/// Envoy calls every export of a module. No callback for responses is exported, so the control plane's answers do not
/// enter the VM.
#[test]
fn the_module_exports_only_the_callbacks_that_it_uses() {
    let mut exports = Vec::new();
    for payload in Parser::new(0).parse_all(&module()) {
        if let Payload::ExportSection(section) = payload.unwrap() {
            exports.extend(section.into_iter().map(|export| export.unwrap().name.to_owned()));
        }
    }
    exports.sort();
    let wanted = [
        "_initialize",
        "memory",
        "proxy_abi_version_0_2_1",
        "proxy_on_configure",
        "proxy_on_context_create",
        "proxy_on_delete",
        "proxy_on_memory_allocate",
        "proxy_on_request_body",
        "proxy_on_request_headers",
        "proxy_on_request_trailers",
        "proxy_on_tick",
        "proxy_on_vm_start",
    ];
    assert_eq!(exports, wanted);
}

/// The version is the one in `zonegate --version` and in the log line of a configuration
/// (`tests/envoy/one_version.rs`).
#[test]
fn the_module_says_which_version_it_is() {
    let module = module();
    let text = |name: &str| {
        Parser::new(0).parse_all(&module).find_map(|payload| match payload.unwrap() {
            Payload::CustomSection(section) if section.name() == name => {
                Some(String::from_utf8(section.data().to_vec()).unwrap())
            }
            _ => None,
        })
    };
    assert_eq!(text("version").as_deref(), Some(env!("CARGO_PKG_VERSION")));
    assert_eq!(text("licenses").as_deref(), Some("Apache-2.0"));
    let said = text("description").unwrap();
    assert!(said.contains("proxy-wasm module"), "{said}");
}

#[test]
fn the_module_is_small() {
    let length = module().len();
    assert!(length < MAX_BYTES, "{length} bytes");
    println!("zonegate.wasm: {length} bytes");
}
