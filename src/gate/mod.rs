//! Whether a request may pass.
//!
//! In: the facts of a request, a [`Policy`] and a [`Clock`]. Out: a [`Verdict`]. The order of checks
//! is written in one place, [`judge`](Policy::judge). Nothing here knows of Envoy.

mod bootstrap;
mod caller;
mod check;
mod dp_server;
mod first_message;
mod head;
mod judge;
mod policy;
mod proxy;
mod reason;
mod refusal;
mod route;
mod sentence;
mod span;
mod time;
mod verdict;

pub use crate::revocation::RevocationList;
pub use bootstrap::{BootstrapRequest, MAX_BOOTSTRAP};
pub use caller::{CONTROL_PLANE_SCOPE, Caller, Claimed};
pub use check::{Check, Outcome};
pub use dp_server::{BootstrapPolicy, Dataplane, DpServer, Proxies, ZoneProxy};
pub use first_message::{Form, Frame, MAX_FIRST_MESSAGE, PREFIX, proxy_type};
pub use head::Head;
pub use judge::Judge;
pub use policy::{ErrorDetail, Mode, OnOpen, OpenStreams, Policy, Profile};
pub use proxy::{ProxyType, UnknownProxyType};
pub use reason::{GrpcCode, Reason, Status};
pub use refusal::{Audience, CredentialSource, Refusal, RequestError};
pub use route::{ADS_DELTA, ADS_SOTW, BOOTSTRAP, HDS, KDS, Route, is_kds};
pub use sentence::Quoted;
pub use span::Span;
pub use time::{Clock, UnixTime, has_expired};
pub use verdict::{Denial, Held, Permit, Unchecked, Verdict};
