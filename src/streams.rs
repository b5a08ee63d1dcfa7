//! Streams that are open, and which of them a new policy or the passing of time ends.
//!
//! In: allowed streams with their tokens, policies, and the time. Out: the ids of streams to cut,
//! and why. How a stream is cut is not known here.

use std::fmt;
use std::rc::Rc;

use rustc_hash::FxHashMap;

use crate::gate::{Mode, OnOpen, Policy, UnixTime, has_expired};
use crate::token::ZoneToken;

/// Why an open stream is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cut {
    /// Its token was revoked.
    Revoked,
    /// The key that signed its token is no longer configured.
    KeyRemoved,
    /// Its token has expired.
    Expired,
}

impl Cut {
    /// Every cause, once.
    pub const ALL: [Self; 3] = [Self::Revoked, Self::KeyRemoved, Self::Expired];

    /// Its one spelling.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Revoked => "revoked",
            Self::KeyRemoved => "key_removed",
            Self::Expired => "expired",
        }
    }
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The open streams of one worker.
#[derive(Debug, Default)]
pub struct OpenStreams(FxHashMap<u32, Open>);

#[derive(Debug)]
struct Open {
    /// Which gateway it came in by: one VM may serve several.
    gateway: Rc<str>,
    token: Rc<ZoneToken>,
    /// The policy that is in force for it: the one that let it in, or the last one pushed since.
    policy: Rc<Policy>,
    /// When to cut it, and why.
    cut: Option<(UnixTime, Cut)>,
}

impl OpenStreams {
    /// Adds stream `id`, let in at `gateway` by `policy` with `token`.
    pub fn insert(&mut self, id: u32, gateway: Rc<str>, token: Rc<ZoneToken>, policy: Rc<Policy>) {
        self.0.insert(id, Open { gateway, token, policy, cut: None });
    }

    /// Forgets it: it has ended.
    pub fn remove(&mut self, id: u32) {
        self.0.remove(&id);
    }

    /// Puts a pushed policy in force for the streams of the same gateway, and marks those that it
    /// ends. They go one by one over `cutWithinMilliseconds`, the first at once, so that a control
    /// plane is not stormed by all of them at the same moment.
    pub fn apply(&mut self, gateway: &str, policy: &Rc<Policy>, now: UnixTime) {
        let mut ended = Vec::new();
        for open in self.0.values_mut().filter(|open| &*open.gateway == gateway) {
            let before = std::mem::replace(&mut open.policy, Rc::clone(policy));
            match open.cut {
                None => open.cut = policy.ends(&open.token, &before).map(|why| (now, why)),
                Some(_) => continue,
            }
            ended.extend(open.cut.as_mut().map(|(at, _)| at));
        }
        let count = u32::try_from(ended.len()).unwrap_or(u32::MAX).max(1);
        let step = policy.cut_within.checked_div(count).unwrap_or_default();
        for (index, at) in (0_u32..).zip(ended) {
            *at = at.saturating_add(step.saturating_mul(index));
        }
    }

    /// Takes out the streams whose time has come.
    pub fn take_due(&mut self, now: UnixTime) -> Vec<(u32, Cut, Rc<ZoneToken>)> {
        let due: Vec<(u32, Cut)> =
            self.0.iter().filter_map(|(id, open)| Some((*id, open.due(now)?))).collect();
        due.into_iter()
            .filter_map(|(id, why)| self.0.remove(&id).map(|open| (id, why, open.token)))
            .collect()
    }
}

impl Open {
    fn due(&self, now: UnixTime) -> Option<Cut> {
        if let Some((at, why)) = self.cut {
            return (at <= now).then_some(why);
        }
        let cuts = self.policy.open_streams.on_expired == OnOpen::Cut;
        let cuts = cuts && self.policy.mode == Mode::Enforce;
        (cuts && has_expired(&self.token.claims, now, &self.policy)).then_some(Cut::Expired)
    }
}

impl Policy {
    /// Why this policy, pushed after `before`, ends a stream that is open with `token`.
    fn ends(&self, token: &ZoneToken, before: &Self) -> Option<Cut> {
        let switches = self.open_streams;
        if self.mode == Mode::Shadow {
            return None;
        }
        if switches.on_revoked == OnOpen::Cut && self.revocations.contains(&token.claims.id) {
            return Some(Cut::Revoked);
        }
        let removed = !self.knows_key_of(token, before);
        (switches.on_key_removed == OnOpen::Cut && removed).then_some(Cut::KeyRemoved)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a test may panic
mod tests {
    use std::time::Duration;

    use serde_json::{Value, json};

    use super::*;
    use crate::config::Config;
    use crate::token::{Claims, NumericDate};

    const KEY: &str = include_str!("../tests/data/key-1.pub.pem");

    fn policy(more: &Value) -> Rc<Policy> {
        let mut config = json!({ "publicKeys": [{ "kid": "1", "key": KEY }] });
        let more = more.as_object().unwrap().clone();
        config.as_object_mut().unwrap().extend(more);
        Rc::new(Config::from_json(config.to_string().as_bytes()).unwrap().policy)
    }

    fn token(id: &str, expires_at: i64) -> Rc<ZoneToken> {
        let expires_at = Some(NumericDate(expires_at));
        let claims = Claims { id: id.to_owned(), expires_at, ..Claims::default() };
        Rc::new(ZoneToken { kid: "1".to_owned(), claims })
    }

    fn due(open: &mut OpenStreams, now: Duration) -> Vec<(u32, Cut)> {
        open.take_due(now).into_iter().map(|(id, why, _)| (id, why)).collect()
    }

    #[test]
    fn many_cuts_are_spread_and_the_first_is_at_once() {
        let mut open = OpenStreams::default();
        let before = policy(&json!({}));
        for (id, jti) in [(1, "a"), (2, "b"), (3, "a"), (4, "a")] {
            open.insert(id, "g".into(), token(jti, i64::MAX), Rc::clone(&before));
        }
        let now = Duration::from_secs(10);
        let switches = json!({ "cutWithinMilliseconds": 300 });
        let after = policy(&json!({ "revocations": "a", "openStreams": switches }));
        open.apply("another gateway", &after, now);
        assert_eq!(due(&mut open, now), []);
        open.apply("g", &after, now);
        let mut cut = due(&mut open, now);
        assert_eq!(cut.len(), 1);
        assert_eq!(due(&mut open, now + Duration::from_millis(99)), []);
        cut.extend(due(&mut open, now + Duration::from_millis(100)));
        assert_eq!(cut.len(), 2);
        // A push in between neither hastens nor delays what is under way.
        open.apply("g", &after, now + Duration::from_millis(150));
        assert_eq!(due(&mut open, now + Duration::from_millis(199)), []);
        cut.extend(due(&mut open, now + Duration::from_millis(200)));
        // In any order.
        cut.sort();
        assert_eq!(cut, [1, 3, 4].map(|id| (id, Cut::Revoked)));
        assert_eq!(due(&mut open, Duration::from_secs(1_000)), []);
    }

    #[test]
    fn an_expiry_cuts_at_its_second_and_only_where_it_is_to() {
        for (switch, wanted) in [("cut", vec![(1, Cut::Expired)]), ("keep", vec![])] {
            let mut open = OpenStreams::default();
            let policy = policy(&json!({ "openStreams": { "onExpired": switch } }));
            open.insert(1, "g".into(), token("a", 100), policy);
            assert_eq!(due(&mut open, Duration::from_millis(99_999)), []);
            assert_eq!(due(&mut open, Duration::from_secs(100)), wanted);
        }
    }

    #[test]
    fn a_key_that_is_replaced_under_its_kid_is_gone() {
        let other = zonegate_issuer::SigningKey::generate(2048).unwrap();
        let switches = json!({ "onKeyRemoved": "cut" });
        let keys = json!([{ "kid": "1", "key": other.public_key_pem() }]);
        let replaced = policy(&json!({ "publicKeys": keys, "openStreams": switches }));
        let same = policy(&json!({ "openStreams": switches }));
        for (pushed, wanted) in [(same, vec![]), (replaced, vec![(1, Cut::KeyRemoved)])] {
            let mut open = OpenStreams::default();
            open.insert(1, "g".into(), token("a", i64::MAX), policy(&json!({})));
            open.apply("g", &pushed, Duration::ZERO);
            assert_eq!(due(&mut open, Duration::ZERO), wanted);
        }
    }
}
