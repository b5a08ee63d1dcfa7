//! The loop of polls: ask, render, check, replace, and wait.
//!
//! In: [`Settings`]. Out: a current file, a line for the log about everything that changes or fails, and a [`Status`].
//! An error ends a poll, never the loop.

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use zonegate::config::Warning;
use zonegate_page::InForce;

use super::api_server::{ApiServer, Etag, Found};
use super::changes::Snapshot;
use super::error_kind::ErrorKind;
use super::fetch_error::FetchError;
use super::release_check::ReleaseCheck;
use super::rendered::{self, Gateway, PolicyError, Reads, Rendered};
use super::schedule::Schedule;
use super::status::Status;
use super::target::{Replaced, Target, TargetError};
use crate::kuma_inputs::{Secrets, Skipped};
use crate::plugin_config::plugin_file::{MAX_BYTES, PluginConfiguration};

/// What to sync, how and how often.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The server with the secrets.
    pub server: ApiServer,
    /// The parts of the file that do not come from secrets.
    pub gateway: Gateway,
    /// The longest time from one poll to the next.
    pub interval: Duration,
}

/// Why a poll failed. The file is unchanged.
#[derive(Debug)]
pub enum SyncError {
    /// The secrets could not be fetched.
    Fetch(FetchError),
    /// The file could not be made.
    Policy(PolicyError),
    /// The file could not be replaced.
    Target(TargetError),
}

impl SyncError {
    /// Its kind, for metrics.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Fetch(error) => error.kind(),
            Self::Policy(_) => ErrorKind::Policy,
            Self::Target(_) => ErrorKind::Write,
        }
    }
}

impl fmt::Display for SyncError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fetch(error) => error.fmt(f),
            Self::Policy(error) => error.fmt(f),
            Self::Target(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for SyncError {}

/// A file that is kept current.
pub struct Syncer {
    settings: Settings,
    target: Target,
    status: Arc<Status>,
    /// Writes a line to the log.
    say: fn(&str),
    schedule: Schedule,
    /// The control plane's last secrets.
    known: Option<Known>,
    /// The warnings that were given already.
    warned: (Vec<Skipped>, Vec<Warning>),
    /// The fields of the policy in the file that do not come from secrets.
    own: Option<Value>,
    release: ReleaseCheck,
}

struct Known {
    reads: Reads,
    secrets: Secrets,
    etag: Option<Etag>,
}

/// The result of a poll.
struct Done {
    rendered: Rendered,
    before: Before,
    replaced: Replaced,
}

/// The previous file, whoever wrote it.
struct Before {
    snapshot: Snapshot,
    /// Whether the file was there and not empty.
    is_there: bool,
}

impl Syncer {
    /// A syncer that has not polled yet.
    pub fn new(settings: Settings, target: Target, status: Arc<Status>, say: fn(&str)) -> Self {
        let schedule = Schedule::new(settings.interval);
        Self {
            settings,
            target,
            status,
            say,
            schedule,
            known: None,
            warned: Default::default(),
            own: None,
            release: ReleaseCheck::default(),
        }
    }

    /// Polls once. `Ok` means that the file is current now.
    ///
    /// # Errors
    /// See [`SyncError`].
    pub async fn once(&mut self) -> Result<(), SyncError> {
        self.status.polling();
        let done = self.poll().await;
        match &done {
            Ok(done) => {
                self.succeeded(done);
                self.warn_of_release(done).await;
            }
            Err(error) => {
                self.status.failed(error.kind(), &error.to_string());
                self.release.forget();
            }
        }
        done.map(drop)
    }

    /// Polls until it is dropped. `wake` ends a wait early.
    pub async fn run(mut self, mut wake: impl AsyncFnMut()) -> Infallible {
        loop {
            // A poll takes as long as its requests may, and some more time for the file.
            self.status.expect(self.settings.server.timeout);
            let wait = self.step().await;
            self.status.expect(wait.saturating_add(self.settings.server.timeout));
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = wake() => (self.say)("polling now, as asked by a signal"),
            }
        }
    }

    /// Polls once. Returns the time to wait for the next poll.
    async fn step(&mut self) -> Duration {
        let failures = self.schedule.failures();
        match self.once().await {
            Ok(()) => {
                if failures > 0 {
                    (self.say)(&format!("recovered failures={failures}"));
                }
                self.schedule.after_success(rand::random())
            }
            Err(error) => {
                let wait = self.schedule.after_failure(rand::random());
                (self.say)(&format!(
                    "failed kind={} failures={} next_poll_in={:.1}s: {error}; the file stays as it is",
                    error.kind(),
                    self.schedule.failures(),
                    wait.as_secs_f64(),
                ));
                wait
            }
        }
    }

    /// The kinds of token whose secrets the policy needs now.
    fn reads(&self) -> Result<Reads, SyncError> {
        let file = self.target.read(MAX_BYTES).map_err(SyncError::Target)?;
        let text = file.as_deref().and_then(|bytes| std::str::from_utf8(bytes).ok());
        let as_it_is = rendered::Before { text, own: self.own.as_ref() };
        self.settings.gateway.reads(as_it_is).map_err(SyncError::Policy)
    }

    async fn poll(&mut self) -> Result<Done, SyncError> {
        let reads = self.reads()?;
        let known = self.known.as_ref().filter(|known| known.reads == reads);
        let etag = known.and_then(|known| known.etag.as_ref());
        let found = self.settings.server.fetch(reads, etag).await.map_err(SyncError::Fetch)?;
        if let Found::Secrets { secrets, etag } = found {
            self.known = Some(Known { reads, secrets, etag });
        }
        // The server can only say "unchanged" about known secrets.
        let Some(known) = &self.known else { return Err(SyncError::Fetch(FetchError::NotTheApi)) };
        let held = self.target.hold().map_err(SyncError::Target)?;
        let file = self.target.read(MAX_BYTES).map_err(SyncError::Target)?;
        let text = file.as_deref().and_then(|bytes| std::str::from_utf8(bytes).ok());
        let as_it_is = rendered::Before { text, own: self.own.as_ref() };
        let rendered = self.settings.gateway.render(&known.secrets, as_it_is);
        let rendered = rendered.map_err(SyncError::Policy)?;
        let before = Before {
            snapshot: file
                .as_deref()
                .and_then(|bytes| PluginConfiguration::find(bytes).ok())
                .map_or_else(Snapshot::default, |plugin| Snapshot::of(&plugin.json)),
            is_there: file.is_some_and(|bytes| !bytes.trim_ascii().is_empty()),
        };
        let replaced = self.target.replace(&rendered.text, &held).map_err(SyncError::Target)?;
        Ok(Done { rendered, before, replaced })
    }

    fn succeeded(&mut self, done: &Done) {
        let Done { rendered, before, replaced } = done;
        let (keys, ids) = (rendered.snapshot.keys(), rendered.snapshot.revocations());
        let is_first = !self.status.is_ready();
        let changed = *replaced == Replaced::Yes;
        self.status.succeeded(keys, ids, changed);
        if changed || is_first {
            self.show(&rendered.text);
        }
        if !rendered.own.is_null() {
            self.own = Some(rendered.own.clone());
        }
        self.warn(rendered, is_first);
        let path = self.target.path().display();
        if is_first && before.is_there && !self.target.has_kept() {
            let of = match self.settings.gateway.base {
                Some(_) => "the base",
                None => "the file",
            };
            let kept = rendered.snapshot.own_settings();
            let kept = if kept.is_empty() { "the defaults".to_owned() } else { kept.join(" ") };
            (self.say)(&format!(
                "taking over file={path}: keys and revoked ids are the control plane's from now on; \
                 settings of {of}: {kept}"
            ));
        }
        if changed {
            for line in before.snapshot.changes(&rendered.snapshot) {
                (self.say)(&line);
            }
            (self.say)(&format!("replaced file={path} keys={keys} revocations={ids}"));
        } else if is_first {
            (self.say)(&format!("current file={path} keys={keys} revocations={ids}"));
        }
    }

    /// Passes the contents of the file to the page.
    fn show(&self, text: &str) {
        let found = PluginConfiguration::find(text.as_bytes()).and_then(|found| found.config());
        if let Ok(config) = found {
            let written = std::fs::metadata(self.target.path()).and_then(|file| file.modified());
            self.status.shown().in_file(InForce::of(&config), written.ok());
        }
    }

    /// Some releases give proxies no tokens that a gate could check. Zones at a global control plane may still have
    /// them.
    async fn warn_of_release(&mut self, done: &Done) {
        if done.rendered.snapshot.is_for_global() {
            return;
        }
        if let Some(warning) = self.release.news(&self.settings.server).await {
            (self.say)(&warning);
        }
    }

    /// Warns of each thing once, until it goes away.
    fn warn(&mut self, rendered: &Rendered, is_first: bool) {
        if is_first && rendered.is_default_zone {
            (self.say)(
                "warning: zone: neither --zone nor the policy names one: \"default\" is used, as Kuma does",
            );
        }
        let skipped = self.known.as_ref().map_or(&[][..], |known| known.secrets.skipped());
        for skipped in skipped.iter().filter(|skipped| !self.warned.0.contains(skipped)) {
            (self.say)(&format!("warning: {skipped}"));
        }
        for warning in rendered.warnings.iter().filter(|warning| !self.warned.1.contains(warning)) {
            (self.say)(&format!("warning: {warning}"));
        }
        self.warned = (skipped.to_vec(), rendered.warnings.clone());
    }
}
