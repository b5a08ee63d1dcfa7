//! The input of a page.

use std::sync::LazyLock;

use serde_json::{Value, json};
use zonegate::config::Config;
use zonegate::gate::{Mode, Reason, UnixTime};
use zonegate_issuer::SigningKey;
use zonegate_page::{Counts, Gateway, InForce, Page, Poll, Push, Refusals, Server};

use crate::document::Document;

/// 2026-11-27 17:05:00 UTC.
pub(crate) const NOW: UnixTime = UnixTime::from_secs(1_795_799_100);

pub(crate) static KEY: LazyLock<SigningKey> = LazyLock::new(|| SigningKey::generate(2048).unwrap());

pub(crate) fn in_force(fields: Value) -> InForce {
    let key = json!({ "kid": "key-1", "key": KEY.public_key_pem() });
    let mut json = json!({ "zone": "us-east", "publicKeys": [key] });
    json.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    json.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    let config = Config::from_json(json.to_string().as_bytes());
    InForce::of(&config.unwrap_or_else(|error| panic!("{error}: {json:#}")))
}

/// A policy in which every name is this text, even a text that no configuration accepts: the page must not rely on
/// that.
pub(crate) fn named(text: &str) -> InForce {
    let fields = json!({
        "generation": "x", "revocations": "id-1", "proxies": { "dataplane": "dpToken" },
        "dpToken": {
            "publicKeys": [{ "kid": "1", "key": KEY.public_key_pem(), "mesh": "x" }],
            "revocations": { "x": "id-1" },
        },
        "revocationRules": [{ "zone": "x", "kid": "x", "note": "x" }, { "mesh": "x", "name": "x" }],
    });
    let mut policy = in_force(fields);
    policy.generation = text.to_owned();
    policy.zone = Some(text.to_owned());
    policy.warnings = vec![text.to_owned()];
    for key in &mut policy.keys {
        key.kid = text.to_owned();
        key.mesh = key.mesh.take().map(|_| text.to_owned());
    }
    for list in &mut policy.revoked_ids {
        list.mesh = list.mesh.take().map(|_| text.to_owned());
    }
    for rule in &mut policy.rules {
        rule.note = text.into();
        for name in [&mut rule.zone, &mut rule.mesh, &mut rule.name, &mut rule.kid] {
            *name = name.take().map(|_| text.into());
        }
    }
    policy
}

/// The input of a page, with nothing that needs attention.
pub(crate) struct State {
    pub(crate) policy: Option<InForce>,
    pub(crate) push: Option<Push>,
    /// `Some` for a page of sync.
    pub(crate) poll: Option<Poll>,
    pub(crate) counts: Counts,
    pub(crate) refusals: Refusals,
    /// The state of the gateway, if its counts are unknown.
    pub(crate) unknown: Option<Gateway<'static>>,
}

impl State {
    pub(crate) fn serve(fields: Value) -> Self {
        let over = std::time::Duration::from_secs(3600);
        Self {
            policy: Some(in_force(fields)),
            push: Some(Push { at: Some(before(60)), refused: None }),
            poll: None,
            counts: Counts::default(),
            refusals: Refusals { over, ..Refusals::default() },
            unknown: None,
        }
    }

    pub(crate) fn sync(fields: Value) -> Self {
        let poll = Poll { current_at: Some(before(5)), ..Poll::default() };
        let mut state = Self { poll: Some(poll), ..Self::serve(fields) };
        let policy = state.policy.as_ref().unwrap();
        state.counts.holds = (policy.keys.len() as u64, policy.ids() as u64);
        state
    }

    /// Adds refusals: within the last hour, and since the start.
    pub(crate) fn denied(mut self, mode: Mode, reason: Reason, recent: u64, all: u64) -> Self {
        if recent > 0 {
            self.refusals.denied.insert((mode, reason), recent);
        }
        self.counts.denied.insert((mode, reason), all);
        self
    }

    pub(crate) fn html(&self) -> String {
        let page = Page {
            server: match &self.poll {
                None => Server::Serve(self.push.as_ref()),
                Some(poll) => Server::Sync(poll),
            },
            version: "0.2.0",
            now: Some(NOW),
            policy: self.policy.as_ref().map(|policy| (policy, Some(before(120)))),
            gateway: self.unknown.unwrap_or(Gateway::Seen(&self.counts, &self.refusals)),
        };
        page.html()
    }

    pub(crate) fn document(&self) -> Document {
        Document::parse(&self.html())
    }
}

pub(crate) fn before(seconds: u64) -> UnixTime {
    UnixTime::from_secs(NOW.as_secs() - seconds)
}
