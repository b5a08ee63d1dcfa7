//! Findings about lists of revoked ids.
//!
//! In: the list as written, and the filter's warnings about it. Out: findings, each with a count and one example. A
//! token among the ids is never shown.

use std::collections::BTreeSet;

use serde_json::Value;
use zonegate::config::Config;
use zonegate::revocation::Oddity;
use zonegate::token::KeySet;

use super::Finding;
use crate::plugin_config::{RevocationPlace, Revocations};

/// The findings about the revocations of a configuration.
pub(super) fn all(json: &Value, config: &Config) -> Vec<Finding> {
    let warnings = config.warnings.iter().cloned().map(Finding::OfTheFilter);
    let places = RevocationPlace::all(json);
    warnings.chain(places.iter().flat_map(|place| of_list(place, json, config))).collect()
}

/// The findings about one list.
fn of_list(place: &RevocationPlace, json: &Value, config: &Config) -> Vec<Finding> {
    let (written, path) = (place.revocations(json), place.to_string());
    // Kuma has no list of service-account tokens.
    let is_kumas = place.secret().is_some();
    let mut findings: Vec<Finding> =
        if is_kumas { not_as_kuma_reads(&path, &written) } else { Vec::new() };
    let longest = config.policy.max_token_bytes;
    let ids = || written.entries().map(|entry| entry.id);
    let long = ids().filter(|id| id.len() > longest && Oddity::of(id).is_none()).count();
    if long > 0 {
        findings.push(Finding::LongIds(path.clone(), long));
    }
    let again = repeated(ids());
    findings.extend(again.map(|(count, id)| Finding::RepeatedIds(path.clone(), count, id)));
    let keys = config.policy.issuers.key_sets(place.kind()).flat_map(KeySet::iter);
    let kids: Vec<&str> = keys.map(|(kid, _)| kid).collect();
    let revoked: BTreeSet<&str> = ids().filter(|id| kids.contains(id)).collect();
    findings
        .extend(revoked.into_iter().map(|kid| Finding::KidRevoked(path.clone(), kid.to_owned())));
    findings
}

/// A finding if the gate revokes ids that Kuma does not revoke, with the same text.
fn not_as_kuma_reads(path: &str, written: &Revocations) -> Vec<Finding> {
    let Revocations::Text(text) = written else { return Vec::new() };
    let ids = text.strip_suffix('\n').unwrap_or(text);
    [
        (text.starts_with('\u{feff}'), Finding::ByteOrderMark(path.to_owned())),
        (ids.contains(char::is_whitespace), Finding::NotAsKumaReads(path.to_owned())),
    ]
    .into_iter()
    .filter_map(|(is_so, finding)| is_so.then_some(finding))
    .collect()
}

fn repeated<'a>(ids: impl Iterator<Item = &'a str>) -> Option<(usize, String)> {
    let (mut seen, mut again) = (BTreeSet::new(), BTreeSet::new());
    for id in ids.filter(|id| !id.is_empty()) {
        if !seen.insert(id) && Oddity::of(id) != Some(Oddity::Token) {
            again.insert(id);
        }
    }
    again.first().map(|first| (again.len(), (*first).to_owned()))
}
