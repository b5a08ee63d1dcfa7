//! The Envoy shell: proxy-wasm in, proxy-wasm out. It fetches facts, asks [`zonegate::gate`] and does
//! what the verdict says. It decides nothing.
//!
//! Only `hostcalls` that return bytes are used: the SDK's own getters for text panic on a header that
//! is not UTF-8, and a panic takes the whole VM down. Where the host fails, the request is denied.

#![cfg(target_family = "wasm")] // natively there is no such host, and the crate is empty

mod body;
mod crypto;
mod exchange;
#[cfg(zonegate_fault)]
mod fault;
mod host;
mod metrics;
mod root;
mod shared;
mod stream;
mod waiting;

use proxy_wasm::types::LogLevel;

// The macro makes `_initialize`, which the host calls once; that needs an unsafe block of its own.
#[allow(unsafe_code, missing_docs)]
mod entry {
    use super::{LogLevel, root};

    proxy_wasm::main! {{
        // The host filters by its own level (`--component-log-level wasm:…`).
        proxy_wasm::set_log_level(LogLevel::Info);
        proxy_wasm::set_root_context(|_| Box::new(root::Root::default()));
    }}
}
