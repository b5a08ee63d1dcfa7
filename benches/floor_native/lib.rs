//! The floor of the measurement as a dynamic module: it makes the calls to Envoy that the filter must make, and ignores
//! the results. No such filter can cost less. The filter's own cost is the difference.
//!
//! The configuration is one word; see [`configuration::Step`]. The library lets everything pass, or refuses everything.
//! Never use it in a gateway.

#[allow(dead_code)] // The floor needs less of Envoy than the filter does.
#[path = "../../filters/native/src/abi.rs"]
mod abi;
mod configuration;
mod program;
mod stream;
