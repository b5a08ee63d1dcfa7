//! The server behind the gate, and who may connect to it.
//!
//! In: nothing. Out: types. Tokens, dates and revocation are judged elsewhere.

mod dp_server;
mod global_kds;

pub use dp_server::{Admission, BootstrapPolicy, DpServer, Holding, Proxies};
pub use global_kds::GlobalKds;

/// The server behind the gate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Profile {
    /// A zone's control plane, its dataplane server (:5678).
    DpServer(DpServer),
    /// A global control plane, its KDS server (:5685). The zone is the one that each caller claims.
    GlobalKds(GlobalKds),
}
