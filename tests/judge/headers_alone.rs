//! Requests of which only the headers are seen: a token passes only if some allowed proxy could use it.
//!
//! Each line is judged by its headers alone, and as a stream of every proxy that could have sent it.

use serde_json::{Value, json};
use zonegate::credential::TokenCache;
use zonegate::gate::{Head, Judge, Permit};

use crate::dataplane_request::{CLOCK, Line, policy};
use crate::request::{self, said};

/// Proxies of every type, in each mesh with keys and in a mesh without keys.
const PROXIES: [&str; 7] = [
    "node=default.dp-1",
    "node=other.dp-1",
    "node=third.dp-1",
    "node=default.zi proxy=ingress resource=none",
    "node=default.ze proxy=egress resource=none",
    "node=other.ze proxy=egress resource=none",
    "node=third.zi proxy=ingress resource=none",
];

fn judged(fields: &Value, table: &[(&str, &str)]) {
    let policy = policy(fields);
    let mut wrong = Vec::new();
    for (line, wanted) in table {
        let cache = TokenCache::default();
        let judge = Judge::new(&policy, &cache);
        let alone = Line::of(line).alone(judge);
        let seen = said(&alone);
        if seen != *wanted {
            wrong.push(format!("{line}\n  wanted {wanted}\n  seen   {seen}"));
        }
        let again = said(&Line::of(line).alone(judge));
        if again != seen {
            wrong.push(format!("{line}\n  first  {seen}\n  then   {again}"));
        }
        let lets_in = |proxy: &&str| {
            let line = format!("{line} {proxy}");
            matches!(Line::of(&line).decided(&policy, &cache).1, Ok(Permit::Token { .. }))
        };
        let some = PROXIES.iter().find(|proxy| lets_in(proxy));
        if some.is_some() != alone.is_ok() {
            wrong.push(format!("{line}\n  alone {seen}\n  let in {some:?}"));
        }
    }
    assert!(wrong.is_empty(), "under {fields}:\n{}", wrong.join("\n"));
}

#[test]
fn a_token_passes_that_some_proxy_could_use() {
    judged(
        &json!({}),
        &[
            ("sotw", "allow dataplane"),
            ("delta kid=d", "allow dataplane"),
            ("hds kid=all by=all", "allow dataplane"),
            ("sotw by=other", "allow dataplane"),
            ("sotw by=stranger", "invalid_signature"),
            ("sotw kid=d by=stranger", "invalid_signature"),
            ("sotw kid=nobody", "unknown_kid"),
            ("sotw token=none", "missing_token"),
            ("sotw token=garbage", "malformed_token"),
            ("sotw exp=-1", "expired (id-1)"),
            ("sotw kid=d exp=-1", "expired (id-1)"),
            // Mesh default revokes this ID, and no other mesh has the key.
            ("sotw kid=d jti=revoked", "revoked (revoked)"),
            ("sotw jti=revoked", "revoked (revoked)"),
            ("sotw by=other jti=revoked", "allow dataplane"),
            ("sotw by=other jti=gone", "revoked (gone)"),
            // The key is valid for every mesh, and only one mesh revokes the ID.
            ("sotw kid=all by=all jti=revoked", "allow dataplane"),
            ("sotw kid=all by=all jti=revoked mesh=default", "revoked (revoked)"),
            ("sotw kid=all by=all mesh=third", "allow dataplane"),
            // A token of one mesh, signed by the key of another.
            ("sotw mesh=default", "allow dataplane"),
            ("sotw mesh=other", "invalid_signature (id-1)"),
            ("sotw mesh=third", "unknown_kid (id-1)"),
            ("sotw kid=d mesh=other", "unknown_kid (id-1)"),
            ("sotw kid=both by=all", "allow dataplane"),
            // If a kid is in both, the key of every mesh counts.
            ("sotw kid=both by=all mesh=default", "allow dataplane"),
            ("sotw kid=both mesh=default", "invalid_signature"),
        ],
    );
}

/// A rule for a mesh applies to a token that names no mesh, if no other mesh has the token's key.
#[test]
fn revocation_rules_of_a_mesh_hold() {
    judged(
        &json!({ "revocationRules": [{ "mesh": "default" }] }),
        &[
            ("sotw kid=d", "revoked (id-1)"),
            ("sotw", "revoked (id-1)"),
            ("sotw by=other", "allow dataplane"),
            ("sotw kid=all by=all", "allow dataplane"),
            ("sotw kid=all by=all mesh=default", "revoked (id-1)"),
        ],
    );
}

#[test]
fn a_token_of_a_kind_that_no_proxy_connects_with_does_not_pass() {
    let none = json!({ "proxies": { "dataplane": "deny" } });
    judged(&none, &[("sotw", "proxy_denied (id-1)"), ("sotw kid=d", "proxy_denied (id-1)")]);
}

/// Any client could claim to be a proxy that passes unchecked.
#[test]
fn no_client_passes_unchecked_by_headers_alone() {
    let pass = policy(&json!({ "proxies": { "dataplane": "pass" } }));
    let cache = TokenCache::default();
    for (line, wanted) in [
        ("sotw token=none", "missing_token"),
        ("sotw token=garbage", "malformed_token"),
        ("sotw by=stranger kid=zone", "invalid_signature"),
        ("sotw kid=d", "proxy_denied (id-1)"),
        ("bootstrap", "malformed_request"),
    ] {
        let judge = Judge::new(&pass, &cache);
        assert_eq!(said(&Line::of(line).alone(judge)), wanted, "{line}");
    }
}

/// Zone tokens, and bootstrap requests with and without a body.
#[test]
fn zone_tokens_and_bootstrap_bodies_are_judged() {
    let policy = request::policy(&json!({}));
    let cache = TokenCache::default();
    let token = |line: &str| request::Request::of(line).token().unwrap();
    let alone = |path: &str, content_type: &str, token: &str, body: Option<&[u8]>| {
        let head = Head {
            method: b"POST",
            path: path.as_bytes(),
            content_type: vec![content_type.as_bytes()],
            authorization: vec![token.as_bytes()],
            client_id: Vec::new(),
        };
        said(&Judge::new(&policy, &cache).headers_alone(&head, body, CLOCK))
    };
    let ads = |line: &str| alone(zonegate::gate::ADS_SOTW, "application/grpc", &token(line), None);
    assert_eq!(ads("sotw"), "allow ingress");
    assert_eq!(ads("sotw scope=egress"), "allow egress");
    assert_eq!(ads("sotw scope=cp"), "out_of_scope (id-1)");
    assert_eq!(ads("sotw zone=west"), "wrong_zone (id-1)");
    assert_eq!(ads("sotw jti=revoked"), "revoked (revoked)");
    let good = token("bootstrap");
    let body = |token: &str| {
        let body = json!({ "mesh": "default", "name": "zi", "proxyType": "ingress", "dataplaneToken": token });
        body.to_string().into_bytes()
    };
    let bootstrap = |body: Option<&[u8]>| alone("/bootstrap", "application/json", &good, body);
    assert_eq!(bootstrap(Some(&body(&good))), "allow ingress");
    assert_eq!(bootstrap(Some(&body("garbage"))), "malformed_token");
    // The control plane reads the token in the body, not the token in the header.
    assert_eq!(bootstrap(None), "malformed_request");
    assert_eq!(bootstrap(Some(&vec![b' '; 128 * 1024 + 1])), "malformed_request");
}
