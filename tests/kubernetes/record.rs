//! The record in `tests/data`: written, or compared with the API server's current verdicts.
//!
//! Keys, names and dates are new in every run, so the comparison is of verdicts, not of tokens.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::cases::{Case, Origin, cases};
use crate::gate::{Cluster, Settings, Shown, wrong};
use crate::mint::decode;
use crate::world::{FORMER_ISSUER, ISSUER, World};

#[derive(Deserialize)]
struct Record {
    #[serde(rename = "_notes")]
    notes: Vec<String>,
    /// The version of the API server.
    api_server: String,
    clusters: BTreeMap<String, Recognised>,
    vectors: Vec<Vector>,
}

/// The issuers, audiences and keys by which the API server of a cluster recognises its own tokens.
#[derive(Serialize, Deserialize)]
struct Recognised {
    /// The file with its keys.
    jwks: String,
    /// The first is the issuer of the tokens that it issues.
    issuers: Vec<String>,
    /// All issuers, if `--api-audiences` is not given.
    audiences: Vec<String>,
}

#[derive(Serialize, Deserialize)]
struct Vector {
    name: String,
    description: String,
    /// `issued` by the API server, or `made` by the tests.
    origin: String,
    /// The cluster of the API server that was asked. Its keys verify the token.
    cluster: String,
    node_id: String,
    /// The account of the pod with this node id; `null` if there is no such pod.
    pod_service_account: Option<String>,
    /// Seconds since 1970: the time for which the verdict is valid.
    asked_at: u64,
    token: String,
    /// `null` if the header is not JSON.
    header: Option<Value>,
    claims: Option<Value>,
    review: Recorded,
    kuma_accepts: bool,
    /// Whether the refusal follows from the objects in the store, or their UIDs.
    from_store: bool,
}

/// The API server's verdict.
#[derive(Serialize, Deserialize)]
struct Recorded {
    authenticated: bool,
    username: String,
    extra: Value,
    audiences: Vec<String>,
    error: String,
}

#[tokio::test]
#[ignore = "needs a Kubernetes API server: make test-kubernetes"]
async fn the_recorded_verdicts_are_the_api_servers() {
    let world = World::start().await;
    let cases = cases(&world).await;
    println!("{} cases", cases.len());
    if std::env::var_os("ZONEGATE_RECORD").is_some_and(|value| !value.is_empty()) {
        write(&world, &cases).await;
    }
    let record: Record = serde_json::from_str(&fs::read_to_string(path()).unwrap()).unwrap();
    let recorded: BTreeMap<&str, String> =
        record.vectors.iter().map(|vector| (vector.name.as_str(), vector.verdict())).collect();
    let today: Vec<Vector> = cases.iter().map(Vector::from).collect();
    let today: BTreeMap<&str, String> =
        today.iter().map(|vector| (vector.name.as_str(), vector.verdict())).collect();
    assert_eq!(today.len(), cases.len(), "a name occurs twice");
    assert_eq!(recorded.len(), record.vectors.len(), "a name occurs twice in the record");
    assert!(recorded.len() > 200, "{}", recorded.len());
    let names: BTreeSet<&str> = today.keys().chain(recorded.keys()).copied().collect();
    let others: Vec<String> = names
        .into_iter()
        .filter(|name| today.get(name) != recorded.get(name))
        .map(|name| format!("{name}: {:?}, not {:?}", today.get(name), recorded.get(name)))
        .collect();
    assert!(others.is_empty(), "{}", others.join("\n"));
    judge_by_the_gate(&cases);
}

/// Judges the new tokens as `tests/service_account_tokens.rs` judges the recorded ones.
fn judge_by_the_gate(cases: &[Case]) {
    let mut clusters = BTreeMap::new();
    for case in cases {
        let jwks = serde_json::from_str(&case.jwks).unwrap();
        let issuers = issuers_of(case.cluster);
        let cluster = Cluster { audiences: issuers.clone(), issuers, jwks };
        clusters.entry(case.cluster.to_owned()).or_insert(cluster);
    }
    let shown: Vec<Shown<'_>> = cases.iter().map(Case::shown).collect();
    for settings in Settings::ALL {
        let wrong = wrong(&shown, &clusters, settings);
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }
}

impl Case {
    fn shown(&self) -> Shown<'_> {
        let Self { name, cluster, node_id, asked_at, token, .. } = self;
        let (kuma_accepts, from_store) = (self.kuma_accepts(), self.is_refused_by_store());
        let asked_at = *asked_at;
        Shown { name, cluster, node_id, asked_at, token, kuma_accepts, from_store }
    }
}

/// The issuers that the API server of a cluster accepts, its own first.
fn issuers_of(cluster: &str) -> Vec<String> {
    let issuers: &[&str] = match cluster {
        "east" => &[ISSUER, FORMER_ISSUER],
        _ => &[ISSUER],
    };
    issuers.iter().map(ToString::to_string).collect()
}

impl Vector {
    /// The part that must be the same in every run.
    fn verdict(&self) -> String {
        let Recorded { authenticated, username, error, .. } = &self.review;
        let error = without_ids(error);
        format!("{authenticated} {username:?} {error:?}, Kuma: {}", self.kuma_accepts)
    }
}

impl From<&Case> for Vector {
    fn from(case: &Case) -> Self {
        let (kuma_accepts, from_store) = (case.kuma_accepts(), case.is_refused_by_store());
        let Case { node_id, pod_service_account, asked_at, token, .. } = case.clone();
        let verdict = case.api_server_verdict.clone();
        let mut segments = token.split('.').map(decode);
        let (header, claims) = (segments.next().flatten(), segments.next().flatten());
        Self {
            name: case.name.clone(),
            description: case.description.clone(),
            origin: match case.origin {
                Origin::Issued => "issued".to_owned(),
                Origin::Made => "made".to_owned(),
            },
            cluster: case.cluster.to_owned(),
            node_id,
            pod_service_account,
            asked_at,
            token,
            header,
            claims,
            review: Recorded {
                authenticated: verdict.authenticated,
                username: verdict.user.username,
                extra: verdict.user.extra,
                audiences: verdict.audiences,
                error: verdict.error,
            },
            kuma_accepts,
            from_store,
        }
    }
}

/// The error without the UUIDs of objects.
fn without_ids(error: &str) -> String {
    let is_id = |word: &str| word.len() == 36 && word.matches('-').count() == 4;
    error.split_inclusive(['(', ')', ' ']).fold(String::new(), |text, word| {
        let bare = word.trim_end_matches(['(', ')', ' ']);
        text + &if is_id(bare) { word.replace(bare, "ID") } else { word.to_owned() }
    })
}

fn path() -> PathBuf {
    data("service-account-tokens.json")
}

fn data(name: &str) -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/data")).join(name)
}

async fn write(world: &World, cases: &[Case]) {
    let version = world.east.api().get("/version").await.unwrap().unwrap();
    let version: Value = serde_json::from_str(&version).unwrap();
    let mut clusters = BTreeMap::new();
    for place in [&world.east, &world.west] {
        let jwks = format!("service-account-jwks-{}.json", place.name);
        fs::write(data(&jwks), &place.jwks).unwrap();
        let issuers = issuers_of(place.name);
        let recognised = Recognised { jwks, audiences: issuers.clone(), issuers };
        clusters.insert(place.name.to_owned(), recognised);
    }
    let record = Record {
        notes: NOTES.iter().map(ToString::to_string).collect(),
        api_server: version["gitVersion"].as_str().unwrap().to_owned(),
        clusters,
        vectors: cases.iter().map(Vector::from).collect(),
    };
    fs::write(path(), record.to_text()).unwrap();
}

impl Record {
    /// One vector per line, so that a diff shows one changed vector as one line.
    fn to_text(&self) -> String {
        let Self { notes, api_server, clusters, vectors } = self;
        let lines = |values: Vec<String>| format!("[\n  {}\n ]", values.join(",\n  "));
        let members = [
            ("_notes", lines(notes.iter().map(json).collect())),
            ("api_server", json(api_server)),
            ("clusters", json(clusters)),
            ("vectors", lines(vectors.iter().map(json).collect())),
        ];
        let members = members.map(|(name, value)| format!(" {name:?}: {value}"));
        format!("{{\n{}\n}}\n", members.join(",\n"))
    }
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap()
}

const NOTES: &[&str] = &[
    "Service-account tokens with the verdicts of a real kube-apiserver, written by make test-kubernetes \
     RECORD=1. docs/kubernetes.md sums them up.",
    "east signs with RS256, and accepts ES256 (P-256) and ES384 (P-384) by two more keys, and a former \
     issuer; west signs with ES256. jwks names the files with what /openid/v1/jwks said.",
    "origin is issued for a token that came out of TokenRequest, made for one that the tests signed, \
     mostly with the API server's own key, so that nothing but what the description says is wrong.",
    "review is the status of a TokenReview without audiences, which is what Kuma asks for, at asked_at \
     (seconds since 1970): the clock at which the verdict holds.",
    "kuma_accepts is what Kuma makes of it for a proxy with node_id (mesh.pod.namespace) whose pod has the \
     account pod_service_account: authenticated, and username is that account in that namespace.",
    "from_store says that the refusal follows from the objects that are there, which a gate does not know.",
];
