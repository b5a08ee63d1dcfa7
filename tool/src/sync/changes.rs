//! The changes of a new file, as lines for the log.
//!
//! In: the plugin configuration before and after. Out: a line for each added, replaced or removed key, one for the
//! revoked ids, and one for each setting. A key is shown by its fingerprint. The effect on open streams depends on the
//! policy's `openStreams`, and is not described here.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use zonegate::config::Config;
use zonegate::text::Quoted;

use crate::plugin_config::{RevocationPlace, settings};

/// The keys, revoked ids and settings of a plugin configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Fingerprints, by kid.
    keys: BTreeMap<String, String>,
    /// The revoked ids, each after the list that has it.
    revoked: BTreeSet<(RevocationPlace, String)>,
    /// Settings, including defaults; empty if there is no policy.
    settings: BTreeMap<String, Value>,
}

impl Snapshot {
    /// The snapshot of a plugin configuration; empty if the filter does not accept it.
    pub fn of(json: &[u8]) -> Self {
        let (Ok(config), Ok(value)) =
            (Config::from_json(json), serde_json::from_slice::<Value>(json))
        else {
            return Self::default();
        };
        let keys = config.policy.issuers.keys();
        Self {
            keys: keys.map(|(kid, key)| (kid.to_owned(), key.fingerprint().to_string())).collect(),
            revoked: RevocationPlace::all(&value)
                .into_iter()
                .flat_map(|place| {
                    let list = place.revocations(&value);
                    let ids: Vec<String> =
                        list.entries().map(|entry| entry.id.to_owned()).collect();
                    ids.into_iter().map(move |id| (place.clone(), id))
                })
                .collect(),
            settings: settings(&value).into_iter().collect(),
        }
    }

    /// The number of keys.
    pub fn keys(&self) -> usize {
        self.keys.len()
    }

    /// The number of revoked ids.
    pub fn revocations(&self) -> usize {
        self.revoked.len()
    }

    /// The differences in `after`, as lines.
    pub fn changes(&self, after: &Self) -> Vec<String> {
        let mut lines = Vec::new();
        for (kid, new) in &after.keys {
            let quoted = Quoted(kid);
            match self.keys.get(kid) {
                None => lines.push(format!("key added kid={quoted} fingerprint={new}")),
                Some(old) if old != new => {
                    lines.push(format!("key replaced kid={quoted} fingerprint={new} was={old}"));
                }
                Some(_) => {}
            }
        }
        for (kid, old) in self.keys.iter().filter(|(kid, _)| !after.keys.contains_key(*kid)) {
            lines.push(format!("key removed kid={} fingerprint={old}", Quoted(kid)));
        }
        let revoked = after.revoked.difference(&self.revoked).count();
        let restored = self.revoked.difference(&after.revoked).count();
        if (revoked, restored) != (0, 0) {
            let total = after.revocations();
            lines.push(format!("ids revoked={revoked} unrevoked={restored} total={total}"));
        }
        lines.extend(self.changed_settings(after));
        lines
    }

    fn changed_settings(&self, after: &Self) -> Vec<String> {
        let changed = after.settings.iter().filter_map(|(path, new)| {
            let old = self.settings.get(path).filter(|old| *old != new)?;
            Some(format!("setting {path}={new} was={old}"))
        });
        changed.collect()
    }

    /// Whether the gate is in front of a global control plane.
    pub fn is_for_global(&self) -> bool {
        self.settings.get("profile").and_then(Value::as_str) == Some("globalKds")
    }

    /// The settings that differ from the defaults, as `path=value`.
    pub fn own_settings(&self) -> Vec<String> {
        let defaults: BTreeMap<String, Value> = settings(&Value::Null).into_iter().collect();
        let own = self.settings.iter().filter(|(path, value)| defaults.get(*path) != Some(value));
        own.map(|(path, value)| format!("{path}={value}")).collect()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a test may panic
mod tests {
    use serde_json::json;
    use zonegate_issuer::SigningKey;

    use super::*;

    fn snapshot(keys: &[(&str, &SigningKey)], revocations: &Value) -> Snapshot {
        let keys: Vec<_> = keys
            .iter()
            .map(|(kid, key)| json!({ "kid": kid, "key": key.public_key_pem() }))
            .collect();
        let plugin = json!({ "publicKeys": keys, "revocations": revocations });
        Snapshot::of(plugin.to_string().as_bytes())
    }

    #[test]
    fn keys_and_ids_that_came_or_went_are_named() {
        let (a, b) = (SigningKey::generate(1024).unwrap(), SigningKey::generate(1024).unwrap());
        let (print_a, print_b) = (a.public_key().fingerprint(), b.public_key().fingerprint());
        let before = snapshot(&[("1", &a), ("2", &a), ("3\n", &b)], &json!("id1,id2,id3"));
        let after = snapshot(&[("1", &a), ("2", &b), ("4", &a)], &json!(["id3 ", "id4"]));
        let wanted = [
            format!("key replaced kid=\"2\" fingerprint={print_b} was={print_a}"),
            format!("key added kid=\"4\" fingerprint={print_a}"),
            format!("key removed kid=\"3\\n\" fingerprint={print_b}"),
            "ids revoked=1 unrevoked=2 total=2".to_owned(),
        ];
        assert_eq!(before.changes(&after), wanted);
        assert_eq!(before.changes(&before), [""; 0]);
        assert_eq!((after.keys(), after.revocations()), (3, 2));
    }

    #[test]
    fn a_policy_that_the_filter_refuses_counts_as_empty() {
        for json in ["", "{}", r#"{"publicKeys":[]}"#] {
            assert_eq!(Snapshot::of(json.as_bytes()), Snapshot::default(), "{json}");
        }
    }
}
