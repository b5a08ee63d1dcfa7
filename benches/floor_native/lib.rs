//! The floor of the measurement as a dynamic module: it asks of Envoy what the filter must ask, and does
//! nothing with it. What it costs, no such filter can do without; what the filter costs more is its own.
//!
//! The configuration is one word; see [`configuration::Step`]. The library lets everything pass, or refuses
//! everything, and is never to be used as a gateway.

#[allow(dead_code)] // The floor needs less of Envoy than the filter does.
#[path = "../../filters/native/src/abi.rs"]
mod abi;
mod configuration;
mod program;
mod stream;
