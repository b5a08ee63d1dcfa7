//! How the library is linked.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // Envoy closes a library that no configuration names any more. This library has a thread, and filters of open
    // streams, so it must stay loaded.
    println!("cargo::rustc-link-arg-cdylib=-Wl,-z,nodelete");
    // The host of tests/native_host exports Envoy's callbacks to the library that it loads.
    println!("cargo::rustc-link-arg-tests=-rdynamic");
}
