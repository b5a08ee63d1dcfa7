//! How the library is linked.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // Envoy closes a library that no configuration names any more. This one has a thread, and filters of
    // streams that are still open: it stays.
    println!("cargo::rustc-link-arg-cdylib=-Wl,-z,nodelete");
    // The host of tests/native_host offers what Envoy offers: to a library that it loads.
    println!("cargo::rustc-link-arg-tests=-rdynamic");
}
