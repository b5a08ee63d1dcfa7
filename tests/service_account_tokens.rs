//! The recorded service-account tokens, judged by the gate: it is looser than Kuma with a real API server only if the
//! refusal depends on that server's store, and stricter only if a list gives the reason.
//!
//! `make test-kubernetes RECORD=1` writes `data/service-account-tokens.json`.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)] // a test may panic

use std::collections::BTreeMap;
use std::fs;

use serde::Deserialize;
use zonegate::gate::{Policy, Reason};

use crate::gate::{Cluster, Settings, Shown, wrong};

#[path = "kubernetes/gate.rs"]
mod gate;

#[derive(Deserialize)]
struct Record {
    clusters: BTreeMap<String, Recognised>,
    vectors: Vec<Vector>,
}

#[derive(Deserialize)]
struct Recognised {
    jwks: String,
    issuers: Vec<String>,
    audiences: Vec<String>,
}

#[derive(Deserialize)]
struct Vector {
    name: String,
    cluster: String,
    node_id: String,
    asked_at: u64,
    token: String,
    kuma_accepts: bool,
    from_store: bool,
}

fn read(name: &str) -> String {
    fs::read_to_string(format!("{}/tests/data/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

fn record() -> (BTreeMap<String, Cluster>, Vec<Vector>) {
    let Record { clusters, vectors } =
        serde_json::from_str(&read("service-account-tokens.json")).unwrap();
    let clusters = clusters.into_iter().map(|(name, Recognised { jwks, issuers, audiences })| {
        let jwks = serde_json::from_str(&read(&jwks)).unwrap();
        (name, Cluster { issuers, audiences, jwks })
    });
    (clusters.collect(), vectors)
}

impl Vector {
    fn shown(&self) -> Shown<'_> {
        let Self { name, cluster, node_id, token, .. } = self;
        let Self { asked_at, kuma_accepts, from_store, .. } = *self;
        Shown { name, cluster, node_id, asked_at, token, kuma_accepts, from_store }
    }
}

#[test]
fn every_recorded_token_has_kumas_verdict_or_a_row() {
    let (clusters, vectors) = record();
    assert_eq!(vectors.len(), 306);
    let shown: Vec<Shown<'_>> = vectors.iter().map(Vector::shown).collect();
    for settings in Settings::ALL {
        let wrong = wrong(&shown, &clusters, settings);
        assert!(wrong.is_empty(), "{}\n{}", wrong.len(), wrong.join("\n"));
    }
}

/// Two clusters usually have the same issuer, and only their keys differ.
#[test]
fn a_gate_of_two_clusters_takes_the_tokens_of_both_and_is_otherwise_the_same() {
    let (clusters, vectors) = record();
    let settings = Settings::ALL[0];
    let both = settings.policy(clusters.values());
    let policy = |(name, cluster): (&String, &Cluster)| (name.clone(), settings.policy([cluster]));
    let alone: BTreeMap<String, Policy> = clusters.iter().map(policy).collect();
    let mut other = Vec::new();
    for token in vectors.iter().map(Vector::shown) {
        if token.judge(&both) != token.judge(&alone[token.cluster]) {
            assert_eq!(token.judge(&both), Ok(()), "{}", token.name);
            other.push(token.name);
        }
    }
    assert_eq!(other, ["west-in-east", "east-in-west"]);
}

/// The API server compares UIDs with those of its objects. A gate cannot; it refuses an object without a UID.
#[test]
fn an_object_without_a_name_or_a_uid_is_none() {
    let (clusters, vectors) = record();
    let policy = Settings::ALL[0].policy([&clusters["east"]]);
    let names = [
        "pod-empty",
        "pod-name-null",
        "pod-name-capital",
        "pod-uid-missing",
        "account-uid-missing",
    ];
    for name in names {
        let token = vectors.iter().find(|vector| vector.name == name).unwrap().shown();
        assert_eq!(token.judge(&policy), Err(Reason::MalformedClaims), "{name}");
    }
}
