//! Revocation rules, shown to people.
//!
//! In: rules that the filter has read. Out: their fields, a text, and whether a rule revokes everything that another
//! rule does. The filter decides which tokens a rule revokes; see [`RevocationRule::revokes`].

use std::fmt::Write as _;

use jiff::Timestamp;
use serde_json::Value;
use zonegate::gate::{RevocationRule, UnixTime};
use zonegate::text::Quoted;
use zonegate::token::NumericDate;

/// The field of the plugin configuration.
pub(crate) const RULES: &str = "revocationRules";

/// Whether `wide` revokes every token that `narrow` revokes, at all times.
pub fn covers(wide: &RevocationRule, narrow: &RevocationRule) -> bool {
    let RevocationRule { zone, mesh, name, kid, issued_before, until, note: _ } = wide;
    let is_as_wide =
        |wide: &Option<Box<str>>, narrow: &Option<Box<str>>| wide.is_none() || wide == narrow;
    is_as_wide(zone, &narrow.zone)
        && is_as_wide(mesh, &narrow.mesh)
        && is_as_wide(name, &narrow.name)
        && is_as_wide(kid, &narrow.kid)
        && issued_before
            .is_none_or(|time| narrow.issued_before.is_some_and(|narrow| narrow <= time))
        && until.is_none_or(|time| narrow.until.is_some_and(|narrow| narrow <= time))
}

/// The fields of a rule, as in a configuration.
pub fn fields(rule: &RevocationRule) -> Vec<(&'static str, String)> {
    let RevocationRule { zone, mesh, name, kid, issued_before, until, note } = rule;
    let text = |text: &Option<Box<str>>| text.as_deref().map(str::to_owned);
    let note = (!note.is_empty()).then(|| note.to_string());
    [
        ("zone", text(zone)),
        ("mesh", text(mesh)),
        ("name", text(name)),
        ("kid", text(kid)),
        ("issuedBefore", issued_before.map(|NumericDate(seconds)| utc(seconds))),
        ("until", until.map(seconds).map(utc)),
        ("note", note),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name, value?)))
    .collect()
}

/// A rule in words, with its note.
pub fn words(rule: &RevocationRule) -> String {
    let mut words = String::new();
    let mut note = None;
    for (name, value) in fields(rule) {
        let part = match name {
            "issuedBefore" => format!("issued before {value}"),
            "until" => format!("until {value}"),
            "note" => {
                note = Some(value);
                continue;
            }
            name => format!("{name} {}", Quoted(&value)),
        };
        let comma = if words.is_empty() { "" } else { ", " };
        // Writing to a String does not fail.
        let _ = write!(words, "{comma}{part}");
    }
    if let Some(note) = note {
        let _ = write!(words, " ({})", Quoted(&note));
    }
    words
}

/// A rule as a value.
pub(crate) fn value(rule: &RevocationRule) -> Value {
    fields(rule).into_iter().map(|(name, value)| (name.to_owned(), Value::from(value))).collect()
}

fn seconds(time: UnixTime) -> i64 {
    i64::try_from(time.as_secs()).unwrap_or(i64::MAX)
}

fn utc(seconds: i64) -> String {
    Timestamp::from_second(seconds).map_or_else(|_| seconds.to_string(), |time| time.to_string())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a test may panic
pub(super) mod tests {
    use proptest::prelude::*;
    use serde_json::json;
    use zonegate::config::Config;
    use zonegate::credential::{Identity, Kind};
    use zonegate::gate::Now;

    use super::*;

    const KEY: &str = include_str!("../../../tests/data/key-1.pub.pem");

    /// A configuration with these rules.
    pub(in crate::plugin_config) fn read(rules: &Value) -> Config {
        let key = json!([{ "kid": "1", "key": KEY }]);
        let config = json!({ "publicKeys": key, RULES: rules });
        Config::from_json(config.to_string().as_bytes()).unwrap()
    }

    /// The filter reads the written rule as the same rule.
    #[test]
    fn the_fields_of_a_rule_are_the_rule() {
        let rules = json!([
            { "zone": "a", "issuedBefore": "2026-11-20T00:00:00Z", "note": "n" },
            { "mesh": "m", "name": "\"web\"", "kid": "1", "until": "2026-12-01T00:00:00Z" },
        ]);
        let config = read(&rules);
        let values: Vec<Value> = config.policy.revocation_rules.iter().map(value).collect();
        assert_eq!(Value::from(values), rules);
    }

    fn rule() -> impl Strategy<Value = RevocationRule> {
        let word = || proptest::option::of(proptest::sample::select(vec!["a", "b"]));
        let time = || proptest::option::of(0_i64..4);
        (word(), word(), word(), word(), time(), time()).prop_map(
            |(zone, mesh, name, kid, issued_before, until)| RevocationRule {
                zone: zone.map(Into::into),
                mesh: mesh.map(Into::into),
                name: name.map(Into::into),
                kid: kid.map(Into::into),
                issued_before: issued_before.map(NumericDate),
                until: until.map(|time| {
                    LATER.saturating_add(std::time::Duration::from_secs(time.unsigned_abs()))
                }),
                note: Box::default(),
            },
        )
    }

    /// A plausible time.
    const LATER: UnixTime = UnixTime::from_secs(1_800_000_000);

    proptest! {
        /// A rule revokes everything that a rule revokes which it covers.
        #[test]
        fn a_rule_that_covers_another_revokes_what_it_revokes(
            wide in rule(),
            narrow in rule(),
            is_zone_token in any::<bool>(),
            words in ["[ab]?", "[ab]?", "[ab]?", "[ab]"],
            issued_at in proptest::option::of(0_i64..4),
            now in 0_u64..5,
        ) {
            // The filter refuses a rule without conditions.
            let says_nothing = |rule: &RevocationRule| {
                fields(rule).iter().all(|(name, _)| *name == "until")
            };
            prop_assume!(!says_nothing(&wide));
            let [zone, mesh, name, kid] = words;
            let identity = Identity {
                kind: if is_zone_token { Kind::ZoneToken } else { Kind::DataplaneToken },
                kid: kid.into(),
                key: read(&json!([])).policy.issuers.keys().next().unwrap().1.fingerprint(),
                key_label: "".into(),
                id: "".into(),
                zone: zone.into(),
                mesh: mesh.into(),
                name: name.into(),
                expires_at: None,
                issued_at: issued_at.map(NumericDate),
                pairs: Box::default(),
            };
            let now = Now(Some(LATER.saturating_add(std::time::Duration::from_secs(now))));
            if covers(&wide, &narrow) && narrow.revokes(&identity, now) {
                prop_assert!(wide.revokes(&identity, now));
            }
        }
    }
}
