//! The fields that belong to one profile alone.
//!
//! In: what of them is there. Out: a [`Profile`], defaults filled in. A field that means nothing to
//! its profile is an error, not ignored: its author thinks that something is checked which is not.

use std::time::Duration;

use super::{ConfigError, raw, within};
use crate::gate::{BootstrapPolicy, DpServer, Profile, Proxies};

/// The fields as they are written; `None` is one that is not there.
pub(super) struct Fields {
    pub(super) zone: Option<String>,
    pub(super) proxies: Option<raw::RawProxies>,
    pub(super) bootstrap: Option<BootstrapPolicy>,
    pub(super) first_message_seconds: Option<u64>,
}

/// Kuma's `multizone.zone.name`.
const DEFAULT_ZONE: &str = "default";
const DEFAULT_FIRST_MESSAGE_SECONDS: u64 = 10;

impl Fields {
    pub(super) fn of(self, profile: raw::Profile) -> Result<Profile, ConfigError> {
        match profile {
            raw::Profile::DpServer => self.of_dp_server().map(Profile::DpServer),
            raw::Profile::GlobalKds => self.of_global_kds(),
        }
    }

    fn of_dp_server(self) -> Result<DpServer, ConfigError> {
        let Self { zone, proxies, bootstrap, first_message_seconds } = self;
        let zone = zone.unwrap_or_else(|| DEFAULT_ZONE.to_owned());
        super::zone(&zone).map_err(|error| ConfigError::new("zone", error))?;
        let raw::RawProxies { ingress, egress, dataplane } = proxies.unwrap_or_default();
        let seconds = first_message_seconds.unwrap_or(DEFAULT_FIRST_MESSAGE_SECONDS);
        Ok(DpServer {
            zone,
            proxies: Proxies {
                ingress: ingress.into(),
                egress: egress.into(),
                dataplane: dataplane.into(),
            },
            bootstrap: bootstrap.unwrap_or_default(),
            first_message: Duration::from_secs(within("firstMessageSeconds", seconds, 1, 300)?),
        })
    }

    fn of_global_kds(self) -> Result<Profile, ConfigError> {
        let Self { zone, proxies, bootstrap, first_message_seconds } = self;
        let none = "means nothing with profile globalKds:";
        for (path, is_there, why) in [
            ("zone", zone.is_some(), "each caller names its own in client-id; remove it"),
            ("proxies", proxies.is_some(), "only zone control planes connect; remove it"),
            ("bootstrap", bootstrap.is_some(), "there is none to ask for; remove it"),
            (
                "firstMessageSeconds",
                first_message_seconds.is_some(),
                "no first message is waited for; remove it",
            ),
        ] {
            if is_there {
                return Err(ConfigError::new(path, format_args!("{none} {why}")));
            }
        }
        Ok(Profile::GlobalKds)
    }
}
