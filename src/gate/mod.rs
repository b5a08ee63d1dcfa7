//! Whether a request may pass.
//!
//! In: the facts of a request, a [`Policy`] and the time. Out: a [`Verdict`]. [`judge`](Policy::judge) has the order of
//! checks. Nothing here depends on Envoy.

mod bootstrap;
mod first_message;
mod head;
mod headers_alone;
mod judge;
mod judge_proxy;
mod judge_token;
mod policy;
mod profile;
mod recognise;
mod refusal;
mod resource;
mod revocation_rules;
mod route;
mod time;
mod verdict;
mod wire_node;

pub use crate::credential::{Caller, NodeIdentity, ProxyType};
pub use bootstrap::{BootstrapRequest, MAX_BOOTSTRAP};
pub use first_message::{ClaimedNode, Frame, MAX_FIRST_MESSAGE, MAX_RESOURCE, PREFIX, XdsVariant};
pub use head::{Claimed, Head};
pub use judge::Judge;
pub use policy::{ErrorDetail, Mode, OnOpen, OpenStreams, Policy};
pub use profile::{Admission, BootstrapPolicy, DpServer, GlobalKds, Holding, Profile, Proxies};
pub use refusal::{
    Audience, Check, CredentialSource, GrpcCode, Outcome, Reason, Refusal, RequestError, Status,
};
pub use revocation_rules::RevocationRule;
pub use route::{ADS_DELTA, ADS_SOTW, BOOTSTRAP, HDS, KDS, Route, is_kds};
pub use time::{Now, UnixTime, has_expired};
pub use verdict::{Credential, Denial, Held, Permit, Unchecked, UnverifiedToken, Verdict};
