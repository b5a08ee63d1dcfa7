//! The target `keys`, for libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| zonegate_fuzz::keys(bytes));
