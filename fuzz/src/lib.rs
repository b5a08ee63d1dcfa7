//! What holds for any bytes that a stranger or an operator hands over.
//!
//! In: bytes. Out: nothing, or a panic where something does not hold. Each target is a plain function: `make fuzz`
//! has libFuzzer call it with bytes of its own making (`fuzz_targets/`), and `make test` with the files in
//! `corpus/` (`tests/replay.rs`).
//!
//! Whether the gate decides as Kuma does is not asked here: `tests/differential` asks Kuma.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // what does not hold is a panic
#![allow(clippy::indexing_slicing, clippy::string_slice, clippy::arithmetic_side_effects)]

mod bootstrap;
mod configuration;
mod conversation;
mod first_message;
mod keys;
mod lifecycle;
mod revocations;
mod secrets;
mod stand_in;
mod token;

pub use bootstrap::bootstrap;
pub use configuration::configuration;
pub use first_message::first_message;
pub use keys::keys;
pub use lifecycle::lifecycle;
pub use revocations::revocations;
pub use secrets::secrets;
pub use token::token;

/// A target: what it is called, here and in `corpus/`, and its function.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const TARGETS: [Target; 8] = [
    ("token", token),
    ("keys", keys),
    ("revocations", revocations),
    ("first_message", first_message),
    ("bootstrap", bootstrap),
    ("configuration", configuration),
    ("secrets", secrets),
    ("lifecycle", lifecycle),
];
