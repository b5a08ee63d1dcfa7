//! The shell between proxy-wasm and the core: it translates Envoy's callbacks into events of the core's
//! `Lifecycle`, and effects into host calls. It decides nothing.
//!
//! Only `hostcalls` that return bytes are used: the SDK's own getters for text panic on a header that
//! is not UTF-8, and a panic takes the whole VM down.

#![cfg(target_family = "wasm")] // natively there is no such host, and the crate is empty

mod effects;
#[cfg(zonegate_fault)]
mod fault_injection;
mod host;
mod metadata;
mod metrics;
mod root;
mod stream;
mod vm_state;

use proxy_wasm::types::LogLevel;

// The macro makes `_initialize`, which the host calls once; that needs an unsafe block of its own.
#[allow(unsafe_code, missing_docs)]
mod entry {
    use super::{LogLevel, root};

    proxy_wasm::main! {{
        // The host filters by its own level (`--component-log-level wasm:…`).
        proxy_wasm::set_log_level(LogLevel::Info);
        proxy_wasm::set_root_context(|id| Box::new(root::Root::new(id)));
    }}
}
