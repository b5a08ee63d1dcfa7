//! The target `first_message`, for libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| zonegate_fuzz::first_message(bytes));
