//! The operator's tool; see [`zonegate::cli`]. In: arguments. Out: an exit code.

#[cfg(not(target_family = "wasm"))]
fn main() -> std::process::ExitCode {
    zonegate::cli::main()
}

/// The module that Envoy loads is the library; this keeps a plain `cargo build` for it working.
#[cfg(target_family = "wasm")]
fn main() {}
