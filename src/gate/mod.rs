//! Whether a request may pass.
//!
//! In: the facts of a request, a [`Policy`] and a [`Clock`]. Out: a [`Verdict`]. The order of checks
//! is written in one place, [`judge`](Policy::judge). Nothing here knows of Envoy.

mod bootstrap;
mod check;
mod first_message;
mod judge;
mod policy;
mod proxy;
mod reason;
mod refusal;
mod revocation;
mod route;
mod span;
mod time;
mod verdict;

pub use bootstrap::{BootstrapRequest, MAX_BOOTSTRAP};
pub use check::{Check, Outcome};
pub use first_message::{Form, Frame, MAX_FIRST_MESSAGE, PREFIX, proxy_type};
pub use judge::Head;
pub use policy::{
    BootstrapPolicy, Dataplane, ErrorDetail, Mode, OnOpen, OpenStreams, Policy, Proxies, ZoneProxy,
};
pub use proxy::{ProxyType, UnknownProxyType};
pub use reason::{Reason, Status};
pub use refusal::{Place, Quoted, Refusal, RequestError};
pub use revocation::RevocationList;
pub use route::{ADS_DELTA, ADS_SOTW, BOOTSTRAP, HDS, Route};
pub use span::Span;
pub use time::{Clock, UnixTime, has_expired};
pub use verdict::{Denial, Held, Permit, Unchecked, Verdict};
