//! The library, loaded as Envoy loads it.

#![allow(clippy::missing_transmute_annotations)] // the fields give the types

use std::ffi::{CString, c_char, c_int, c_void};
use std::mem;

use crate::callbacks::Buffer;

unsafe extern "C" {
    fn dlopen(path: *const c_char, flags: c_int) -> *mut c_void;
    fn dlsym(library: *mut c_void, name: *const c_char) -> *mut c_void;
    fn dlerror() -> *const c_char;
}

const RTLD_NOW: c_int = 2;

/// The hooks that a stream needs.
pub(crate) struct Library {
    pub(crate) config_new: unsafe extern "C" fn(*mut c_void, Buffer, Buffer) -> *const c_void,
    pub(crate) config_scheduled: unsafe extern "C" fn(*mut c_void, *const c_void, u64),
    pub(crate) config_destroy: unsafe extern "C" fn(*const c_void),
    pub(crate) filter_new: unsafe extern "C" fn(*const c_void, *mut c_void) -> *const c_void,
    pub(crate) headers: unsafe extern "C" fn(*mut c_void, *const c_void, bool) -> u32,
    pub(crate) body: unsafe extern "C" fn(*mut c_void, *const c_void, bool) -> u32,
    pub(crate) trailers: unsafe extern "C" fn(*mut c_void, *const c_void) -> u32,
    pub(crate) scheduled: unsafe extern "C" fn(*mut c_void, *const c_void, u64),
    pub(crate) complete: unsafe extern "C" fn(*mut c_void, *const c_void),
    pub(crate) destroy: unsafe extern "C" fn(*const c_void),
}

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
}
