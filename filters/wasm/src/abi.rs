//! The one function of the host that is called without the SDK. All unsafe code of the shell is here.
//!
//! The SDK copies every name and every value of a header map into memory of its own, and panics on a name that is not
//! UTF-8. Here a request costs one allocation.
#![allow(unsafe_code)]

use std::ptr;

use proxy_wasm::types::{MapType, Status};

#[link(wasm_import_module = "env")]
unsafe extern "C" {
    fn proxy_get_header_map_pairs(map: MapType, data: *mut *mut u8, size: *mut usize) -> u32;
}

/// A map of headers of the effective context, in the form that `zonegate::header_map` reads. `None` if the host does not
/// hand it over.
pub(super) fn header_map(map: MapType) -> Option<Vec<u8>> {
    let (mut data, mut size) = (ptr::null_mut(), 0);
    // SAFETY: the host writes to these two places, and keeps neither.
    let status = unsafe { proxy_get_header_map_pairs(map, &raw mut data, &raw mut size) };
    if status != Status::Ok as u32 || data.is_null() {
        return None;
    }
    // SAFETY: the host got this memory from `proxy_on_memory_allocate` of the SDK, which gives up a boxed slice of just
    // this size, and the host has filled it. Nobody else owns it.
    Some(unsafe { Vec::from_raw_parts(data, size, size) })
}
