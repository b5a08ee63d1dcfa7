//! The gate's verdicts on service-account tokens that an API server has judged, and where the gate is stricter.
//!
//! In: a token, the proxy and the time, and the verdicts of Kuma and of the API server. Out: every wrong verdict, and
//! every entry of a list that is not needed.
//!
//! Shared by `tests/service_account_tokens.rs`, which judges the recorded tokens, and by the tests with a real API
//! server, which judge new tokens.

use std::collections::BTreeMap;

use envoy_types::pb::envoy::config::core::v3::Node;
use envoy_types::pb::envoy::service::discovery::v3::DeltaDiscoveryRequest;
use envoy_types::pb::google::protobuf::{Struct, Value as ProtoValue, value::Kind};
use prost::Message;
use serde_json::{Value, json};
use zonegate::config::Config;
use zonegate::gate::{ADS_DELTA, Head, Held, Now, Policy, Reason, UnixTime, Verdict};

/// A token that was judged.
pub(crate) struct Shown<'a> {
    /// A unique name.
    pub(crate) name: &'a str,
    /// The text in `authorization`.
    pub(crate) token: &'a str,
    /// `pod.namespace`.
    pub(crate) node_id: &'a str,
    /// Seconds since 1970.
    pub(crate) asked_at: u64,
    /// The cluster of the API server that was asked.
    pub(crate) cluster: &'a str,
    /// Whether Kuma accepts the token.
    pub(crate) kuma_accepts: bool,
    /// Whether the refusal follows from the objects in the store.
    pub(crate) from_store: bool,
}

/// The issuers, audiences and keys by which the API server of a cluster recognises its own tokens.
pub(crate) struct Cluster {
    pub(crate) issuers: Vec<String>,
    pub(crate) audiences: Vec<String>,
    /// `/openid/v1/jwks`.
    pub(crate) jwks: Value,
}

type Row = (&'static str, Reason, &'static str);

/// Accepted by Kuma and refused by the gate, each with why.
const STRICTER: &[Row] = &[
    ("of-another-pod", Reason::WrongServiceAccount, POD),
    ("kid-missing", Reason::MissingKid, KID),
    ("kid-missing-es256", Reason::MissingKid, KID),
    ("kid-null", Reason::MalformedToken, KID),
    ("kid-empty", Reason::UnknownKid, KID),
    ("header-kid-capital", Reason::MissingKid, KID),
    ("rs384", Reason::UnsupportedAlgorithm, ALG),
    ("rs512", Reason::UnsupportedAlgorithm, ALG),
    ("ps256", Reason::UnsupportedAlgorithm, ALG),
    ("es384", Reason::UnsupportedAlgorithm, ALG),
    ("es384-by-p256-padded", Reason::UnsupportedAlgorithm, ALG),
    ("es512-by-p256-padded", Reason::UnsupportedAlgorithm, ALG),
    ("aud-missing", Reason::OutOfScope, AUD),
    ("aud-list-empty", Reason::OutOfScope, AUD),
    ("legacy", Reason::UnknownKid, LEGACY),
    ("legacy-expired", Reason::Expired, LEGACY),
    ("crit-empty", Reason::MalformedToken, CRIT),
    ("crit-null", Reason::MalformedToken, CRIT),
    ("crit-b64", Reason::MalformedToken, CRIT),
    ("b64-false-raw", Reason::MalformedToken, CRIT),
    ("b64-false-raw-no-crit", Reason::InvalidSignature, B64),
    ("jwk", Reason::MalformedToken, EMBEDDED_KEY),
    ("x5c-empty", Reason::MalformedToken, EMBEDDED_KEY),
    ("text-nested-100", Reason::MalformedClaims, NESTED),
    ("text-nested-9000", Reason::MalformedClaims, NESTED),
    ("header-nested-100", Reason::MalformedToken, NESTED),
    ("header-nested-11000", Reason::MalformedToken, NESTED),
    ("space-after", Reason::MalformedToken, SPACE),
    ("space-and-text", Reason::MalformedToken, SPACE),
    ("tab-in-signature", Reason::MalformedToken, SPACE),
    ("no-break-space-in-signature", Reason::MalformedToken, SPACE),
    ("newline-in-header", Reason::InvalidSignature, SPELLING),
    ("newline-in-claims", Reason::InvalidSignature, SPELLING),
    ("spare-header", Reason::InvalidSignature, SPELLING),
    ("spare-claims", Reason::InvalidSignature, SPELLING),
];
/// The same, unless `requireExpiration` is false.
const EXPIRATION: &[Row] = &[
    ("exp-missing", Reason::MissingExpiration, NEVER),
    ("exp-null", Reason::MissingExpiration, NEVER),
    ("capital-exp-only", Reason::MissingExpiration, NEVER),
    ("legacy", Reason::MissingExpiration, NEVER),
];
/// The same, if `leewaySeconds` is 0.
const NO_LEEWAY: &[Row] = &[
    ("expired-30", Reason::Expired, LEEWAY),
    ("expired-50", Reason::Expired, LEEWAY),
    ("begins-30", Reason::NotYetValid, LEEWAY),
    ("issued-30", Reason::NotYetValid, LEEWAY),
];

const POD: &str = "a token is valid only for its pod: Kuma compares only the account";
const KID: &str = "a token names its key";
const ALG: &str = "API servers sign with RS256 or ES256";
const AUD: &str = "API servers issue no token without an audience";
const LEGACY: &str = "a token in a secret never ends, and has another issuer";
const CRIT: &str = "no extension is understood (RFC 7515 section 4.1.11)";
const B64: &str = "claims are base64url";
const EMBEDDED_KEY: &str = "a token does not say how it is verified";
const NESTED: &str = "bounded work on input";
const SPACE: &str = "a token has no spaces";
const SPELLING: &str = "the text is verified as it is";
const NEVER: &str = "requireExpiration";
const LEEWAY: &str = "the API server gives a minute, the gate what leewaySeconds says";

/// Settings of the gate.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Settings {
    pub(crate) require_expiration: bool,
    pub(crate) leeway_seconds: u64,
}

impl Settings {
    pub(crate) const ALL: [Self; 4] = [
        Self { require_expiration: true, leeway_seconds: 0 },
        Self { require_expiration: false, leeway_seconds: 0 },
        Self { require_expiration: true, leeway_seconds: 60 },
        Self { require_expiration: false, leeway_seconds: 60 },
    ];

    /// A policy for these clusters.
    pub(crate) fn policy<'c>(self, clusters: impl IntoIterator<Item = &'c Cluster>) -> Policy {
        let issuers: Vec<Value> = clusters
            .into_iter()
            .flat_map(|Cluster { issuers, audiences, jwks }| {
                let of = |issuer| json!({ "issuer": issuer, "audiences": audiences, "jwks": jwks });
                issuers.iter().map(of).collect::<Vec<_>>()
            })
            .collect();
        let config = json!({
            "zone": "east",
            "serviceAccountToken": { "issuers": issuers },
            "proxies": {
                "ingress": "serviceAccountToken",
                "egress": "serviceAccountToken",
                "dataplane": "serviceAccountToken",
            },
            "requireExpiration": self.require_expiration,
            "leewaySeconds": self.leeway_seconds,
            "maxTokenBytes": 65_536,
        });
        Config::from_json(config.to_string().as_bytes()).unwrap().policy
    }

    fn rows(self) -> BTreeMap<&'static str, Reason> {
        let no_leeway = if self.leeway_seconds == 0 { NO_LEEWAY } else { &[] };
        let expiration = if self.require_expiration { EXPIRATION } else { &[] };
        let rows = STRICTER.iter().chain(no_leeway).chain(expiration);
        rows.map(|(name, reason, _)| (*name, *reason)).collect()
    }
}

/// Every wrong verdict. Each token is judged by the gate of its own cluster.
pub(crate) fn wrong(
    shown: &[Shown<'_>],
    clusters: &BTreeMap<String, Cluster>,
    settings: Settings,
) -> Vec<String> {
    let policies: BTreeMap<&str, Policy> = clusters
        .iter()
        .map(|(name, cluster)| (name.as_str(), settings.policy([cluster])))
        .collect();
    let mut rows = settings.rows();
    let mut wrong = Vec::new();
    for token in shown {
        let seen = token.judge(&policies[token.cluster]);
        let row = rows.remove(token.name);
        match (token.kuma_accepts, seen, row) {
            (true, Ok(()), None) | (false, Err(_), None) => {}
            (true, Err(reason), Some(wanted)) if reason == wanted => {}
            (false, Ok(()), None) if token.from_store => {}
            (kuma, seen, row) => wrong
                .push(format!("{}: {seen:?}, Kuma {kuma}, row {row:?}, {settings:?}", token.name)),
        }
    }
    wrong.extend(rows.keys().map(|name| format!("{name}: no such token, {settings:?}")));
    wrong
}

impl Shown<'_> {
    /// The gate's verdict on a stream that a sidecar opens with the token.
    pub(crate) fn judge(&self, policy: &Policy) -> Result<(), Reason> {
        let now = Now(Some(UnixTime::from_secs(self.asked_at)));
        let head: Head<'_> = [
            (":method", &b"POST"[..]),
            (":path", ADS_DELTA.as_bytes()),
            (":authority", b"control-plane:5678"),
            ("content-type", b"application/grpc"),
            ("authorization", self.token.as_bytes()),
        ]
        .map(|(name, value)| (name.as_bytes(), value))
        .into_iter()
        .collect();
        match policy.judge(&head, now) {
            Verdict::Hold(Held::FirstMessage { variant, credential }) => {
                let message = first_message(self.node_id);
                let judged = policy.judge_first_message(variant, credential, &message, now);
                judged.map(drop).map_err(|denial| denial.refusal.reason())
            }
            Verdict::Deny(denial) => Err(denial.refusal.reason()),
            verdict => panic!("{}: {verdict:?}", self.name),
        }
    }
}

fn first_message(node_id: &str) -> Vec<u8> {
    let kind = Some(Kind::StringValue("dataplane".to_owned()));
    let fields = [("dataplane.proxyType".to_owned(), ProtoValue { kind })];
    let metadata = Some(Struct { fields: fields.into() });
    let node = Node { id: node_id.to_owned(), metadata, ..Node::default() };
    DeltaDiscoveryRequest { node: Some(node), ..Default::default() }.encode_to_vec()
}
