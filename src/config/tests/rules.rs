//! The times of revocation rules.

use super::*;

#[test]
fn the_times_of_a_rule_are_those_of_rfc_3339() {
    for (text, seconds) in [
        (T, Some(1_795_771_800)),
        ("2026-11-27T10:30:00+01:00", Some(1_795_771_800)),
        ("1970-01-01T00:00:00Z", Some(0)),
        ("2026-11-27", None),
        ("2026-11-27 09:30:00Z", None),
        ("2026-11-27T09:30:00", None),
        ("2026-11-27T09:30:00.5Z", None),
        ("2026-02-30T09:30:00Z", None),
        ("1795771800", None),
        ("", None),
    ] {
        let rules = json!([{ "issuedBefore": text, "until": text }]);
        let read = read(&with("revocationRules", rules)).ok();
        let time = read.map(|config| {
            let [rule] = &config.policy.revocation_rules[..] else { panic!("{text}") };
            assert_eq!(rule.until.unwrap().as_secs().cast_signed(), rule.issued_before.unwrap().0);
            rule.issued_before.unwrap().0
        });
        assert_eq!(time, seconds, "{text}");
    }
}

#[test]
fn a_rule_that_ends_before_the_time_that_it_names_is_odd() {
    let ends = |until: &str| json!([{ "issuedBefore": T, "until": until }]);
    let warnings = |until| read(&with("revocationRules", ends(until))).unwrap().warnings;
    assert_eq!(warnings("2026-11-27T09:30:00Z"), []);
    let path = "revocationRules[0]".to_owned();
    assert_eq!(warnings("2026-11-27T09:29:59Z"), [Warning::RuleEndsEarly(path)]);
}
