//! Service-account tokens: cluster, audience, pod and account. `tests/service_account_tokens.rs` has the verdicts of an
//! API server on them.

use serde_json::{Value, json};
use zonegate::config::{Config, Warning};
use zonegate_issuer::{SigningKey, jwk};

use crate::request::{KEY, STRANGER, judged};

fn key(key: &SigningKey, kid: &str) -> Value {
    serde_json::from_str(&jwk(&key.public_key(), Some(kid)).unwrap()).unwrap()
}

/// The block `serviceAccountToken` with two clusters: `east`, and `west` with audiences of its own.
fn block() -> Value {
    json!({
        "issuers": [
            { "issuer": "https://east.example", "jwks": { "keys": [key(&KEY, "1"), key(&KEY, "2")] } },
            {
                "issuer": "https://west.example",
                "audiences": ["mesh", "kuma"],
                "jwks": { "keys": [key(&STRANGER, "w")] },
            },
        ],
        "revocations": ["revoked"],
    })
}

fn fields(block: Value) -> Value {
    json!({
        "publicKeys": [],
        "revocations": [],
        "serviceAccountToken": block,
        "proxies": {
            "ingress": "serviceAccountToken",
            "egress": "serviceAccountToken",
            "dataplane": "serviceAccountToken",
        },
    })
}

fn of_sidecars(words: &str) -> String {
    let (kind, words) = words.split_once(' ').unwrap_or((words, ""));
    format!("{kind} proxy=dataplane node=default.web-0.demo account=demo/web {words}")
}

fn judged_of_sidecars(block: Value, table: &[(&str, &str)]) {
    let lines: Vec<String> = table.iter().map(|(line, _)| of_sidecars(line)).collect();
    let table: Vec<(&str, &str)> =
        lines.iter().zip(table).map(|(line, (_, wanted))| (line.as_str(), *wanted)).collect();
    judged(&fields(block), &table);
}

#[test]
fn a_token_is_of_the_cluster_whose_key_signed_it_and_for_one_of_its_audiences() {
    judged_of_sidecars(
        block(),
        &[
            ("sotw", "message: allow dataplane"),
            ("delta kid=2", "message: allow dataplane"),
            ("hds", "message: allow dataplane"),
            ("sotw kid=3", "headers: unknown_kid"),
            ("sotw by=stranger", "headers: invalid_signature"),
            // A cluster without audiences has its issuer as audience.
            ("sotw aud=https://east.example,vault", "message: allow dataplane"),
            ("sotw aud=vault", "message: out_of_scope (id-1)"),
            ("sotw aud=mesh", "message: out_of_scope (id-1)"),
            (
                "sotw kid=w by=stranger iss=https://west.example aud=mesh",
                "message: allow dataplane",
            ),
            (
                "sotw kid=w by=stranger iss=https://west.example aud=vault,kuma",
                "message: allow dataplane",
            ),
            ("sotw kid=w by=stranger iss=https://west.example", "message: out_of_scope (id-1)"),
            // The key of one cluster with the issuer of the other.
            ("sotw iss=https://west.example aud=mesh", "message: unknown_kid (id-1)"),
            ("sotw kid=w by=stranger", "message: unknown_kid (id-1)"),
            ("sotw iss=https://other.example", "message: unknown_kid (id-1)"),
        ],
    );
}

/// The API server looks for the secret by its name and compares the UID, so a secret needs both. It reads
/// `node` without looking for the node (Kubernetes: `Validate` in `pkg/serviceaccount/claims.go`).
#[test]
fn a_secret_or_node_that_a_token_names_must_be_well_formed() {
    judged_of_sidecars(
        block(),
        &[
            (r#"sotw bound={"secret":{"name":"s","uid":"1"}}"#, "message: allow dataplane"),
            (r#"sotw bound={"secret":null}"#, "message: allow dataplane"),
            (r#"sotw bound={"secret":{"name":"s"}}"#, "headers: malformed_claims"),
            (r#"sotw bound={"secret":{"uid":"1"}}"#, "headers: malformed_claims"),
            (r#"sotw bound={"secret":{"name":1,"uid":"1"}}"#, "headers: malformed_claims"),
            (r#"sotw bound={"secret":"s"}"#, "headers: malformed_claims"),
            (r#"sotw bound={"node":{"name":"n"}}"#, "message: allow dataplane"),
            (r#"sotw bound={"node":{"name":1}}"#, "headers: malformed_claims"),
        ],
    );
}

#[test]
fn a_token_is_valid_only_for_its_pod_and_namespace() {
    judged_of_sidecars(
        block(),
        &[
            ("sotw pod=web-0", "message: allow dataplane"),
            ("sotw pod=web-1", "message: wrong_service_account (id-1)"),
            ("sotw pod=web", "message: wrong_service_account (id-1)"),
            ("sotw account=other/web", "message: wrong_service_account (id-1)"),
            ("sotw node=default.web-0.other", "message: wrong_service_account (id-1)"),
            ("sotw pod=web.0 node=default.web.0.demo", "message: allow dataplane"),
            ("sotw pod=web node=default.web.0.demo", "message: wrong_service_account (id-1)"),
            ("sotw node=default.demo", "message: wrong_service_account (id-1)"),
            // Zone proxies have such tokens too.
            ("sotw proxy=ingress", "message: allow ingress"),
            ("sotw proxy=egress pod=web-1", "message: wrong_service_account (id-1)"),
        ],
    );
    let mut allowing = block();
    allowing["serviceAccounts"] = json!(["demo/web", "demo/api"]);
    judged_of_sidecars(
        allowing,
        &[
            ("sotw", "message: allow dataplane"),
            ("sotw account=demo/api", "message: allow dataplane"),
            ("sotw account=demo/other", "message: wrong_service_account (id-1)"),
            (
                "sotw account=other/web node=default.web-0.other",
                "message: wrong_service_account (id-1)",
            ),
        ],
    );
}

#[test]
fn a_token_is_revoked_by_its_id_and_has_dates() {
    judged_of_sidecars(
        block(),
        &[
            ("sotw jti=revoked", "headers: revoked (revoked)"),
            ("sotw exp=none", "headers: missing_expiration (id-1)"),
            ("sotw exp=0", "headers: expired (id-1)"),
            ("sotw nbf=5", "headers: not_yet_valid (id-1)"),
            // Unlike a zone token, it is not valid before it was issued.
            ("sotw iat=0", "message: allow dataplane"),
            ("sotw iat=5", "headers: not_yet_valid (id-1)"),
            ("sotw iat=5 nbf=0", "headers: not_yet_valid (id-1)"),
            ("sotw iat=0 nbf=5", "headers: not_yet_valid (id-1)"),
            ("sotw iat=5 at=5", "message: allow dataplane"),
        ],
    );
    // The other kinds of token have their own lists.
    let mut not_here = block();
    not_here["revocations"] = json!([]);
    judged_of_sidecars(not_here, &[("sotw jti=revoked", "message: allow dataplane")]);
}

fn read(block: Value) -> Result<Config, String> {
    let config = fields(block);
    Config::from_json(config.to_string().as_bytes()).map_err(|error| error.to_string())
}

#[test]
fn a_kid_has_one_key_in_all_clusters() {
    let mut shared = block();
    shared["issuers"][1]["jwks"]["keys"][0] = key(&KEY, "1");
    assert!(read(shared.clone()).is_ok());
    shared["issuers"][1]["jwks"]["keys"][0] = key(&STRANGER, "1");
    assert_eq!(
        read(shared).unwrap_err(),
        "serviceAccountToken.issuers[1].jwks.keys[0].kid: \"1\" occurs twice, with two keys"
    );
}

#[test]
fn keys_of_other_algorithms_are_left_out_and_bad_ones_refused() {
    // From RFC 7515 A.3.1.
    let p256 = json!({
        "kty": "EC", "crv": "P-256", "kid": "p", "use": "sig", "alg": "ES256",
        "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
        "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
    });
    let with = |field: &str, value: &str| {
        let mut jwk = p256.clone();
        jwk[field] = json!(value);
        jwk
    };
    let other = |what: &str| {
        let path = "serviceAccountToken.issuers[0].jwks.keys[2]".to_owned();
        vec![Warning::OtherAlgorithm(path, what.to_owned())]
    };
    for (jwk, wanted) in [
        (p256.clone(), Ok((4, vec![]))),
        (with("alg", ""), Ok((4, vec![]))),
        (with("use", "enc"), Ok((3, vec![]))),
        (with("alg", "ES384"), Ok((3, other("ES384")))),
        (with("crv", "P-384"), Ok((3, other("ES256")))),
        (json!({ "kty": "OKP", "crv": "Ed25519", "kid": "o" }), Ok((3, other("OKP Ed25519")))),
        (json!({ "kty": "RSA", "alg": "RS384", "kid": "r" }), Ok((3, other("RS384")))),
        (with("x", "AQ"), Err("x: x or y is not base64url of 32 bytes")),
        (with("x", p256["y"].as_str().unwrap()), Err("x: x and y are not a point on P-256")),
        (with("kid", ""), Err("kid: must not be empty")),
    ] {
        let mut config = block();
        config["issuers"][0]["jwks"]["keys"].as_array_mut().unwrap().push(jwk.clone());
        let seen =
            read(config).map(|config| (config.policy.issuers.keys().count(), config.warnings));
        let path = "serviceAccountToken.issuers[0].jwks.keys[2].";
        assert_eq!(seen, wanted.map_err(|problem| format!("{path}{problem}")), "{jwk}");
    }
}

/// ES256 in the header of a zone token is still no algorithm of zone tokens.
#[test]
fn zone_tokens_are_signed_with_rs256_also_beside_service_account_tokens() {
    let table = [
        ("sotw alg=ES256", "headers: unsupported_algorithm"),
        ("sotw alg=HS256", "headers: unsupported_algorithm"),
        ("sotw", "message: allow ingress"),
    ];
    judged(&json!({}), &table);
    let both = json!({
        "serviceAccountToken": {
            "issuers": [{ "issuer": "https://east.example", "jwks": { "keys": [key(&KEY, "k")] } }],
        },
        "proxies": { "dataplane": "serviceAccountToken" },
    });
    judged(&both, &table);
}
