//! Envoy's hot restart: the place of an Envoy in a sequence, in which each takes over from the one before.
//!
//! In: the folders in which they run. Out: the arguments for Envoy.

use std::ffi::OsString;
use std::fs;
use std::path::Path;

use anyhow::{Context, bail};

/// The file in which the first Envoy writes the base id for the others.
const BASE_ID_FILE: &str = "base-id";
/// Seconds that the previous Envoy has to drain its connections.
const DRAIN: &str = "5";
/// Seconds after which the previous Envoy is ended.
const SHUTDOWN: &str = "15";

/// The place of an Envoy in the sequence.
#[derive(Debug, Clone)]
pub(super) enum Epoch {
    /// The only one.
    Only,
    /// The first.
    First,
    /// A later one.
    Next {
        /// Envoy's base id, which all of the sequence share.
        base_id: String,
        /// Its restart epoch: the number of Envoys before it.
        number: u32,
    },
}

impl Epoch {
    /// The epoch of the Envoy after this one, which runs in `dir`.
    pub(super) fn next(&self, dir: &Path) -> anyhow::Result<Self> {
        match self {
            Self::Only => bail!("no other Envoy can take over from this one"),
            Self::First => {
                let file = dir.join(BASE_ID_FILE);
                let base_id = fs::read_to_string(&file)
                    .with_context(|| format!("reading {}", file.display()))?;
                Ok(Self::Next { base_id: base_id.trim().to_owned(), number: 1 })
            }
            Self::Next { base_id, number } => {
                Ok(Self::Next { base_id: base_id.clone(), number: number.saturating_add(1) })
            }
        }
    }

    /// The arguments for the Envoy that runs in `dir`.
    pub(super) fn arguments(&self, dir: &Path) -> Vec<OsString> {
        match self {
            Self::Only => vec!["--disable-hot-restart".into()],
            Self::First => {
                let file = dir.join(BASE_ID_FILE).into_os_string();
                vec!["--use-dynamic-base-id".into(), "--base-id-path".into(), file]
            }
            Self::Next { base_id, number } => {
                let times = ["--drain-time-s", DRAIN, "--parent-shutdown-time-s", SHUTDOWN];
                let number = number.to_string();
                let found = ["--base-id", base_id, "--restart-epoch", &number];
                found.into_iter().chain(times).map(OsString::from).collect()
            }
        }
    }
}
