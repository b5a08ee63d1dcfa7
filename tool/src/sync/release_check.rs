//! Whether the control plane takes zone tokens at all, asked now and then.
//!
//! In: a control plane that has just answered. Out: a warning, once for what it says. Not asked at each poll:
//! a release changes seldom.

use std::time::{Duration, Instant};

use super::api_server::ApiServer;
use crate::kuma_inputs::NoZoneTokens;

/// An upgrade is told of within this time.
const EVERY: Duration = Duration::from_secs(600);

/// What was asked and warned of.
#[derive(Debug, Default)]
pub(super) struct ReleaseCheck {
    asked: Option<Instant>,
    warned: Option<NoZoneTokens>,
}

impl ReleaseCheck {
    /// Asks, unless that was lately. The answer is what to warn of.
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

    /// A control plane that was away may have come back as another release.
    pub(super) fn forget(&mut self) {
        self.asked = None;
    }
}
