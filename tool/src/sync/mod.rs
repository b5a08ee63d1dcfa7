//! Keeps a gateway current with the secrets of a control plane.
//!
//! ```text
//! API server ─ ApiServer::fetch ─ Secrets ─┐
//!                                          ├─ Plugin ─ checked by the filter's own code ─ Target ─ Envoy
//! the gateway's policy, a file ────────────┘      the rest of the file stays
//! ```
//!
//! In: [`Settings`]. Out: an ECDS file with the keys and revocations of the control plane. It is replaced as a whole
//! when they change, and left alone otherwise. After a failure, the file keeps the last good contents. Envoy's own
//! counters show whether it accepts the file.

mod address;
mod admin_token;
mod answer;
mod api_server;
mod changes;
mod error_kind;
mod fetch_error;
mod gateway_admin;
mod listener;
mod release_check;
mod rendered;
mod schedule;
mod shown;
mod status;
mod syncer;
mod target;

pub use address::{Address, AddressError, PlainHttp, Transport};
pub use admin_token::{TokenError, TokenSource, VARIABLE};
pub use api_server::{ApiServer, ClientCertificate, Etag, Found};
pub use changes::Snapshot;
pub use error_kind::ErrorKind;
pub use fetch_error::FetchError;
pub use gateway_admin::{GatewayAdmin, NotAnAdmin};
pub use listener::serve;
pub use rendered::{Before, Gateway, PolicyError, Reads, Rendered};
pub use schedule::{MAX_BACKOFF, Schedule};
pub use status::Status;
pub use syncer::{Settings, SyncError, Syncer};
pub use target::{Replaced, Target, TargetError};
