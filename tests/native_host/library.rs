//! The library, loaded and called as Envoy does it.

#![allow(unsafe_code)] // calls of C functions
#![allow(clippy::missing_transmute_annotations)] // the fields give the types

use std::ffi::{CString, c_char, c_int, c_void};
use std::{mem, ptr};

use crate::callbacks::Buffer;

unsafe extern "C" {
    fn dlopen(path: *const c_char, flags: c_int) -> *mut c_void;
    fn dlsym(library: *mut c_void, name: *const c_char) -> *mut c_void;
    fn dlerror() -> *const c_char;
}

const RTLD_NOW: c_int = 2;

/// The hooks that a stream needs. A filter is named by two numbers: `filter` is Envoy's, `module` the library's.
#[derive(Clone, Copy)]
pub(crate) struct Library {
    config_new: unsafe extern "C" fn(*mut c_void, Buffer, Buffer) -> *const c_void,
    config_scheduled: unsafe extern "C" fn(*mut c_void, *const c_void, u64),
    config_destroy: unsafe extern "C" fn(*const c_void),
    filter_new: unsafe extern "C" fn(*const c_void, *mut c_void) -> *const c_void,
    headers: unsafe extern "C" fn(*mut c_void, *const c_void, bool) -> u32,
    body: unsafe extern "C" fn(*mut c_void, *const c_void, bool) -> u32,
    trailers: unsafe extern "C" fn(*mut c_void, *const c_void) -> u32,
    scheduled: unsafe extern "C" fn(*mut c_void, *const c_void, u64),
    complete: unsafe extern "C" fn(*mut c_void, *const c_void),
    destroy: unsafe extern "C" fn(*const c_void),
}

/// A configuration that the library has accepted, as the library names it.
pub(crate) struct Accepted(*const c_void);

impl Library {
    /// Loads the library, with all callbacks that it needs.
    pub(crate) fn load() -> Self {
        let path = std::env::var("ZONEGATE_NATIVE");
        let path = CString::new(path.expect("ZONEGATE_NATIVE is not set: run make test")).unwrap();
        // SAFETY: a path that ends with a zero.
        let library = unsafe { dlopen(path.as_ptr(), RTLD_NOW) };
        if library.is_null() {
            // SAFETY: dlopen has failed, and dlerror gives the reason.
            panic!("{:?}", unsafe { std::ffi::CStr::from_ptr(dlerror()) });
        }
        let hook = |name: &str| {
            let name = CString::new(format!("envoy_dynamic_module_on_{name}")).unwrap();
            // SAFETY: a library that is loaded, and a name that ends with a zero.
            let hook = unsafe { dlsym(library, name.as_ptr()) };
            assert!(!hook.is_null(), "{name:?}");
            hook
        };
        // SAFETY: the types are those of Envoy's header.
        unsafe {
            let init: unsafe extern "C" fn() -> *const c_char =
                mem::transmute(hook("program_init"));
            assert!(!init().is_null());
            Self {
                config_new: mem::transmute::<*mut c_void, _>(hook("http_filter_config_new")),
                config_scheduled: mem::transmute::<*mut c_void, _>(hook(
                    "http_filter_config_scheduled",
                )),
                config_destroy: mem::transmute::<*mut c_void, _>(hook(
                    "http_filter_config_destroy",
                )),
                filter_new: mem::transmute::<*mut c_void, _>(hook("http_filter_new")),
                headers: mem::transmute::<*mut c_void, _>(hook("http_filter_request_headers")),
                body: mem::transmute::<*mut c_void, _>(hook("http_filter_request_body")),
                trailers: mem::transmute::<*mut c_void, _>(hook("http_filter_request_trailers")),
                scheduled: mem::transmute::<*mut c_void, _>(hook("http_filter_scheduled")),
                complete: mem::transmute::<*mut c_void, _>(hook("http_filter_stream_complete")),
                destroy: mem::transmute::<*mut c_void, _>(hook("http_filter_destroy")),
            }
        }
    }

    /// Gives the library a configuration. `None` if the library refuses the configuration.
    pub(crate) fn configure(&self, place: usize, text: &str) -> Option<Accepted> {
        let (name, text) = (Buffer::of(b"gateway"), Buffer::of(text.as_bytes()));
        // SAFETY: called as Envoy calls it; the library copies the bytes that it keeps.
        let accepted = unsafe { (self.config_new)(ptr::without_provenance_mut(place), name, text) };
        (!accepted.is_null()).then_some(Accepted(accepted))
    }

    /// Makes a call that the library scheduled on a configuration.
    pub(crate) fn wake_configuration(&self, place: usize, accepted: &Accepted) {
        let place = ptr::without_provenance_mut(place);
        // SAFETY: called as Envoy calls it; the configuration was not given back.
        unsafe { (self.config_scheduled)(place, accepted.0, 0) }
    }

    /// Gives a configuration back.
    pub(crate) fn drop_configuration(&self, accepted: Accepted) {
        // SAFETY: the library made the configuration, and gets it back once.
        unsafe { (self.config_destroy)(accepted.0) }
    }

    /// Begins a stream. Returns its `module`.
    pub(crate) fn begin(&self, accepted: &Accepted, filter: usize) -> usize {
        // SAFETY: called as Envoy calls it.
        let module = unsafe { (self.filter_new)(accepted.0, ptr::without_provenance_mut(filter)) };
        assert!(!module.is_null());
        module.addr()
    }

    /// The status of Envoy's header: 0 goes on.
    pub(crate) fn headers(&self, filter: usize, module: usize, is_end: bool) -> u32 {
        let (filter, module) = pointers(filter, module);
        // SAFETY: called as Envoy calls it.
        unsafe { (self.headers)(filter, module, is_end) }
    }

    /// The status of Envoy's header: 0 goes on, 1 keeps the body.
    pub(crate) fn body(&self, filter: usize, module: usize, is_end: bool) -> u32 {
        let (filter, module) = pointers(filter, module);
        // SAFETY: called as Envoy calls it.
        unsafe { (self.body)(filter, module, is_end) }
    }

    /// The status of Envoy's header: 0 goes on.
    pub(crate) fn trailers(&self, filter: usize, module: usize) -> u32 {
        let (filter, module) = pointers(filter, module);
        // SAFETY: called as Envoy calls it.
        unsafe { (self.trailers)(filter, module) }
    }

    /// Makes a call that the library scheduled on a stream, which must not be gone.
    pub(crate) fn wake(&self, filter: usize, module: usize) {
        let (filter, module) = pointers(filter, module);
        // SAFETY: called as Envoy calls it.
        unsafe { (self.scheduled)(filter, module, 0) }
    }

    /// A stream has ended.
    pub(crate) fn complete(&self, filter: usize, module: usize) {
        let (filter, module) = pointers(filter, module);
        // SAFETY: called as Envoy calls it.
        unsafe { (self.complete)(filter, module) }
    }

    /// Destroys the filter of a stream; once for each stream.
    pub(crate) fn destroy(&self, module: usize) {
        // SAFETY: the library made the filter, and gets it back once.
        unsafe { (self.destroy)(ptr::without_provenance(module)) }
    }
}

fn pointers(filter: usize, module: usize) -> (*mut c_void, *const c_void) {
    (ptr::without_provenance_mut(filter), ptr::without_provenance(module))
}
