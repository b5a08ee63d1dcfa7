//! The work to do once, when Envoy loads the library.

use std::panic;

use zonegate::log_line::Level;

use crate::{abi, backend, copies};

const TOO_OLD: &str = "zonegate: this Envoy is too old for the dynamic module: it needs Envoy 1.38, 1.39 or \
                       1.40. Take the module in wasm, or a newer Envoy";

/// Prepares this copy of the library. Returns whether it can be used.
pub(crate) fn loaded() -> bool {
    // Panics are caught where they would leave the module. Envoy's log gets the place of a panic, and not its message,
    // which may contain a token.
    panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        abi::log(
            Level::Error,
            &format!("zonegate: panicked at {place}: the streams of a worker end"),
        );
    }));
    if !abi::is_complete() {
        abi::log(Level::Error, TOO_OLD);
        return false;
    }
    backend::choose();
    copies::join();
    true
}
