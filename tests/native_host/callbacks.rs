//! The callbacks of Envoy that the library calls.

#![allow(unsafe_code)] // the C functions that the library calls

use std::ffi::c_void;
use std::slice;

use crate::host::{self, SCHEDULERS, WOKEN};
use crate::play;

/// Bytes of any owner.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct Buffer {
    pub(crate) bytes: *const u8,
    pub(crate) length: usize,
}

#[repr(C)]
pub(crate) struct Header {
    name: Buffer,
    value: Buffer,
}

impl Buffer {
    pub(crate) fn of(bytes: &[u8]) -> Self {
        Self { bytes: bytes.as_ptr(), length: bytes.len() }
    }

    fn to_vec(self) -> Vec<u8> {
        match self.bytes.is_null() {
            true => Vec::new(),
            // SAFETY: the library lends the bytes for the call.
            false => unsafe { slice::from_raw_parts(self.bytes, self.length) }.to_vec(),
        }
    }

    fn text(self) -> String {
        String::from_utf8(self.to_vec()).unwrap()
    }
}

type Filter = *mut c_void;
type Config = *mut c_void;
type Labels = *const Buffer;

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_callback_log(_: u32, message: Buffer) {
    host::with(|host| host.log.push(message.text()));
}
#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_callback_http_filter_config_define_counter(
    config: Config,
    name: Buffer,
    labels: Labels,
    count: usize,
    id: *mut usize,
) -> u32 {
    assert!(labels.is_null() && count == 0);
    host::with(|host| {
        let metrics = host.metrics.entry(config.addr()).or_default();
        metrics.push(name.text());
        // SAFETY: the library has room for the id.
        unsafe { *id = metrics.len() - 1 };
    });
    0
}
#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_callback_http_filter_config_define_gauge(
    config: Config,
    name: Buffer,
    labels: Labels,
    count: usize,
    id: *mut usize,
) -> u32 {
    assert!(labels.is_null() && count == 0);
    host::with(|host| {
        let metrics = host.metrics.entry(config.addr()).or_default();
        metrics.push(name.text());
        // SAFETY: the library has room for the id.
        unsafe { *id = metrics.len() - 1 };
    });
    0
}
fn change(
    filter: Filter,
    id: usize,
    labels: Labels,
    count: usize,
    change: impl FnOnce(&mut i64),
) -> u32 {
    assert!(labels.is_null() && count == 0);
    let config = host::stream(filter, |stream| stream.config);
    host::with(|host| {
        let Some(name) = host.metrics.get(&config).and_then(|metrics| metrics.get(id)) else {
            return 1;
        };
        change(host.values.entry(name.clone()).or_default());
        0
    })
}

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_callback_http_filter_increment_counter(
    filter: Filter,
    id: usize,
    labels: Labels,
    count: usize,
    by: u64,
) -> u32 {
    change(filter, id, labels, count, |value| *value += by.cast_signed())
}
#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_callback_http_filter_increment_gauge(
    filter: Filter,
    id: usize,
    labels: Labels,
    count: usize,
    by: u64,
) -> u32 {
    change(filter, id, labels, count, |value| *value += by.cast_signed())
}
#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_callback_http_filter_decrement_gauge(
    filter: Filter,
    id: usize,
    labels: Labels,
    count: usize,
    by: u64,
) -> u32 {
    change(filter, id, labels, count, |value| *value -= by.cast_signed())
}
#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_callback_http_filter_set_gauge(
    filter: Filter,
    id: usize,
    labels: Labels,
    count: usize,
    by: u64,
) -> u32 {
    change(filter, id, labels, count, |value| *value = by.cast_signed())
}
#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_callback_http_filter_config_increment_counter(
    config: Config,
    id: usize,
    _: Labels,
    _: usize,
    by: u64,
) -> u32 {
    host::with(|host| {
        let name = host.metrics[&config.addr()][id].clone();
        let value = host.values.entry(name).or_default();
        *value += by.cast_signed();
    });
    0
}
#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_callback_http_filter_config_set_gauge(
    config: Config,
    id: usize,
    _: Labels,
    _: usize,
    by: u64,
) -> u32 {
    host::with(|host| {
        let name = host.metrics[&config.addr()][id].clone();
        let value = host.values.entry(name).or_default();
        *value = by.cast_signed();
    });
    0
}
#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_callback_http_get_headers_size(filter: Filter, _: u32) -> usize {
    host::stream(filter, |stream| stream.headers.len())
}
#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_callback_http_get_headers(
    filter: Filter,
    _: u32,
    headers: *mut Header,
) -> bool {
    host::stream(filter, |stream| {
        for (at, (name, value)) in stream.headers.iter().enumerate() {
            // SAFETY: the library has room for as many headers as it was told there are.
            unsafe {
                headers.add(at).write(Header { name: Buffer::of(name), value: Buffer::of(value) })
            };
        }
        true
    })
}
/// Two pieces, so that the library must join them.
fn pieces(stream: &host::Stream, kind: u32) -> Vec<Buffer> {
    let bytes = if kind == 0 { &stream.received } else { &stream.kept };
    let (first, second) = bytes.split_at(bytes.len() / 2);
    [first, second].into_iter().filter(|piece| !piece.is_empty()).map(Buffer::of).collect()
}

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_callback_http_get_body_chunks_size(
    filter: Filter,
    kind: u32,
) -> usize {
    host::stream(filter, |stream| pieces(stream, kind).len())
}
#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_callback_http_get_body_chunks(
    filter: Filter,
    kind: u32,
    chunks: *mut Buffer,
) -> bool {
    host::stream(filter, |stream| {
        for (at, piece) in pieces(stream, kind).into_iter().enumerate() {
            // SAFETY: as above.
            unsafe { chunks.add(at).write(piece) };
        }
        true
    })
}
#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_callback_http_received_buffered_request_body(_: Filter) -> bool {
    false
}
#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_callback_http_filter_get_attribute_string(
    _: Filter,
    attribute: u32,
    value: *mut Buffer,
) -> bool {
    assert_eq!(attribute, 24);
    // SAFETY: the library has room for the value.
    unsafe { *value = Buffer::of(b"127.0.0.1:1") };
    true
}
#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_callback_http_set_filter_state_bytes(
    filter: Filter,
    name: Buffer,
    _: Buffer,
) -> bool {
    host::stream(filter, |stream| stream.filter_state.insert(name.to_vec()))
}
fn answer(filter: Filter) {
    host::stream(filter, |stream| {
        assert!(!stream.is_over(), "answered twice, or after its end: {stream:?}");
        stream.is_answered = true;
    });
    play::ended(filter.addr());
}

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_callback_http_send_response(
    filter: Filter,
    status: u32,
    _: *const Header,
    _: usize,
    body: Buffer,
    _: Buffer,
) {
    assert!((400..600).contains(&status) && !body.to_vec().is_empty());
    answer(filter);
}
#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_callback_http_send_response_headers(
    filter: Filter,
    _: *const Header,
    count: usize,
    is_end: bool,
) {
    assert!(count >= 3 && is_end);
    answer(filter);
}
#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_callback_http_filter_continue_decoding(filter: Filter) {
    host::stream(filter, |stream| {
        assert!(!stream.is_over());
        stream.is_resumed = true;
        stream.has_passed = true;
    });
}
#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_callback_http_filter_reset_stream(
    filter: Filter,
    _: u32,
    _: Buffer,
) {
    host::stream(filter, |stream| {
        assert!(!stream.is_over(), "reset after its end: {stream:?}");
        stream.is_reset = true;
    });
    play::ended(filter.addr());
}
#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_callback_http_filter_scheduler_new(
    filter: Filter,
) -> *mut c_void {
    host::stream(filter, |_| ());
    SCHEDULERS.lock().unwrap().push(filter.addr());
    Box::into_raw(Box::new(filter.addr())).cast()
}
#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_callback_http_filter_scheduler_commit(
    scheduler: *mut c_void,
    _: u64,
) {
    // SAFETY: from `…scheduler_new`, and not deleted yet: AddressSanitizer would report it.
    let stream = unsafe { *scheduler.cast::<usize>() };
    WOKEN.lock().unwrap().push(stream);
}
#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_callback_http_filter_scheduler_delete(scheduler: *mut c_void) {
    // SAFETY: from `…scheduler_new`, and deleted once: AddressSanitizer would report it.
    let stream = unsafe { Box::from_raw(scheduler.cast::<usize>()) };
    SCHEDULERS.lock().unwrap().retain(|one| *one != *stream);
}
#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_callback_http_filter_config_scheduler_new(
    config: Config,
) -> *mut c_void {
    config
}
#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_callback_http_filter_config_scheduler_commit(
    config: *mut c_void,
    _: u64,
) {
    host::with(|host| host.later.push(config.addr()));
}
#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_callback_http_filter_config_scheduler_delete(_: *mut c_void) {}
#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_callback_register_function(_: Buffer, _: *mut c_void) -> bool {
    true
}
#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_callback_get_function(_: Buffer, _: *mut *mut c_void) -> bool {
    false
}
/// All callbacks: the linker removes functions that nothing names.
pub(crate) fn all() -> Vec<*const c_void> {
    vec![
        envoy_dynamic_module_callback_log as *const c_void,
        envoy_dynamic_module_callback_http_filter_config_define_counter as *const c_void,
        envoy_dynamic_module_callback_http_filter_config_define_gauge as *const c_void,
        envoy_dynamic_module_callback_http_filter_increment_counter as *const c_void,
        envoy_dynamic_module_callback_http_filter_increment_gauge as *const c_void,
        envoy_dynamic_module_callback_http_filter_decrement_gauge as *const c_void,
        envoy_dynamic_module_callback_http_filter_set_gauge as *const c_void,
        envoy_dynamic_module_callback_http_filter_config_increment_counter as *const c_void,
        envoy_dynamic_module_callback_http_filter_config_set_gauge as *const c_void,
        envoy_dynamic_module_callback_http_get_headers_size as *const c_void,
        envoy_dynamic_module_callback_http_get_headers as *const c_void,
        envoy_dynamic_module_callback_http_get_body_chunks_size as *const c_void,
        envoy_dynamic_module_callback_http_get_body_chunks as *const c_void,
        envoy_dynamic_module_callback_http_received_buffered_request_body as *const c_void,
        envoy_dynamic_module_callback_http_filter_get_attribute_string as *const c_void,
        envoy_dynamic_module_callback_http_set_filter_state_bytes as *const c_void,
        envoy_dynamic_module_callback_http_send_response as *const c_void,
        envoy_dynamic_module_callback_http_send_response_headers as *const c_void,
        envoy_dynamic_module_callback_http_filter_continue_decoding as *const c_void,
        envoy_dynamic_module_callback_http_filter_reset_stream as *const c_void,
        envoy_dynamic_module_callback_http_filter_scheduler_new as *const c_void,
        envoy_dynamic_module_callback_http_filter_scheduler_commit as *const c_void,
        envoy_dynamic_module_callback_http_filter_scheduler_delete as *const c_void,
        envoy_dynamic_module_callback_http_filter_config_scheduler_new as *const c_void,
        envoy_dynamic_module_callback_http_filter_config_scheduler_commit as *const c_void,
        envoy_dynamic_module_callback_http_filter_config_scheduler_delete as *const c_void,
        envoy_dynamic_module_callback_register_function as *const c_void,
        envoy_dynamic_module_callback_get_function as *const c_void,
    ]
}
