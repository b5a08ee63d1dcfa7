//! The testkit: a control plane and zone proxies that speak as Kuma's do, and a real Envoy between
//! them. `make run`, `make demo` and the tests share it. Nothing here judges a token, and no filter has
//! anything of it.

#![forbid(unsafe_code)]

pub mod certificates;
pub mod control_plane;
pub mod gateway;
mod json_client;
pub mod kds;
pub mod kubernetes;
pub mod kuma;
pub mod process;
pub mod raw_client;
pub mod zone_control_plane;
pub mod zone_proxy;
