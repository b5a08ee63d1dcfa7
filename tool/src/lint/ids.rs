//! What is odd about a list of revoked ids.
//!
//! In: the list as it is written, and what the filter warns of in it. Out: findings, each with a count and
//! one example. A token among the ids is never shown.

use std::collections::BTreeSet;

use serde_json::Value;
use zonegate::config::Config;
use zonegate::revocation::Oddity;

use super::Finding;
use crate::plugin_config::Revocations;

/// What is odd about the revocations of a configuration.
pub(super) fn all(json: &Value, config: &Config) -> Vec<Finding> {
    let written = Revocations::of(json.get("revocations").cloned().unwrap_or_default());
    let mut findings: Vec<Finding> =
        config.warnings.iter().cloned().map(Finding::OfTheFilter).collect();
    findings.extend(not_as_kuma_reads(&written));
    let longest = config.policy.max_token_bytes;
    let ids = || written.entries().map(|entry| entry.id);
    let long = ids().filter(|id| id.len() > longest && Oddity::of(id).is_none()).count();
    if long > 0 {
        findings.push(Finding::LongIds(long));
    }
    findings.extend(repeated(ids()).map(|(count, id)| Finding::RepeatedIds(count, id)));
    let kids: Vec<&str> =
        config.policy.issuers.zone_token.keys.iter().map(|(kid, _)| kid).collect();
    let revoked: BTreeSet<&str> = ids().filter(|id| kids.contains(id)).collect();
    findings.extend(revoked.into_iter().map(|kid| Finding::KidRevoked(kid.to_owned())));
    findings
}

/// What the gate revokes and Kuma does not, of the same text.
fn not_as_kuma_reads(written: &Revocations) -> Vec<Finding> {
    let Revocations::Text(text) = written else { return Vec::new() };
    let ids = text.strip_suffix('\n').unwrap_or(text);
    [
        (text.starts_with('\u{feff}'), Finding::ByteOrderMark),
        (ids.contains(char::is_whitespace), Finding::NotAsKumaReads),
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
