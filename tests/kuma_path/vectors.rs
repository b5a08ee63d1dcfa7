//! The recorded vectors, judged by the real control plane: its verdicts and its texts.
//!
//! Vectors are left out if HTTP cannot carry them, or if they need another zone or a key that was not recorded. The
//! control plane has only the clock of this machine, so a vector may differ only by a date.

use std::collections::BTreeMap;

use serde::Deserialize;
use zonegate_testkit::kuma::{
    ControlPlane, Judge, Kind, Release, StaticKey, ZoneProxyAuthentication,
};

use crate::exceptions::WORDS_OF_NOT_YET_VALID;
use crate::harness::{Bench, ZONE, home, within};

/// Signed by keys that were not recorded.
const KEY_NOT_RECORDED: [&str; 3] = ["G1024", "G3072", "G4096"];

/// Vectors on which golang-jwt v4, of Kuma 2.9 and 2.10, has another verdict: it refuses an `iat` in the future, and
/// ignores text after the JSON of the claims. All its error texts differ.
const OTHER_BEFORE_2_11: [(&str, bool); 2] = [("D41", false), ("E07", true)];

#[derive(Deserialize)]
struct Recorded {
    keys: BTreeMap<String, String>,
    vectors: Vec<Vector>,
}

#[derive(Deserialize)]
struct Vector {
    id: String,
    desc: String,
    authorization: Option<Vec<String>>,
    proxy_scope: String,
    cp_zone: String,
    revocations: String,
    accept: bool,
    error: String,
}

#[tokio::test]
#[ignore = "needs KUMA_HOME: make test-kuma"]
async fn the_recorded_verdicts_are_the_control_planes() {
    let text = include_str!("../data/kuma-zone-token.json");
    let Recorded { keys, mut vectors } = serde_json::from_str(text).unwrap();
    let mut bench = Bench::new();
    let keys = keys.into_iter().map(|(kid, key)| StaticKey { kid, key });
    bench.options.public_keys = keys.collect();
    bench.options.zone_proxies = ZoneProxyAuthentication::StaticKeys;
    let uncached = ("KUMA_STORE_CACHE_ENABLED", "false");
    bench.options.environment.push((uncached.0.to_owned(), uncached.1.to_owned()));
    let home = home();
    let release = home.release().clone();
    let control_plane = ControlPlane::start(&home, &bench.options).await.unwrap();
    let judge = Judge::open(control_plane.address(), &bench.behind.ca, 1).await.unwrap();
    let all = vectors.len();
    vectors.retain(|vector| {
        let has_key = !KEY_NOT_RECORDED.contains(&vector.id.as_str());
        has_key && vector.cp_zone == ZONE && vector.is_carried_by_http()
    });
    vectors.sort_by(|a, b| a.revocations.cmp(&b.revocations));
    let (mut revocations, mut wrong, mut dates, mut not_yet) = (String::new(), Vec::new(), 0, 0);
    for vector in &vectors {
        if vector.revocations != revocations {
            revocations.clone_from(&vector.revocations);
            let secret = "zone-token-revocations";
            control_plane.api().set_secret(secret, revocations.as_bytes()).await.unwrap();
        }
        let seen = within(judge.verdict(vector.kind(), &vector.values())).await.unwrap();
        not_yet += usize::from(is_not_valid_yet(&release, &seen));
        let wanted = vector.wanted();
        let is_same = match release.is_before(2, 11) {
            true => vector.has_verdict_of_v4(&seen),
            false => plain(&seen) == in_words_of(&release, wanted.clone()),
        };
        match is_same {
            true => {}
            false if is_about_dates(&seen) || is_about_dates(&wanted) => dates += 1,
            false => {
                wrong.push(format!("{} {}: {seen:?}, not {wanted:?}", vector.id, vector.desc));
            }
        }
    }
    println!("{} of {all} vectors, {dates} of them of another date", vectors.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(vectors.len() > 200 && dates < 50, "{} vectors, {dates} dates", vectors.len());
    assert!(not_yet > 0 || release.is_before(2, 11), "no token is not valid yet");
}

/// The verdict without the text that kuma-cp adds because its store is in memory.
fn plain(verdict: &Result<(), String>) -> Result<(), String> {
    let added = ". kuma-cp runs with an in-memory database and its state isn't preserved between \
                 restarts. Keep in mind that an in-memory database cannot be used with multiple \
                 instances of the control plane";
    verdict.clone().map_err(|words| words.replace(added, ""))
}

/// The recorded verdict in the words of this release.
fn in_words_of(release: &Release, wanted: Result<(), String>) -> Result<(), String> {
    let new = "token is not yet valid: 'valid_from' date is in the future. Check if the system clock on \
               the instance that issued the token is set correctly: ";
    match WORDS_OF_NOT_YET_VALID.holds(release) {
        true => wanted.map_err(|words| words.replace(new, "could not parse token: ")),
        false => wanted,
    }
}

/// Whether the token is not valid yet, in the words of this release.
fn is_not_valid_yet(release: &Release, verdict: &Result<(), String>) -> bool {
    let Err(words) = verdict else { return false };
    let is = words.contains("token is not valid yet");
    assert!(
        !is || words.contains("'valid_from'") != WORDS_OF_NOT_YET_VALID.holds(release),
        "{words}"
    );
    is
}

fn is_about_dates(verdict: &Result<(), String>) -> bool {
    let words = verdict.as_ref().err().map_or("", String::as_str);
    // golang-jwt v4 says `Token`.
    words.contains("oken is expired") || words.contains("oken is not valid yet")
}

impl Vector {
    fn wanted(&self) -> Result<(), String> {
        match self.accept {
            true => Ok(()),
            false => Err(self.error.clone()),
        }
    }

    fn has_verdict_of_v4(&self, seen: &Result<(), String>) -> bool {
        let other = OTHER_BEFORE_2_11.iter().find(|(id, _)| *id == self.id);
        seen.is_ok() == other.map_or(self.accept, |(_, accept)| *accept)
    }

    fn kind(&self) -> Kind {
        match self.proxy_scope.as_str() {
            "egress" => Kind::Egress,
            _ => Kind::Ingress,
        }
    }

    fn values(&self) -> Vec<&[u8]> {
        self.authorization.iter().flatten().map(String::as_bytes).collect()
    }

    /// No control character except tab, and no space at an end (RFC 9110 §5.5).
    fn is_carried_by_http(&self) -> bool {
        self.values().iter().all(|value| {
            value.trim_ascii() == *value
                && value.iter().all(|byte| *byte == b'\t' || !byte.is_ascii_control())
        })
    }
}
