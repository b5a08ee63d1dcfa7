//! Envoy's hot restart: which Envoy it is in a row of which each takes over from the one before.
//!
//! In: the folders in which they run. Out: the arguments that say so to Envoy.

use std::ffi::OsString;
use std::fs;
use std::path::Path;

use anyhow::{Context, bail};

/// The file in which the first one says how the others find it.
const BASE_ID_FILE: &str = "base-id";
/// Seconds in which an Envoy that was taken over from lets go of its connections.
const DRAIN: &str = "5";
/// Seconds after which it is ended.
const SHUTDOWN: &str = "15";

/// Which one it is.
#[derive(Debug, Clone)]
pub(super) enum Epoch {
    /// The only one.
    Only,
    /// The first.
    First,
    /// One after it.
    Next {
        /// How they find each other.
        base_id: String,
        /// How many were before it.
        number: u32,
    },
}

impl Epoch {
    /// The one after this, which runs in `dir`.
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

    /// What Envoy, which runs in `dir`, is to be told.
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
