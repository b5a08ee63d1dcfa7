//! Injected faults, to test how Envoy handles them (`scripts/wasm faulty`). The shipped module does not have this code;
//! a test looks for [`MARK`] in it.

use proxy_wasm::hostcalls;

/// A text that every module with injected faults has, and no other module.
const MARK: &str = "x-zonegate-fault";

/// Traps, if the request asks for it.
#[allow(clippy::panic)] // this function must panic
pub(super) fn at_headers(headers: &[(String, Vec<u8>)]) {
    if headers.iter().any(|(name, value)| name == MARK && value == b"trap") {
        panic!("{MARK}: as asked");
    }
}

/// Breaks a configuration that asks for it, for the workers only: the first VM, on Envoy's main thread, gets it
/// unchanged.
#[allow(clippy::panic)] // as above
pub(super) fn configuration(mut bytes: Vec<u8>) -> Vec<u8> {
    if has(&bytes, MARK) && is_second() {
        if has(&bytes, "x-zonegate-fault-trap") {
            panic!("{MARK}: as asked");
        }
        bytes.truncate(bytes.len() / 2);
    }
    bytes
}

fn has(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|part| part == text.as_bytes())
}

fn is_second() -> bool {
    matches!(hostcalls::get_shared_data(MARK), Ok((Some(_), _)))
        || hostcalls::set_shared_data(MARK, Some(&[1]), None).is_err()
}
