//! The operator's tool, `zonegate`.
//!
//! - [`cli`] is the command line.
//! - [`operator`] makes what operators have into what the gateway takes, and reads it back.
//! - [`sync`] keeps a gateway's policy as the control plane's secrets say.
//!
//! What the gateway would decide is asked of the filter's own code, crate `zonegate`. The demo alone
//! uses `zonegate-testkit`.

#![forbid(unsafe_code)]

pub mod cli;
pub mod operator;
pub mod sync;
