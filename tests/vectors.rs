//! Every recorded case of Kuma's behaviour, judged by the gate: the verdict and the reason.
//!
//! `data/kuma-zone-token.json` has the answers of Kuma v2.14.3. `data/found.json` has cases that were added since; the
//! differential test prints its findings in this form. The expected verdict of the gate follows from Kuma's error text,
//! from [`OTHER_REASON`] and from [`STRICTER`], not from the gate. An entry of either list that is no longer needed
//! fails, and so does any case in which the gate is looser than Kuma.
#![allow(clippy::unwrap_used, clippy::panic)] // a test may panic

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use prost::Message;
use prost_types::{Struct, Value, value::Kind};
use serde::Deserialize;
use serde_json::json;
use zonegate::config::Config;
use zonegate::gate::{ADS_SOTW, Head, Held, Now, Policy, Profile, Reason, UnixTime, Verdict};
use zonegate::token::{KeyError, NotPem, PublicKey};

#[derive(Deserialize)]
struct Recorded {
    keys: BTreeMap<String, String>,
    vectors: Vec<Vector>,
    key_parsing: Vec<KeyVector>,
}

#[derive(Deserialize)]
struct Found {
    vectors: Vec<Vector>,
}

#[derive(Deserialize)]
struct Vector {
    id: String,
    desc: String,
    /// Its own keys, in place of the common ones.
    keys: Option<BTreeMap<String, String>>,
    authorization: Option<Vec<String>>,
    claims: Option<String>,
    proxy_scope: String,
    cp_zone: String,
    revocations: String,
    now: String,
    accept: bool,
    error: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct KeyVector {
    desc: String,
    #[serde(rename = "PEM")]
    pem: String,
    #[serde(rename = "OK")]
    ok: bool,
    err: String,
}

fn recorded() -> Recorded {
    let mut recorded: Recorded =
        serde_json::from_str(include_str!("data/kuma-zone-token.json")).unwrap();
    assert_eq!(recorded.vectors.len(), 227);
    let found: Found = serde_json::from_str(include_str!("data/found.json")).unwrap();
    recorded.vectors.extend(found.vectors);
    let ids: BTreeSet<_> = recorded.vectors.iter().map(|vector| &vector.id).collect();
    assert_eq!(ids.len(), recorded.vectors.len(), "two vectors have one id");
    recorded
}

/// Refused by Kuma for one reason and by the gate for another, each with why.
const OTHER_REASON: &[(&str, Reason, &str)] = &[
    ("A03", Reason::MissingToken, "said more clearly"),
    ("A04", Reason::MissingToken, "said more clearly"),
    ("A06", Reason::MultipleTokens, "a comma is how Envoy joins two headers"),
    ("B09", Reason::InvalidSignature, "the signature is verified before the claims are decoded"),
    ("B21", Reason::UnknownKid, "the key is looked up before the signature is decoded"),
    ("B22", Reason::UnsupportedAlgorithm, "the header is judged before the claims are read"),
    ("C17", Reason::UnsupportedAlgorithm, "alg is judged before kid"),
    ("D40", Reason::Expired, "exp is judged before nbf"),
    ("E58", Reason::WrongZone, "the zone is judged before the scope"),
];

/// Accepted by Kuma and refused by the gate, each with why.
const STRICTER: &[(&str, Reason, &str)] = &[
    ("C26", Reason::MalformedToken, "crit: RFC 7515 section 4.1.11"),
    ("C39", Reason::MalformedToken, "bounded work on input that nobody vouches for"),
    ("E33", Reason::OutOfScope, "Go keeps a scope that was overwritten"),
    ("E43", Reason::MalformedClaims, "bounded nesting"),
    ("F03", Reason::Revoked, "ids are split on white space too"),
    ("F04", Reason::Revoked, "ids are split on white space too"),
    ("F07", Reason::Revoked, "ids are split on white space too"),
    ("F08", Reason::Revoked, "ids are split on white space too"),
    ("F21", Reason::Revoked, "white space around the ID counts for nothing"),
    ("D1", Reason::Revoked, "white space in the list and in the ID"),
];

/// Signed by keys that were not recorded, so the gate can only see a wrong signature. `found.json` has tokens of these
/// sizes with their keys.
const KEY_NOT_RECORDED: &[&str] = &["G1024", "G3072", "G4096"];

#[test]
fn every_vector_has_kumas_verdict_and_the_right_reason() {
    let recorded = recorded();
    let mut wrong = Vec::new();
    for vector in &recorded.vectors {
        let seen = vector.judge(&recorded, false);
        let wanted = vector.wanted();
        if seen != wanted {
            wrong.push(format!("{} {}: {seen:?}, wanted {wanted:?}", vector.id, vector.desc));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// `requireExpiration` changes only the verdict of tokens without exp.
#[test]
fn a_required_expiration_refuses_tokens_without_one_and_no_others() {
    let recorded = recorded();
    let mut refused = 0;
    for vector in &recorded.vectors {
        let wanted = match vector.wanted() {
            None
            | Some(
                Reason::NotYetValid | Reason::Revoked | Reason::WrongZone | Reason::OutOfScope,
            ) if vector.lacks_exp() => {
                refused += 1;
                Some(Reason::MissingExpiration)
            }
            other => other,
        };
        assert_eq!(vector.judge(&recorded, true), wanted, "{} {}", vector.id, vector.desc);
    }
    assert!(refused > 50, "{refused}");
}

#[test]
fn no_listed_exception_is_unneeded_or_unknown() {
    let recorded = recorded();
    let find = |id: &str| recorded.vectors.iter().find(|vector| vector.id == id).unwrap();
    for (id, reason, _) in OTHER_REASON {
        assert!(!find(id).accept, "{id} is stricter than Kuma: it belongs to the other list");
        assert_ne!(find(id).kuma_reason(), Some(*reason), "{id} needs no entry");
    }
    for (id, _, _) in STRICTER {
        assert!(find(id).accept, "{id} is not stricter than Kuma");
    }
    for id in KEY_NOT_RECORDED {
        assert!(find(id).accept, "{id} is not stricter than Kuma");
    }
}

#[test]
fn every_reason_of_a_token_is_in_the_vectors() {
    let recorded = recorded();
    let judge = |vector: &Vector| [true, false].map(|exp| vector.judge(&recorded, exp));
    let seen: Vec<_> = recorded.vectors.iter().flat_map(judge).flatten().collect();
    for reason in Reason::ALL {
        let elsewhere = matches!(
            reason,
            Reason::TokenTooLong
                | Reason::WrongMesh
                | Reason::WrongProxy
                | Reason::WrongServiceAccount
                | Reason::ProxyDenied
                | Reason::PathDenied
                | Reason::MalformedRequest
                | Reason::NoFirstMessage
                | Reason::ClockUnavailable
                | Reason::PolicyUnavailable
                | Reason::Overloaded
        );
        assert_ne!(seen.contains(&reason), elsewhere, "{reason}");
    }
}

#[test]
fn every_key_is_read_as_kuma_reads_it() {
    let recorded = recorded();
    assert_eq!(recorded.key_parsing.len(), 23);
    for vector in &recorded.key_parsing {
        let seen = PublicKey::from_pem(&vector.pem);
        assert_eq!(seen.is_ok(), vector.ok, "{}: {seen:?}, Kuma: {}", vector.desc, vector.err);
        if let Err(error) = seen {
            assert_eq!(Some(error), vector.wanted_error(), "{}", vector.desc);
        }
    }
}

impl Vector {
    /// The expected verdict of the gate; `None` means that the gate allows the stream.
    fn wanted(&self) -> Option<Reason> {
        if KEY_NOT_RECORDED.contains(&self.id.as_str()) {
            return Some(Reason::InvalidSignature);
        }
        let listed = OTHER_REASON.iter().chain(STRICTER).find(|(id, _, _)| *id == self.id);
        listed.map(|(_, reason, _)| *reason).or_else(|| self.kuma_reason())
    }

    /// The reason for Kuma's error text.
    fn kuma_reason(&self) -> Option<Reason> {
        const WORDS: &[(&str, Reason)] = &[
            ("request must have exactly 1", Reason::MultipleTokens),
            ("invalid number of segments", Reason::MalformedToken),
            ("could not base64 decode", Reason::MalformedToken),
            ("could not JSON decode header", Reason::MalformedToken),
            ("could not JSON decode claim", Reason::MalformedClaims),
            ("signing method (alg) is un", Reason::UnsupportedAlgorithm),
            ("unsupported token alg", Reason::UnsupportedAlgorithm),
            ("not supported", Reason::UnsupportedAlgorithm),
            ("JWT token must have kid header", Reason::MissingKid),
            ("kid header must be a string", Reason::MalformedToken),
            ("there is no signing key with KID", Reason::UnknownKid),
            ("crypto/rsa: verification error", Reason::InvalidSignature),
            ("'valid_from' date is in the future", Reason::NotYetValid),
            ("token is expired", Reason::Expired),
            ("token is revoked", Reason::Revoked),
            ("is out of token's scope", Reason::OutOfScope),
            ("zone from requestor", Reason::WrongZone),
        ];
        if self.accept {
            return None;
        }
        let reason = WORDS.iter().find(|(text, _)| self.error.contains(text));
        Some(reason.unwrap_or_else(|| panic!("{}: {}", self.id, self.error)).1)
    }

    fn lacks_exp(&self) -> bool {
        let Some(text) = self.claims.as_deref() else { return false };
        let is_exp = |name: &str| name.eq_ignore_ascii_case("exp");
        match serde_json::from_str::<BTreeMap<String, serde_json::Value>>(text) {
            Ok(claims) => !claims.iter().any(|(name, date)| is_exp(name) && !date.is_null()),
            // serde_json cannot read some texts that Go can: surrogates, numbers beyond float64.
            Err(_) => !text.contains("\"exp\""),
        }
    }

    /// The gate's verdict on the headers, and on the first message if the gate waits for it.
    fn judge(&self, recorded: &Recorded, require_expiration: bool) -> Option<Reason> {
        let policy = self.policy(recorded, require_expiration);
        let clock = self.clock();
        let values = self.authorization.iter().flatten();
        let head = Head {
            method: b"POST",
            path: ADS_SOTW.as_bytes(),
            content_type: vec![b"application/grpc"],
            authorization: values.map(String::as_bytes).collect(),
            client_id: Vec::new(),
        };
        match policy.judge(&head, clock) {
            Verdict::Allow(permit) => panic!("{}: {permit:?} on the headers alone", self.id),
            Verdict::Deny(denial) => Some(denial.refusal.reason()),
            Verdict::Hold(Held::FirstMessage { variant, credential }) => {
                let message = first_message(&self.proxy_scope);
                let judged = policy.judge_first_message(variant, credential, &message, clock);
                judged.err().map(|denial| denial.refusal.reason())
            }
            Verdict::Hold(Held::Bootstrap) => panic!("{}: not a bootstrap request", self.id),
        }
    }

    fn policy(&self, recorded: &Recorded, require_expiration: bool) -> Policy {
        let keys = self.keys.as_ref().unwrap_or(&recorded.keys);
        let keys: Vec<_> =
            keys.iter().map(|(kid, key)| json!({ "kid": kid, "key": key })).collect();
        let config = json!({
            "publicKeys": keys,
            "revocations": self.revocations,
            "requireExpiration": require_expiration,
            "maxTokenBytes": 65536,
        });
        let mut policy = Config::from_json(config.to_string().as_bytes()).unwrap().policy;
        // The configuration refuses an empty zone, which some vectors have.
        let Profile::DpServer(server) = &mut policy.profile else { panic!("{:?}", policy.profile) };
        server.zone.clone_from(&self.cp_zone);
        policy
    }

    fn clock(&self) -> Now {
        let (seconds, nanos) = self.now.split_once('.').unwrap();
        let time = Duration::new(seconds.parse().unwrap(), nanos.parse().unwrap());
        Now(Some(UnixTime::after_epoch(time)))
    }
}

impl KeyVector {
    /// The error for the key, taken only from its description.
    fn wanted_error(&self) -> Option<KeyError> {
        let malformed = |label| KeyError::Malformed { label, other_label_fits: true };
        Some(match self.desc.as_str() {
            "cert-like other block first" => KeyError::Certificate,
            "private key given" => KeyError::PrivateKey,
            "EC SPKI" => KeyError::NotRsa,
            "PKCS#1 body labelled PUBLIC KEY" => malformed("PUBLIC KEY"),
            "SPKI body labelled RSA PUBLIC KEY" => malformed("RSA PUBLIC KEY"),
            "base64 of the PEM (pem-base64)" => KeyError::NotPem(NotPem::Base64OfPem),
            "trailing DER bytes" => {
                KeyError::Malformed { label: "RSA PUBLIC KEY", other_label_fits: false }
            }
            // There is no text for the sizes that Go does not generate.
            "empty" | "generate 512" | "generate 768" | "generate 1023" => {
                KeyError::NotPem(NotPem::Empty)
            }
            "leading spaces on each line (YAML indent)" => KeyError::NotPem(NotPem::Indented),
            "not PEM at all" => KeyError::NotPem(NotPem::Other),
            _ => return None,
        })
    }
}

/// A DiscoveryRequest of a proxy of this type.
fn first_message(proxy_type: &str) -> Vec<u8> {
    let kind = Some(Kind::StringValue(proxy_type.to_owned()));
    let metadata = [("dataplane.proxyType".to_owned(), Value { kind })];
    let node = envoy_types::pb::envoy::config::core::v3::Node {
        id: ".zone-proxy-1".to_owned(),
        metadata: Some(Struct { fields: metadata.into_iter().collect() }.encode_to_vec())
            .map(|bytes| Message::decode(bytes.as_slice()).unwrap()),
        ..Default::default()
    };
    let request = envoy_types::pb::envoy::service::discovery::v3::DiscoveryRequest {
        node: Some(node),
        ..Default::default()
    };
    request.encode_to_vec()
}
