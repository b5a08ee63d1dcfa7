//! Envoy's dynamic-module ABI: the hooks that Envoy calls, and the callbacks that it offers. All `unsafe` code of the
//! project is here.
//!
//! In: Envoy's event hooks. Out: calls of the safe code of this crate, and safe functions around Envoy's callbacks.
//! Declarations follow Envoy's header, `source/extensions/dynamic_modules/abi/abi.h`, of 1.38, 1.39 and 1.40. This file
//! decides nothing.
//!
//! The reasons why it is sound, each named where it is used:
//!
//! - **Own thread.** Envoy calls the hooks of a filter on one thread, from `…filter_new` to
//!   `…filter_destroy`. A table of that thread has the pointers of its filters for that time. The safe code has
//!   only their numbers, and a number that is not in the table leads to no call.
//! - **Hook only.** Bytes that Envoy lends are valid until the hook returns, or until something is changed. They are
//!   lent to a closure. While the closure runs, no function here changes or ends a stream.
//! - **Own memory.** Envoy copies the bytes that the module passes in a call before the call returns.
//! - **No unwinding.** Each hook catches panics, and then returns a value that lets nothing pass.

#![allow(unsafe_code)]

use std::cell::{Cell, RefCell};
use std::ffi::{CStr, c_char, c_void};
use std::marker::PhantomData;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::slice;
use std::sync::{Arc, OnceLock};

use zonegate::lifecycle::{Step, StreamId};
use zonegate::log_line::Level;
use zonegate::metrics::Change;

use crate::configuration::{self, Configuration};
use crate::stream::{BodyStep, MustBeAnswered};
use crate::{program, stream};

/// Bytes of Envoy: `envoy_dynamic_module_type_envoy_buffer`.
#[derive(Clone, Copy)]
#[repr(C)]
struct EnvoyBuffer {
    bytes: *const u8,
    length: usize,
}

/// Bytes of the module: `envoy_dynamic_module_type_module_buffer`.
#[derive(Clone, Copy)]
#[repr(C)]
struct ModuleBuffer {
    bytes: *const u8,
    length: usize,
}

/// A header, `envoy_dynamic_module_type_envoy_http_header` and `…_module_http_header`.
#[derive(Clone, Copy)]
#[repr(C)]
struct RawHeader {
    name: ModuleBuffer,
    value: ModuleBuffer,
}

type EnvoyFilter = *mut c_void;
type EnvoyConfig = *mut c_void;
/// `envoy_dynamic_module_type_http_filter_module_ptr`: the number of the stream plus one.
type ModuleFilter = *const c_void;
type ModuleConfig = *const c_void;
type Scheduler = *mut c_void;

const REQUEST_HEADERS: u32 = 0;
const RECEIVED_REQUEST_BODY: u32 = 0;
const BUFFERED_REQUEST_BODY: u32 = 1;
const SOURCE_ADDRESS: u32 = 24;
const LOCAL_RESET: u32 = 0;
const SUCCESS: u32 = 0;

const CONTINUE: u32 = 0;
const STOP_ITERATION: u32 = 1;
const STOP_ITERATION_AND_BUFFER: u32 = 1;
const STOP_ITERATION_NO_BUFFER: u32 = 3;

/// The callbacks of Envoy, and functions of the linker. Names are without `envoy_dynamic_module_callback_`.
#[rustfmt::skip]
mod envoy {
    use super::{EnvoyBuffer, EnvoyConfig, EnvoyFilter, ModuleBuffer, RawHeader, Scheduler, c_char, c_void};

    unsafe extern "C" {
        #[link_name = "envoy_dynamic_module_callback_log"]
        pub(super) fn log(level: u32, message: ModuleBuffer);
        #[link_name = "envoy_dynamic_module_callback_http_filter_config_define_counter"]
        pub(super) fn http_filter_config_define_counter(config: EnvoyConfig, name: ModuleBuffer, labels: *const ModuleBuffer, count: usize, id: *mut usize) -> u32;
        #[link_name = "envoy_dynamic_module_callback_http_filter_config_define_gauge"]
        pub(super) fn http_filter_config_define_gauge(config: EnvoyConfig, name: ModuleBuffer, labels: *const ModuleBuffer, count: usize, id: *mut usize) -> u32;
        #[link_name = "envoy_dynamic_module_callback_http_filter_increment_counter"]
        pub(super) fn http_filter_increment_counter(filter: EnvoyFilter, id: usize, labels: *const ModuleBuffer, count: usize, value: u64) -> u32;
        #[link_name = "envoy_dynamic_module_callback_http_filter_increment_gauge"]
        pub(super) fn http_filter_increment_gauge(filter: EnvoyFilter, id: usize, labels: *const ModuleBuffer, count: usize, value: u64) -> u32;
        #[link_name = "envoy_dynamic_module_callback_http_filter_decrement_gauge"]
        pub(super) fn http_filter_decrement_gauge(filter: EnvoyFilter, id: usize, labels: *const ModuleBuffer, count: usize, value: u64) -> u32;
        #[link_name = "envoy_dynamic_module_callback_http_filter_set_gauge"]
        pub(super) fn http_filter_set_gauge(filter: EnvoyFilter, id: usize, labels: *const ModuleBuffer, count: usize, value: u64) -> u32;
        #[link_name = "envoy_dynamic_module_callback_http_get_headers_size"]
        pub(super) fn http_get_headers_size(filter: EnvoyFilter, kind: u32) -> usize;
        #[link_name = "envoy_dynamic_module_callback_http_get_headers"]
        pub(super) fn http_get_headers(filter: EnvoyFilter, kind: u32, headers: *mut RawHeader) -> bool;
        #[link_name = "envoy_dynamic_module_callback_http_get_body_chunks_size"]
        pub(super) fn http_get_body_chunks_size(filter: EnvoyFilter, kind: u32) -> usize;
        #[link_name = "envoy_dynamic_module_callback_http_get_body_chunks"]
        pub(super) fn http_get_body_chunks(filter: EnvoyFilter, kind: u32, chunks: *mut EnvoyBuffer) -> bool;
        #[link_name = "envoy_dynamic_module_callback_http_filter_get_attribute_string"]
        pub(super) fn http_filter_get_attribute_string(filter: EnvoyFilter, attribute: u32, value: *mut EnvoyBuffer) -> bool;
        #[link_name = "envoy_dynamic_module_callback_http_set_filter_state_bytes"]
        pub(super) fn http_set_filter_state_bytes(filter: EnvoyFilter, name: ModuleBuffer, value: ModuleBuffer) -> bool;
        #[link_name = "envoy_dynamic_module_callback_http_send_response"]
        pub(super) fn http_send_response(filter: EnvoyFilter, status: u32, headers: *const RawHeader, count: usize, body: ModuleBuffer, details: ModuleBuffer);
        #[link_name = "envoy_dynamic_module_callback_http_send_response_headers"]
        pub(super) fn http_send_response_headers(filter: EnvoyFilter, headers: *const RawHeader, count: usize, is_end: bool);
        #[link_name = "envoy_dynamic_module_callback_http_filter_continue_decoding"]
        pub(super) fn http_filter_continue_decoding(filter: EnvoyFilter);
        #[link_name = "envoy_dynamic_module_callback_http_filter_scheduler_new"]
        pub(super) fn http_filter_scheduler_new(filter: EnvoyFilter) -> Scheduler;
        #[link_name = "envoy_dynamic_module_callback_http_filter_scheduler_commit"]
        pub(super) fn http_filter_scheduler_commit(scheduler: Scheduler, event: u64);
        #[link_name = "envoy_dynamic_module_callback_http_filter_scheduler_delete"]
        pub(super) fn http_filter_scheduler_delete(scheduler: Scheduler);
        #[link_name = "envoy_dynamic_module_callback_http_filter_config_scheduler_new"]
        pub(super) fn http_filter_config_scheduler_new(config: EnvoyConfig) -> Scheduler;
        #[link_name = "envoy_dynamic_module_callback_http_filter_config_scheduler_commit"]
        pub(super) fn http_filter_config_scheduler_commit(scheduler: Scheduler, event: u64);
        #[link_name = "envoy_dynamic_module_callback_http_filter_config_scheduler_delete"]
        pub(super) fn http_filter_config_scheduler_delete(scheduler: Scheduler);
        pub(super) fn dlsym(library: *mut c_void, name: *const c_char) -> *mut c_void;
    }
}

/// The callbacks that Envoy offers since 1.38. They are looked up when the library is loaded, so that an older Envoy
/// loads the library and gets a clear error. With an ordinary import its loader would only say that it finds no such
/// file.
#[derive(Clone, Copy)]
struct Since1_38 {
    http_received_buffered_request_body: ReceivedBuffered,
    http_filter_reset_stream: ResetStream,
    register_function: RegisterFunction,
    get_function: GetFunction,
}

type ReceivedBuffered = unsafe extern "C" fn(EnvoyFilter) -> bool;
type ResetStream = unsafe extern "C" fn(EnvoyFilter, u32, ModuleBuffer);
type RegisterFunction = unsafe extern "C" fn(ModuleBuffer, *mut c_void) -> bool;
type GetFunction = unsafe extern "C" fn(ModuleBuffer, *mut *mut c_void) -> bool;

impl Since1_38 {
    /// `None` in an older Envoy.
    fn get() -> Option<Self> {
        static FOUND: OnceLock<Option<Since1_38>> = OnceLock::new();
        *FOUND.get_or_init(Self::find)
    }

    fn find() -> Option<Self> {
        let found = |name: &CStr| Some(symbol(name)).filter(|function| !function.is_null());
        let received = found(c"envoy_dynamic_module_callback_http_received_buffered_request_body")?;
        let reset = found(c"envoy_dynamic_module_callback_http_filter_reset_stream")?;
        let register = found(c"envoy_dynamic_module_callback_register_function")?;
        let get = found(c"envoy_dynamic_module_callback_get_function")?;
        // SAFETY: functions of these forms have these names in Envoy's header.
        unsafe {
            Some(Self {
                http_received_buffered_request_body: mem::transmute::<*mut c_void, ReceivedBuffered>(
                    received,
                ),
                http_filter_reset_stream: mem::transmute::<*mut c_void, ResetStream>(reset),
                register_function: mem::transmute::<*mut c_void, RegisterFunction>(register),
                get_function: mem::transmute::<*mut c_void, GetFunction>(get),
            })
        }
    }
}

/// Whether this Envoy offers all callbacks that the library needs.
pub(crate) fn is_complete() -> bool {
    Since1_38::get().is_some()
}

/// Since Envoy 1.39: `…http_filter_config_increment_counter` and `…_set_gauge`.
type OfConfig = unsafe extern "C" fn(EnvoyConfig, usize, *const ModuleBuffer, usize, u64) -> u32;

// ---------------------------------------------------------------- of streams

thread_local! {
    /// The live filters of this thread, by the numbers of their streams. (Own thread.)
    static FILTERS: RefCell<Filters> = const { RefCell::new(Filters { places: Vec::new(), free: Vec::new() }) };
    /// How many closures have bytes of Envoy now. (Hook only.)
    static LENT: Cell<u32> = const { Cell::new(0) };
    /// A buffer for headers, kept for the next request.
    static HEADERS: Cell<Vec<RawHeader>> = const { Cell::new(Vec::new()) };
}

struct Filters {
    places: Vec<EnvoyFilter>,
    free: Vec<u32>,
}

impl Filters {
    fn insert(&mut self, filter: EnvoyFilter) -> Option<u32> {
        match self.free.pop() {
            Some(number) => {
                *self.places.get_mut(usize::try_from(number).ok()?)? = filter;
                Some(number)
            }
            None => {
                let number = u32::try_from(self.places.len()).ok()?;
                self.places.push(filter);
                Some(number)
            }
        }
    }

    fn get(&self, StreamId(number): StreamId) -> Option<EnvoyFilter> {
        let place = self.places.get(usize::try_from(number).ok()?)?;
        Some(*place).filter(|filter| !filter.is_null())
    }

    fn remove(&mut self, StreamId(number): StreamId) {
        let place = usize::try_from(number).ok().and_then(|number| self.places.get_mut(number));
        if place.is_some_and(|place| !mem::replace(place, ptr::null_mut()).is_null()) {
            self.free.push(number);
        }
    }
}

/// The filter of a live stream.
fn filter(stream: StreamId) -> Option<EnvoyFilter> {
    FILTERS.try_with(|filters| filters.borrow().get(stream)).ok().flatten()
}

/// The same, if no bytes of Envoy are lent now. (Hook only.)
fn filter_to_change(stream: StreamId) -> Option<EnvoyFilter> {
    let is_lent = LENT.try_with(Cell::get).is_ok_and(|lent| lent > 0);
    debug_assert!(!is_lent, "a stream is changed while its bytes are lent");
    if is_lent { None } else { filter(stream) }
}

/// A guard: bytes of Envoy are lent while it lives.
struct Lent;

impl Lent {
    fn begin() -> Self {
        LENT.with(|lent| lent.set(lent.get().saturating_add(1)));
        Self
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        LENT.with(|lent| lent.set(lent.get().saturating_sub(1)));
    }
}

fn module_buffer(bytes: &[u8]) -> ModuleBuffer {
    ModuleBuffer { bytes: bytes.as_ptr(), length: bytes.len() }
}

/// # Safety
/// The bytes are Envoy's, and nothing changes them for as long as `'a`.
unsafe fn bytes_of<'a>(bytes: *const u8, length: usize) -> &'a [u8] {
    if bytes.is_null() || length == 0 {
        return &[];
    }
    // SAFETY: not null; the caller guarantees the rest.
    unsafe { slice::from_raw_parts(bytes, length) }
}

/// The headers of a request, lent.
#[derive(Clone, Copy)]
pub(crate) struct Headers<'a>(&'a [RawHeader]);

impl<'a> Headers<'a> {
    /// Names and values, in their order.
    pub(crate) fn iter(self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        self.0.iter().map(|RawHeader { name, value }| {
            // SAFETY: Hook only; `'a` is the closure's.
            unsafe { (bytes_of(name.bytes, name.length), bytes_of(value.bytes, value.length)) }
        })
    }
}

/// Lends the request headers of a stream. Empty if Envoy does not hand them over.
pub(crate) fn with_request_headers<T>(
    stream: StreamId,
    look: impl FnOnce(Headers<'_>) -> T,
) -> Option<T> {
    let filter = filter(stream)?;
    let _lent = Lent::begin();
    let mut headers = HEADERS.take();
    headers.clear();
    // SAFETY: Own thread.
    let count = unsafe { envoy::http_get_headers_size(filter, REQUEST_HEADERS) };
    headers.reserve(count);
    // SAFETY: Own thread. There is room for all of them, and Envoy writes that many.
    unsafe {
        if envoy::http_get_headers(filter, REQUEST_HEADERS, headers.as_mut_ptr()) {
            headers.set_len(count);
        }
    }
    let seen = look(Headers(&headers));
    headers.clear();
    HEADERS.set(headers);
    Some(seen)
}

/// Lends the part of a stream's request body that Envoy shows: the piece that has come, after the pieces that Envoy
/// keeps if `is_kept`.
pub(crate) fn with_request_body<T>(
    stream: StreamId,
    is_kept: bool,
    look: impl FnOnce(&[&[u8]]) -> T,
) -> Option<T> {
    let filter = filter(stream)?;
    let _lent = Lent::begin();
    let mut chunks = Vec::new();
    // If an earlier filter kept the body, Envoy shows the same bytes as the piece and as the kept body. They count
    // once.
    // SAFETY: Own thread.
    let is_same = is_kept
        && Since1_38::get()
            .is_some_and(|envoy| unsafe { (envoy.http_received_buffered_request_body)(filter) });
    if is_kept && !is_same {
        add_chunks(filter, BUFFERED_REQUEST_BODY, &mut chunks);
    }
    add_chunks(filter, RECEIVED_REQUEST_BODY, &mut chunks);
    // SAFETY: Hook only.
    let chunks = chunks.iter().map(|chunk| unsafe { bytes_of(chunk.bytes, chunk.length) });
    let chunks: Vec<&[u8]> = chunks.filter(|chunk| !chunk.is_empty()).collect();
    Some(look(&chunks))
}

fn add_chunks(filter: EnvoyFilter, kind: u32, chunks: &mut Vec<EnvoyBuffer>) {
    // SAFETY: Own thread: the caller has `filter` from the table.
    let count = unsafe { envoy::http_get_body_chunks_size(filter, kind) };
    if count == 0 {
        return;
    }
    chunks.reserve(count);
    let length = chunks.len();
    // SAFETY: Own thread. There is room for all of them, and Envoy writes that many.
    unsafe {
        let end = chunks.as_mut_ptr().add(length);
        if envoy::http_get_body_chunks(filter, kind, end) {
            chunks.set_len(length.saturating_add(count));
        }
    }
}

/// Address and port of the peer of a stream.
pub(crate) fn peer(stream: StreamId) -> String {
    let Some(filter) = filter(stream) else { return String::new() };
    let mut address = EnvoyBuffer { bytes: ptr::null(), length: 0 };
    // SAFETY: Own thread. The text is copied at once.
    unsafe {
        match envoy::http_filter_get_attribute_string(filter, SOURCE_ADDRESS, &raw mut address) {
            true => String::from_utf8_lossy(bytes_of(address.bytes, address.length)).into_owned(),
            false => String::new(),
        }
    }
}

/// Sets filter state of a stream. Envoy refuses to set a value twice.
pub(crate) fn set_filter_state(stream: StreamId, name: &str, value: &str) {
    let Some(filter) = filter_to_change(stream) else { return };
    let (name, value) = (module_buffer(name.as_bytes()), module_buffer(value.as_bytes()));
    // SAFETY: Own thread, own memory.
    unsafe { envoy::http_set_filter_state_bytes(filter, name, value) };
}

/// Answers a stream with headers, and a body if there is one.
pub(crate) fn respond(stream: StreamId, status: Option<u32>, headers: &[(&str, &str)], body: &str) {
    if let Some(filter) = filter_to_change(stream) {
        respond_by(filter, status, headers, body);
    }
}

fn respond_by(filter: EnvoyFilter, status: Option<u32>, headers: &[(&str, &str)], body: &str) {
    let headers: Vec<RawHeader> = headers
        .iter()
        .map(|(name, value)| RawHeader {
            name: module_buffer(name.as_bytes()),
            value: module_buffer(value.as_bytes()),
        })
        .collect();
    let (first, count) = (headers.as_ptr(), headers.len());
    // SAFETY: Own thread: the callers have `filter` from the table, or from the hook that runs. Own memory.
    unsafe {
        match status {
            Some(status) => envoy::http_send_response(
                filter,
                status,
                first,
                count,
                module_buffer(body.as_bytes()),
                module_buffer(b"zonegate"),
            ),
            None => envoy::http_send_response_headers(filter, first, count, true),
        }
    }
}

/// Lets a paused stream continue.
pub(crate) fn resume(stream: StreamId) {
    if let Some(filter) = filter_to_change(stream) {
        // SAFETY: Own thread.
        unsafe { envoy::http_filter_continue_decoding(filter) };
    }
}

/// Resets a stream.
pub(crate) fn reset(stream: StreamId) {
    if let Some((filter, envoy)) = filter_to_change(stream).zip(Since1_38::get()) {
        let details = module_buffer(b"zonegate");
        // SAFETY: Own thread, own memory.
        unsafe { (envoy.http_filter_reset_stream)(filter, LOCAL_RESET, details) };
    }
}

// ---------------------------------------------------------------- of metrics

/// Changes a metric that the configuration of this stream has defined. Returns whether the stream is live.
pub(crate) fn change(stream: StreamId, id: usize, change: Change) -> bool {
    let Some(filter) = filter(stream) else { return false };
    // SAFETY: Own thread. No labels were defined. (A number that is unknown changes nothing.)
    unsafe {
        match change {
            Change::Count => envoy::http_filter_increment_counter(filter, id, ptr::null(), 0, 1),
            Change::Add(by) if by < 0 => {
                envoy::http_filter_decrement_gauge(filter, id, ptr::null(), 0, by.unsigned_abs())
            }
            Change::Add(by) => {
                envoy::http_filter_increment_gauge(filter, id, ptr::null(), 0, by.unsigned_abs())
            }
            Change::Set(value) => envoy::http_filter_set_gauge(filter, id, ptr::null(), 0, value),
        }
    };
    true
}

/// A configuration of Envoy, during a hook for it.
#[derive(Clone, Copy)]
pub(crate) struct Host<'a> {
    config: EnvoyConfig,
    hook: PhantomData<&'a ()>,
}

impl Host<'_> {
    /// Defines a counter. Returns its number.
    pub(crate) fn define_counter(self, name: &str) -> Option<usize> {
        let (name, mut id) = (module_buffer(name.as_bytes()), 0);
        // SAFETY: Envoy's configuration lives as long as the hook. Own memory.
        let result = unsafe {
            envoy::http_filter_config_define_counter(self.config, name, ptr::null(), 0, &raw mut id)
        };
        (result == SUCCESS).then_some(id)
    }

    /// Defines a gauge. Returns its number.
    pub(crate) fn define_gauge(self, name: &str) -> Option<usize> {
        let (name, mut id) = (module_buffer(name.as_bytes()), 0);
        // SAFETY: as above.
        let result = unsafe {
            envoy::http_filter_config_define_gauge(self.config, name, ptr::null(), 0, &raw mut id)
        };
        (result == SUCCESS).then_some(id)
    }

    /// Changes a metric that this configuration has defined. Returns whether this Envoy supports that.
    pub(crate) fn change(self, id: usize, change: Change) -> bool {
        let (name, value) = match change {
            Change::Count => {
                (c"envoy_dynamic_module_callback_http_filter_config_increment_counter", 1)
            }
            Change::Set(value) => {
                (c"envoy_dynamic_module_callback_http_filter_config_set_gauge", value)
            }
            Change::Add(_) => return false,
        };
        let function = symbol(name);
        if function.is_null() {
            return false;
        }
        // SAFETY: Envoy's header declares both functions so. The configuration lives as long as the hook.
        unsafe {
            let function = mem::transmute::<*mut c_void, OfConfig>(function);
            function(self.config, id, ptr::null(), 0, value) == SUCCESS
        }
    }

    /// Has Envoy call [`configuration::stands`] after its current work, if the configuration still exists
    /// then.
    pub(crate) fn call_later(self) {
        // SAFETY: Envoy's configuration lives as long as the hook. The scheduler is ours until it is deleted, and Envoy
        // does not need it for a committed event.
        unsafe {
            let scheduler = envoy::http_filter_config_scheduler_new(self.config);
            if !scheduler.is_null() {
                envoy::http_filter_config_scheduler_commit(scheduler, 0);
                envoy::http_filter_config_scheduler_delete(scheduler);
            }
        }
    }
}

/// The function that Envoy exports under this name; null if there is none.
fn symbol(name: &CStr) -> *mut c_void {
    // SAFETY: a name that ends with a zero. A null library is all that the process has loaded.
    unsafe { envoy::dlsym(ptr::null_mut(), name.as_ptr()) }
}

// ---------------------------------------------------------------- of threads

/// Wakes the worker of a stream, from any thread, while the stream is live.
pub(crate) struct Waker(Scheduler);

// SAFETY: Envoy's header allows `…scheduler_commit` on every thread. The only other use is to delete it.
unsafe impl Send for Waker {}

impl Waker {
    /// A waker for the worker of this stream, which is this thread.
    pub(crate) fn new(stream: StreamId) -> Option<Self> {
        let filter = filter(stream)?;
        // SAFETY: Own thread.
        let scheduler = unsafe { envoy::http_filter_scheduler_new(filter) };
        (!scheduler.is_null()).then_some(Self(scheduler))
    }

    /// Has the worker call [`stream::woken`].
    pub(crate) fn wake(&self) {
        // SAFETY: ours until it is dropped.
        unsafe { envoy::http_filter_scheduler_commit(self.0, 0) };
    }
}

impl Drop for Waker {
    fn drop(&mut self) {
        // SAFETY: ours, and used no more.
        unsafe { envoy::http_filter_scheduler_delete(self.0) };
    }
}

// ---------------------------------------------------------------- of the process

/// Writes a line to Envoy's log.
pub(crate) fn log(level: Level, line: &str) {
    let level = match level {
        Level::Info => 2,
        Level::Warn => 3,
        Level::Error => 4,
    };
    // SAFETY: own memory.
    unsafe { envoy::log(level, module_buffer(line.as_bytes())) };
}

/// The function by which another copy of the library in this process passes on a push: the name of a gateway, and a
/// configuration.
type PushedElsewhere =
    unsafe extern "C" fn(name: *const u8, name_length: usize, text: *const u8, length: usize);

/// Registers this copy of the library for the others under `key`. Returns whether the key was free.
pub(crate) fn offer(key: &str) -> bool {
    let function: PushedElsewhere = pushed_elsewhere;
    // SAFETY: own memory; the function stays valid, because the library is never unloaded (build.rs).
    Since1_38::get().is_some_and(|envoy| unsafe {
        (envoy.register_function)(module_buffer(key.as_bytes()), function as *mut c_void)
    })
}

/// Another copy of the library in this process.
#[derive(Clone, Copy)]
pub(crate) struct OtherCopy(PushedElsewhere);

impl OtherCopy {
    /// The copy that is registered under `key`.
    pub(crate) fn find(key: &str) -> Option<Self> {
        let (key, mut function) = (module_buffer(key.as_bytes()), ptr::null_mut());
        // SAFETY: own memory.
        let is_known = unsafe { (Since1_38::get()?.get_function)(key, &raw mut function) };
        // SAFETY: such a key only ever names a `pushed_elsewhere`, because the key includes the version of its
        // signature.
        (is_known && !function.is_null())
            .then(|| Self(unsafe { mem::transmute::<*mut c_void, PushedElsewhere>(function) }))
    }

    /// Tells this copy of a push.
    pub(crate) fn tell(self, gateway: &str, text: &[u8]) {
        // SAFETY: no copy is ever unloaded. Own memory, which the other copy copies.
        unsafe { (self.0)(gateway.as_ptr(), gateway.len(), text.as_ptr(), text.len()) };
    }
}

unsafe extern "C" fn pushed_elsewhere(
    name: *const u8,
    name_length: usize,
    text: *const u8,
    length: usize,
) {
    guarded(
        || (),
        || {
            // SAFETY: `tell` of the other copy lends both for as long as this runs.
            let (name, text) = unsafe { (bytes_of(name, name_length), bytes_of(text, length)) };
            configuration::pushed_elsewhere(&String::from_utf8_lossy(name), text);
        },
    );
}

// ---------------------------------------------------------------- hooks

/// Runs a hook. (No unwinding.)
fn guarded<T>(on_panic: impl FnOnce() -> T, hook: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(hook)).unwrap_or_else(|cause| {
        // Dropping the payload of a panic may panic again.
        mem::forget(cause);
        on_panic()
    })
}

/// Runs a hook of a request. If the hook fails, or does not know the stream, the request is answered and the hook
/// returns `pause`. If it fails, the other streams of its worker end, too.
fn guarded_request(
    filter: EnvoyFilter,
    stream: StreamId,
    pause: u32,
    hook: impl FnOnce() -> Option<u32>,
) -> u32 {
    // An answer for HTTP and for gRPC, because the client's protocol is not known here.
    const ANSWER: [(&str, &str); 3] =
        [(":status", "503"), ("grpc-status", "14"), ("grpc-message", "zonegate: failed")];
    let is_answered = || guarded(|| false, || stream::failed(stream) == MustBeAnswered::No);
    guarded(|| is_answered().then_some(pause), hook).unwrap_or_else(|| {
        guarded(|| (), || respond_by(filter, None, &ANSWER, ""));
        pause
    })
}

fn stream_of(filter: ModuleFilter) -> StreamId {
    let number = filter.addr().checked_sub(1).and_then(|number| u32::try_from(number).ok());
    StreamId(number.unwrap_or(u32::MAX))
}

/// Metadata of the library, where `systemd-analyze inspect-elf` and `readelf --notes` look for it:
/// <https://systemd.io/ELF_PACKAGE_METADATA>.
#[repr(C, align(4))]
struct PackageNote {
    owner_size: u32,
    json_size: u32,
    kind: u32,
    owner: [u8; 4],
    json: [u8; PACKAGE.len()],
}

/// The zero bytes end the text and fill its last word.
const PACKAGE: &str =
    concat!(r#"{"name":"zonegate","version":""#, env!("CARGO_PKG_VERSION"), "\"}\0\0\0\0");

// SAFETY: A note is data in the file that nothing here reads or writes.
#[used]
#[unsafe(link_section = ".note.package")]
static PACKAGE_NOTE: PackageNote = PackageNote {
    owner_size: 4,
    json_size: PACKAGE.len() as u32,
    kind: 0xcafe_1a7e,
    owner: *b"FDO\0",
    json: match PACKAGE.as_bytes().first_chunk() {
        Some(bytes) => *bytes,
        None => [0; PACKAGE.len()],
    },
};

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_on_program_init() -> *const c_char {
    static LOADED: OnceLock<bool> = OnceLock::new();
    guarded(ptr::null, || {
        if !*LOADED.get_or_init(program::loaded) {
            return ptr::null();
        }
        // The ABI of 1.40 only adds functions to that of 1.38 and 1.39. Those would warn about its version.
        let is_new = !symbol(c"envoy_dynamic_module_callback_log_v2").is_null();
        if is_new { c"v0.2.0".as_ptr() } else { c"v0.1.0".as_ptr() }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn envoy_dynamic_module_on_http_filter_config_new(
    config: EnvoyConfig,
    name: EnvoyBuffer,
    text: EnvoyBuffer,
) -> ModuleConfig {
    guarded(ptr::null, || {
        // SAFETY: Hook only.
        let (name, text) =
            unsafe { (bytes_of(name.bytes, name.length), bytes_of(text.bytes, text.length)) };
        let host = Host { config, hook: PhantomData };
        match configuration::begin(host, &String::from_utf8_lossy(name), text) {
            Some(configuration) => Arc::into_raw(configuration).cast(),
            None => ptr::null(),
        }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn envoy_dynamic_module_on_http_filter_config_scheduled(
    config: EnvoyConfig,
    ours: ModuleConfig,
    _event: u64,
) {
    guarded(
        || (),
        || {
            // SAFETY: Envoy hands over what `…config_new` returned, until `…config_destroy`.
            if let Some(ours) = unsafe { ours.cast::<Configuration>().as_ref() } {
                configuration::stands(Host { config, hook: PhantomData }, ours);
            }
        },
    );
}

#[unsafe(no_mangle)]
unsafe extern "C" fn envoy_dynamic_module_on_http_filter_config_destroy(ours: ModuleConfig) {
    guarded(
        || (),
        || {
            if !ours.is_null() {
                // SAFETY: it came from `Arc::into_raw` in `…config_new`, and Envoy gives it back once.
                let ours = unsafe { Arc::from_raw(ours.cast::<Configuration>()) };
                configuration::end(&ours);
            }
        },
    );
}

#[unsafe(no_mangle)]
unsafe extern "C" fn envoy_dynamic_module_on_http_filter_new(
    ours: ModuleConfig,
    filter: EnvoyFilter,
) -> ModuleFilter {
    let number = guarded(|| None, || FILTERS.with_borrow_mut(|filters| filters.insert(filter)));
    if let Some(number) = number {
        // If this fails, the stream is not known, and its hooks let nothing pass.
        guarded(
            || (),
            || {
                // SAFETY: as in `…config_scheduled`.
                if let Some(ours) = unsafe { ours.cast::<Configuration>().as_ref() } {
                    stream::begin(StreamId(number), ours);
                }
            },
        );
    }
    // Never null: Envoy 1.38 and 1.39 would pass null to the hooks.
    let number = number.and_then(|number| usize::try_from(number).ok());
    ptr::without_provenance(number.unwrap_or(usize::MAX).saturating_add(1))
}

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_on_http_filter_request_headers(
    filter: EnvoyFilter,
    ours: ModuleFilter,
    is_end: bool,
) -> u32 {
    let id = stream_of(ours);
    guarded_request(filter, id, STOP_ITERATION, || {
        Some(match stream::on_headers(id, is_end)? {
            Step::Continue => CONTINUE,
            Step::Pause => STOP_ITERATION,
        })
    })
}

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_on_http_filter_request_body(
    filter: EnvoyFilter,
    ours: ModuleFilter,
    is_end: bool,
) -> u32 {
    let id = stream_of(ours);
    guarded_request(filter, id, STOP_ITERATION_NO_BUFFER, || {
        Some(match stream::on_body(id, is_end)? {
            BodyStep::Continue => CONTINUE,
            BodyStep::Keep => STOP_ITERATION_AND_BUFFER,
            BodyStep::Discard => STOP_ITERATION_NO_BUFFER,
        })
    })
}

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_on_http_filter_request_trailers(
    filter: EnvoyFilter,
    ours: ModuleFilter,
) -> u32 {
    let id = stream_of(ours);
    guarded_request(filter, id, STOP_ITERATION, || {
        Some(match stream::on_trailers(id)? {
            Step::Continue => CONTINUE,
            Step::Pause => STOP_ITERATION,
        })
    })
}

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_on_http_filter_scheduled(
    _filter: EnvoyFilter,
    ours: ModuleFilter,
    _event: u64,
) {
    let id = stream_of(ours);
    // Here a request cannot be answered, and an open stream has been answered already.
    let end = || {
        let _ = stream::failed(id);
        reset(id);
    };
    guarded(|| guarded(|| (), end), || stream::woken(id));
}

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_on_http_filter_stream_complete(
    _filter: EnvoyFilter,
    ours: ModuleFilter,
) {
    guarded(|| (), || stream::on_complete(stream_of(ours)));
}

#[unsafe(no_mangle)]
extern "C" fn envoy_dynamic_module_on_http_filter_destroy(ours: ModuleFilter) {
    let id = stream_of(ours);
    guarded(|| guarded(|| (), || _ = stream::failed(id)), || stream::on_end(id));
    let _ = FILTERS.try_with(|filters| filters.borrow_mut().remove(id));
}

// The module does not look at responses and makes no calls of its own, so these hooks do nothing. Envoy loads no module
// without them.

macro_rules! not_looked_at {
    ($($hook:ident)*) => {$(
        #[unsafe(no_mangle)]
        extern "C" fn $hook() -> u32 {
            CONTINUE
        }
    )*};
}

not_looked_at! {
    envoy_dynamic_module_on_http_filter_response_headers
    envoy_dynamic_module_on_http_filter_response_body
    envoy_dynamic_module_on_http_filter_response_trailers
    envoy_dynamic_module_on_http_filter_http_callout_done
    envoy_dynamic_module_on_http_filter_http_stream_headers
    envoy_dynamic_module_on_http_filter_http_stream_data
    envoy_dynamic_module_on_http_filter_http_stream_trailers
    envoy_dynamic_module_on_http_filter_http_stream_complete
    envoy_dynamic_module_on_http_filter_http_stream_reset
    envoy_dynamic_module_on_http_filter_downstream_above_write_buffer_high_watermark
    envoy_dynamic_module_on_http_filter_downstream_below_write_buffer_low_watermark
}
