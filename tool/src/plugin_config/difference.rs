//! The differences between two configurations.
//!
//! In: two plugin configurations that the filter accepts. Out: keys, ids and settings that differ. The effect on open
//! streams depends on the new `openStreams`, and is not predicted.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::Value;
use zonegate::config::Config;

use super::plugin_file::PluginConfiguration;
use super::rule_changes::{self, RuleChange};
use super::rules::RULES;
use super::schema::settings;
use super::{RevocationPlace, Revocations};

/// The differences.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Difference {
    /// The keys.
    pub keys: Vec<KeyChange>,
    /// Ids of zone tokens that only the new configuration revokes; sorted.
    pub revoked: Vec<String>,
    /// Ids of zone tokens that only the old configuration revokes; sorted.
    pub unrevoked: Vec<String>,
    /// The same for other kinds of token: the lists that differ.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub other_lists: Vec<ListChange>,
    /// Revocation rules.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<RuleChange>,
    /// Whether the ids could be compared. Revocations that are neither a text nor a list can only be compared as a
    /// whole, and count as a setting.
    #[serde(skip)]
    pub is_listed: bool,
    /// The settings.
    pub settings: Vec<SettingChange>,
}

/// A kid with another key than before.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct KeyChange {
    /// The kid.
    pub kid: String,
    /// The fingerprint of the old key, if there was one.
    pub before: Option<String>,
    /// The fingerprint of the new key, if there is one.
    pub after: Option<String>,
}

/// A list of revoked ids that differs.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct ListChange {
    /// Its path.
    pub path: String,
    /// Ids that only the new configuration revokes; sorted.
    pub revoked: Vec<String>,
    /// Ids that only the old configuration revokes; sorted.
    pub unrevoked: Vec<String>,
}

/// A setting that differs.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct SettingChange {
    /// Its path.
    pub path: String,
    /// The old value, or the default.
    pub before: Value,
    /// The new value, or the default.
    pub after: Value,
}

impl Difference {
    /// The differences from `old` to `new`, each with the configuration that the filter reads in it.
    pub fn between(
        (old, old_config): (&PluginConfiguration, &Config),
        (new, new_config): (&PluginConfiguration, &Config),
    ) -> Self {
        let json = |found: &PluginConfiguration| -> Value {
            serde_json::from_slice(&found.json).unwrap_or_default()
        };
        let (old, new) = (json(old), json(new));
        let mut difference = Self {
            keys: keys(old_config, new_config),
            rules: rule_changes::changes(old_config, new_config),
            settings: changed_settings(&old, &new),
            is_listed: true,
            ..Self::default()
        };
        let (before, after) = (revocations(&old), revocations(&new));
        match changed_ids(&before, &after) {
            Some([revoked, unrevoked]) => {
                (difference.revoked, difference.unrevoked) = (revoked, unrevoked);
            }
            None => difference.compare_whole(&old, &new),
        }
        difference.other_lists = other_lists(&old, &new);
        difference
    }

    /// Whether nothing differs.
    pub fn is_empty(&self) -> bool {
        let Self { keys, revoked, unrevoked, other_lists, rules, is_listed: _, settings } = self;
        let is_same_list = revoked.is_empty() && unrevoked.is_empty() && other_lists.is_empty();
        is_same_list && rules.is_empty() && keys.is_empty() && settings.is_empty()
    }

    fn compare_whole(&mut self, old: &Value, new: &Value) {
        self.is_listed = false;
        let of = |value: &Value| value.get("revocations").cloned().unwrap_or_default();
        let (before, after) = (of(old), of(new));
        if before != after {
            self.settings.push(SettingChange { path: "revocations".to_owned(), before, after });
        }
    }
}

fn keys(old: &Config, new: &Config) -> Vec<KeyChange> {
    let labelled = |config: &Config| -> BTreeMap<String, String> {
        let keys = config.policy.issuers.keys();
        keys.map(|(label, key)| (label.to_owned(), key.fingerprint().to_string())).collect()
    };
    let (old, new) = (labelled(old), labelled(new));
    let labels: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    labels
        .into_iter()
        .map(|label| KeyChange {
            kid: label.clone(),
            before: old.get(label).cloned(),
            after: new.get(label).cloned(),
        })
        .filter(|change| change.before != change.after)
        .collect()
}

/// The ids that only the second one revokes, and the ids that only the first one does; `None` if one of them has a form
/// that only the filter reads.
fn changed_ids(before: &Revocations, after: &Revocations) -> Option<[Vec<String>; 2]> {
    let (before, after) = (before.revoked()?, after.revoked()?);
    let owned = |id: &&str| (*id).to_owned();
    Some([
        after.difference(&before).map(owned).collect(),
        before.difference(&after).map(owned).collect(),
    ])
}

/// The lists of other tokens than zone tokens. The filter only takes texts and lists there.
fn other_lists(old: &Value, new: &Value) -> Vec<ListChange> {
    let places = RevocationPlace::all(old).into_iter().chain(RevocationPlace::all(new));
    let places: BTreeSet<RevocationPlace> =
        places.filter(|place| *place != RevocationPlace::ZoneTokens).collect();
    let change = |place: RevocationPlace| {
        let changed = changed_ids(&place.revocations(old), &place.revocations(new));
        let [revoked, unrevoked] = changed.unwrap_or_default();
        ListChange { path: place.to_string(), revoked, unrevoked }
    };
    let is_change =
        |change: &ListChange| !(change.revoked.is_empty() && change.unrevoked.is_empty());
    places.into_iter().map(change).filter(is_change).collect()
}

/// The revocations of zone tokens in a plugin configuration.
fn revocations(json: &Value) -> Revocations {
    match json.get("revocations") {
        None | Some(Value::Null) => Revocations::Ids(Vec::new()),
        Some(value) => Revocations::of(value.clone()),
    }
}

/// `null` means a setting that the profile does not have. Rules are compared elsewhere.
fn changed_settings(old: &Value, new: &Value) -> Vec<SettingChange> {
    let (old, new) = (BTreeMap::from_iter(settings(old)), BTreeMap::from_iter(settings(new)));
    let paths: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let of = |settings: &BTreeMap<String, Value>, path: &str| {
        settings.get(path).cloned().unwrap_or_default()
    };
    paths
        .into_iter()
        .map(|path| SettingChange {
            path: path.clone(),
            before: of(&old, path),
            after: of(&new, path),
        })
        .filter(|change| change.path != RULES && change.before != change.after)
        .collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a test may panic
mod tests {
    use proptest::prelude::*;
    use serde_json::json;
    use zonegate::revocation::RevocationList;

    use super::*;

    const KEY: &str = include_str!("../../../tests/data/key-1.pub.pem");
    const OTHER: &str = include_str!("../../../tests/cmd/files.in/public.pem");

    fn difference(old: &Value, new: &Value) -> Difference {
        let read = |value: &Value| {
            let found = PluginConfiguration::find(value.to_string().as_bytes()).unwrap();
            let config = found.config().unwrap();
            (found, config)
        };
        let ((old, old_config), (new, new_config)) = (read(old), read(new));
        Difference::between((&old, &old_config), (&new, &new_config))
    }

    fn config(keys: &[(&str, &str)], others: &Value) -> Value {
        let keys: Vec<Value> =
            keys.iter().map(|(kid, key)| json!({ "kid": kid, "key": key })).collect();
        let mut config = json!({ "publicKeys": keys });
        config.as_object_mut().unwrap().extend(others.as_object().unwrap().clone());
        config
    }

    #[test]
    fn another_spelling_is_no_difference() {
        let one = config(&[("1", KEY)], &json!({ "revocations": "a,b\n", "leewaySeconds": 0.0 }));
        let two = config(
            &[("1", &KEY.replace('\n', "\r\n"))],
            &json!({ "revocations": ["b", "a"], "zone": "default" }),
        );
        assert!(difference(&one, &two).is_empty());
    }

    /// A text or a list with difficult words.
    fn written() -> impl Strategy<Value = Value> {
        let uuid = "0123abcd-4567-89ef-0011-aabbccddeeff";
        let word = proptest::sample::select(vec![
            "a", "b", "", " ", ",", "\n", "\r\n", "\u{feff}", "\u{200b}", ";", "\"", uuid, "A",
        ]);
        let words = || proptest::collection::vec(word.clone(), 0..6);
        let text = words().prop_map(|words| json!(words.concat()));
        let list = proptest::collection::vec(words().prop_map(|words| words.concat()), 0..4);
        prop_oneof![text, list.prop_map(|ids| json!(ids))]
    }

    proptest! {
        /// The gate treats two lists alike if they count as unchanged.
        #[test]
        fn lists_without_a_difference_are_alike_to_the_gate(
            old in written(),
            new in written(),
            probes in proptest::collection::vec("[ab,\u{feff}\u{200b}; \n\r\"A]{0,4}", 0..40),
        ) {
            let list = |value: &Value| match Revocations::of(value.clone()) {
                Revocations::Text(text) => RevocationList::from_text(text.as_bytes()).unwrap(),
                Revocations::Ids(ids) => RevocationList::from_ids(ids.iter().map(String::as_str)),
                Revocations::Other(_) => RevocationList::default(),
            };
            let of = |value: &Value| revocations(&json!({ "revocations": value }));
            let is_same = of(&old).revoked() == of(&new).revoked();
            let (before, after) = (list(&old), list(&new));
            let words = of(&old).ids().unwrap().into_iter().chain(of(&new).ids().unwrap());
            let spaced = |id: &String| [id.clone(), format!(" {id}"), format!("{id}\n{id}"), format!("\u{feff}{id}")];
            for probe in probes.into_iter().chain(words).flat_map(|id| spaced(&id)) {
                if is_same {
                    prop_assert_eq!(before.contains(&probe), after.contains(&probe), "{:?}", probe);
                }
            }
            // Conversely, each reported difference is real: some entry of one list tells them apart.
            let ids = of(&old).ids().unwrap().into_iter().chain(of(&new).ids().unwrap());
            let told = ids.into_iter().any(|id| before.contains(&id) != after.contains(&id));
            prop_assert!(is_same || told);
        }
    }

    #[test]
    fn ids_are_compared_list_by_list() {
        let with = |a: &str, account: &str, mesh: &str| {
            let revocations = json!({ "a": a, mesh: "x" });
            let key = json!({ "kid": "d", "key": OTHER });
            config(
                &[("1", KEY)],
                &json!({
                    "dpToken": { "publicKeys": [key], "revocations": revocations },
                    "serviceAccountToken": { "revocations": [account] },
                }),
            )
        };
        let difference = difference(&with("1,2", "s", "b"), &with("2,3", "t", "c"));
        let change = |path: &str, revoked: &[&str], unrevoked: &[&str]| ListChange {
            path: path.into(),
            revoked: revoked.iter().map(|id| (*id).to_owned()).collect(),
            unrevoked: unrevoked.iter().map(|id| (*id).to_owned()).collect(),
        };
        assert_eq!(
            difference.other_lists,
            [
                change("dpToken.revocations.a", &["3"], &["1"]),
                change("dpToken.revocations.b", &[], &["x"]),
                change("dpToken.revocations.c", &["x"], &[]),
                change("serviceAccountToken.revocations", &["t"], &["s"]),
            ]
        );
        assert!(difference.revoked.is_empty() && difference.settings.is_empty());
        assert!(!difference.is_empty());
    }

    #[test]
    fn keys_ids_and_settings_are_compared() {
        let old = config(
            &[("gone", KEY), ("kept", KEY), ("other", KEY)],
            &json!({ "revocations": "a,b", "proxies": { "egress": "deny" } }),
        );
        let new = config(
            &[("kept", KEY), ("new", KEY), ("other", OTHER)],
            &json!({ "revocations": "b,c,", "mode": "shadow" }),
        );
        let difference = difference(&old, &new);
        let changes: Vec<_> = difference
            .keys
            .iter()
            .map(|change| (change.kid.as_str(), change.before.is_some(), change.after.is_some()))
            .collect();
        assert_eq!(changes, [("gone", true, false), ("new", false, true), ("other", true, true)]);
        assert_eq!(
            (difference.revoked, difference.unrevoked),
            (vec!["".into(), "c".into()], vec!["a".to_owned()])
        );
        let change = |path: &str, before: &str, after: &str| SettingChange {
            path: path.into(),
            before: before.into(),
            after: after.into(),
        };
        assert_eq!(
            difference.settings,
            [change("mode", "enforce", "shadow"), change("proxies.egress", "deny", "zoneToken")]
        );
    }
}
