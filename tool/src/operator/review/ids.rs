//! What is odd about a list of revoked ids.
//!
//! In: the list as it is written. Out: findings, each with a count and one example. A token among the
//! ids is never shown.

use std::collections::BTreeSet;

use serde_json::Value;
use zonegate::config::Config;

use super::Finding;
use crate::operator::Revocations;

/// What is odd about the revocations of a configuration.
pub(super) fn all(json: &Value, config: &Config) -> Vec<Finding> {
    let written = Revocations::of(json.get("revocations").cloned().unwrap_or_default());
    let list = Entries::of(&written);
    let mut findings = Vec::new();
    if list.ids.contains(&"") {
        findings.push(Finding::EmptyId);
    }
    if list.is_spaced {
        findings.push(Finding::NotAsKumaReads);
    }
    let longest = config.policy.max_token_bytes;
    let tokens = list.count(is_token);
    if tokens > 0 {
        findings.push(Finding::Tokens(tokens));
    }
    let long = list.count(|id| id.len() > longest && !is_token(id));
    if long > 0 {
        findings.push(Finding::LongIds(long));
    }
    findings.extend(list.repeated().map(|(count, id)| Finding::RepeatedIds(count, id)));
    for (is_odd, finding) in [
        (is_quoted as fn(&str) -> bool, Finding::QuotedIds as fn(usize, String) -> Finding),
        (is_split, Finding::SplitIds),
        (is_upper_case_uuid, Finding::UpperCaseIds),
    ] {
        findings.extend(list.such(is_odd).map(|(count, id)| finding(count, id)));
    }
    let keys = config.policy.keys.iter();
    findings.extend(
        keys.filter(|(kid, _)| list.ids.contains(kid))
            .map(|(kid, _)| Finding::KidRevoked(kid.to_owned())),
    );
    findings
}

/// The entries as the gate takes them.
struct Entries<'a> {
    ids: Vec<&'a str>,
    /// Whether Kuma would not tell some of them apart.
    is_spaced: bool,
}

impl<'a> Entries<'a> {
    fn of(written: &'a Revocations) -> Self {
        match written {
            Revocations::Ids(ids) => {
                Self { ids: ids.iter().map(String::as_str).collect(), is_spaced: false }
            }
            Revocations::Text(text) => {
                let text = text.strip_suffix('\n').unwrap_or(text);
                let entries = text.split(',').filter(|_| !text.is_empty());
                let is_spaced = text.contains(char::is_whitespace);
                Self { ids: entries.flat_map(pieces).collect(), is_spaced }
            }
            Revocations::Other(_) => Self { ids: Vec::new(), is_spaced: false },
        }
    }

    fn count(&self, is_such: impl Fn(&str) -> bool) -> usize {
        self.ids.iter().filter(|id| is_such(id)).count()
    }

    /// How many are such, and the first; never a token.
    fn such(&self, is_such: impl Fn(&str) -> bool) -> Option<(usize, String)> {
        let mut such = self.ids.iter().filter(|id| !is_token(id) && is_such(id));
        let first = such.next()?;
        Some((such.count().saturating_add(1), (*first).to_owned()))
    }

    fn repeated(&self) -> Option<(usize, String)> {
        let (mut seen, mut again) = (BTreeSet::new(), BTreeSet::new());
        for id in self.ids.iter().filter(|id| !is_token(id) && !id.is_empty()) {
            if !seen.insert(*id) {
                again.insert(*id);
            }
        }
        again.first().map(|first| (again.len(), (*first).to_owned()))
    }
}

/// The pieces between white space; an entry without any is the empty one.
fn pieces(entry: &str) -> Vec<&str> {
    let pieces: Vec<&str> = entry.split_whitespace().collect();
    if pieces.is_empty() { vec![""] } else { pieces }
}

/// Two dots and a header that begins as JSON does in base64url.
fn is_token(id: &str) -> bool {
    id.matches('.').count() == 2 && id.trim_start_matches(['"', '\'']).starts_with("eyJ")
}

fn is_quoted(id: &str) -> bool {
    let marks = ['"', '\'', '[', ']', '{', '}', '`'];
    id.starts_with(marks) || id.ends_with(marks)
}

fn is_split(id: &str) -> bool {
    id.trim().contains(|c: char| c == ',' || c.is_whitespace())
}

fn is_upper_case_uuid(id: &str) -> bool {
    id.chars().any(|c| c.is_ascii_uppercase()) && uuid::Uuid::try_parse(id).is_ok()
}
