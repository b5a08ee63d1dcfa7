//! The recorded vectors, asked of the real control plane: its verdicts and its words.
//!
//! Left out are vectors that HTTP cannot carry, or that need another zone or a key that was not recorded. The control plane has only
//! the clock of this machine, so a vector may differ by a date, and by nothing else.

use std::collections::BTreeMap;

use serde::Deserialize;
use zonegate_testkit::kuma::{ControlPlane, Judge, Kind, StaticKey, ZoneProxyAuthentication};

use crate::harness::{Bench, ZONE, home, within};

/// Signed by keys that were not recorded.
const KEY_NOT_RECORDED: [&str; 3] = ["G1024", "G3072", "G4096"];

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
    let control_plane = ControlPlane::start(&home(), &bench.options).await.unwrap();
    let judge = Judge::open(control_plane.address(), &bench.behind.ca, 1).await.unwrap();
    let all = vectors.len();
    vectors.retain(|vector| {
        let has_key = !KEY_NOT_RECORDED.contains(&vector.id.as_str());
        has_key && vector.cp_zone == ZONE && vector.is_carried_by_http()
    });
    vectors.sort_by(|a, b| a.revocations.cmp(&b.revocations));
    let (mut revocations, mut wrong, mut dates) = (String::new(), Vec::new(), 0);
    for vector in &vectors {
        if vector.revocations != revocations {
            revocations.clone_from(&vector.revocations);
            let secret = "zone-token-revocations";
            control_plane.api().set_secret(secret, revocations.as_bytes()).await.unwrap();
        }
        let seen = within(judge.verdict(vector.kind(), &vector.values())).await.unwrap();
        match (seen, vector.wanted()) {
            (seen, wanted) if plain(&seen) == wanted => {}
            (seen, wanted) if is_about_dates(&seen) || is_about_dates(&wanted) => dates += 1,
            (seen, wanted) => {
                wrong.push(format!("{} {}: {seen:?}, not {wanted:?}", vector.id, vector.desc));
            }
        }
    }
    println!("{} of {all} vectors, {dates} of them of another date", vectors.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(vectors.len() > 200 && dates < 50, "{} vectors, {dates} dates", vectors.len());
}

/// Without what kuma-cp adds because its store is in memory.
fn plain(verdict: &Result<(), String>) -> Result<(), String> {
    let added = ". kuma-cp runs with an in-memory database and its state isn't preserved between \
                 restarts. Keep in mind that an in-memory database cannot be used with multiple \
                 instances of the control plane";
    verdict.clone().map_err(|words| words.replace(added, ""))
}

fn is_about_dates(verdict: &Result<(), String>) -> bool {
    let words = verdict.as_ref().err().map_or("", String::as_str);
    words.contains("token is expired") || words.contains("is in the future")
}

impl Vector {
    fn wanted(&self) -> Result<(), String> {
        match self.accept {
            true => Ok(()),
            false => Err(self.error.clone()),
        }
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

    /// No control character but a tab, and no space at an end (RFC 9110 §5.5).
    fn is_carried_by_http(&self) -> bool {
        self.values().iter().all(|value| {
            value.trim_ascii() == *value
                && value.iter().all(|byte| *byte == b'\t' || !byte.is_ascii_control())
        })
    }
}
