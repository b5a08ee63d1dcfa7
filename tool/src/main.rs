//! The operator's tool; see [`zonegate_tool::cli`]. In: arguments. Out: an exit code.

#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    zonegate_tool::cli::main()
}
