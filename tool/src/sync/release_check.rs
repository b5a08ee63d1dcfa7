//! Regular checks whether the control plane accepts zone tokens.
//!
//! In: a control plane that has just responded. Out: a warning, once for each result. There is no check at each poll,
//! because the release rarely changes.

use std::time::{Duration, Instant};

use super::api_server::ApiServer;
use crate::kuma_inputs::NoZoneTokens;

/// An upgrade is noticed within this time.
const EVERY: Duration = Duration::from_secs(600);

/// The last check, and the last warning.
#[derive(Debug, Default)]
pub(super) struct ReleaseCheck {
    asked: Option<Instant>,
    warned: Option<NoZoneTokens>,
}

impl ReleaseCheck {
    /// Checks, unless the last check was recent. Returns a warning if there is a new one.
    pub(super) async fn news(&mut self, server: &ApiServer) -> Option<String> {
        if self.asked.is_some_and(|asked| asked.elapsed() < EVERY) {
            return None;
        }
        self.asked = Some(Instant::now());
        let found = server.no_zone_tokens().await;
        let is_news = found != self.warned;
        self.warned.clone_from(&found);
        found.filter(|_| is_news).map(|found| format!("warning: {found}"))
    }

    /// Makes the next check immediate: a control plane that was away may come back with another release.
    pub(super) fn forget(&mut self) {
        self.asked = None;
    }
}
