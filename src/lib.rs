//! Zonegate.
#[cfg(not(target_family = "wasm"))]
pub mod cli;
#[cfg(not(target_family = "wasm"))]
pub mod demo;
#[cfg(not(target_family = "wasm"))]
pub mod issuer;
pub mod token;
