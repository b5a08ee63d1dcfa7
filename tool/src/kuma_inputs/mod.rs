//! Inputs from Kuma: the secrets of a control plane, and kuma-cp's own configuration.
//!
//! In: their files, as Kuma's programs and Kubernetes print them. Out: public keys, revocations and the zone, or an
//! error that names the place. Private keys are reduced to public keys as they are read, so the users of [`Secrets`]
//! never see one. Whether the filter accepts a key is not decided here.

pub mod control_plane;
mod no_zone_tokens;
mod secrets;

pub use no_zone_tokens::NoZoneTokens;
pub use secrets::{Secrets, SecretsError, Skipped, Unusable};
