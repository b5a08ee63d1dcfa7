//! The fields that belong to one profile alone.
//!
//! In: the fields that are set. Out: a [`Profile`], defaults filled in. A field that has no meaning in its profile is an
//! error, because its author thinks that something is checked which is not.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::{ConfigError, raw, within};
use crate::gate::{BootstrapPolicy, DpServer, GlobalKds, Holding, Profile, Proxies};

/// The fields as they are written; `None` is one that is not there.
pub(super) struct Fields {
    pub(super) zone: Option<String>,
    pub(super) proxies: Option<raw::RawProxies>,
    pub(super) bootstrap: Option<BootstrapPolicy>,
    pub(super) first_message_seconds: Option<u64>,
    pub(super) hold_headers: Option<bool>,
    pub(super) count_zones: Option<Vec<String>>,
}

/// Kuma's `multizone.zone.name`.
const DEFAULT_ZONE: &str = "default";
const DEFAULT_FIRST_MESSAGE_SECONDS: u64 = 10;

impl Fields {
    pub(super) fn of(self, profile: raw::Profile) -> Result<Profile, ConfigError> {
        match profile {
            raw::Profile::DpServer => self.of_dp_server().map(Profile::DpServer),
            raw::Profile::GlobalKds => self.of_global_kds().map(Profile::GlobalKds),
        }
    }

    fn of_dp_server(self) -> Result<DpServer, ConfigError> {
        let Self { zone, proxies, bootstrap, first_message_seconds, hold_headers, count_zones } =
            self;
        if count_zones.is_some() {
            let why = "means nothing with profile dpServer: it serves one zone; remove it";
            return Err(ConfigError::new("countZones", why));
        }
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
            holding: match hold_headers {
                None | Some(true) => Holding::Everything,
                Some(false) => Holding::Body,
            },
        })
    }

    fn of_global_kds(self) -> Result<GlobalKds, ConfigError> {
        let Self { zone, proxies, bootstrap, first_message_seconds, hold_headers, count_zones } =
            self;
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
            ("holdHeaders", hold_headers.is_some(), "no first message is waited for; remove it"),
        ] {
            if is_there {
                return Err(ConfigError::new(path, format_args!("{none} {why}")));
            }
        }
        Ok(GlobalKds { count_zones: counted(count_zones.unwrap_or_default())? })
    }
}

/// More zones than a mesh has. Each has four metrics.
const MOST_COUNTED_ZONES: usize = 1_000;

fn counted(zones: Vec<String>) -> Result<BTreeSet<Arc<str>>, ConfigError> {
    if zones.len() > MOST_COUNTED_ZONES {
        let why = format_args!("{} zones: must be {MOST_COUNTED_ZONES} at most", zones.len());
        return Err(ConfigError::new("countZones", why));
    }
    let mut counted = BTreeSet::new();
    for (index, name) in zones.into_iter().enumerate() {
        let error = |why: &dyn fmt::Display| {
            Err(ConfigError::new(format!("countZones[{index}]"), why.to_string()))
        };
        if let Err(problem) = super::zone(&name) {
            return error(&problem);
        }
        if !counted.insert(Arc::from(name)) {
            return error(&"it occurs twice");
        }
    }
    Ok(counted)
}
