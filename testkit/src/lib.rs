//! The testkit: a control plane and zone proxies that behave as Kuma's do, and a real Envoy between them. `make run`,
//! `make demo` and the tests share it. It judges no token, and no filter contains any of its code.

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
