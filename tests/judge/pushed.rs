//! A policy that is pushed while a stream is held: everything except the signature is judged again.

use serde_json::json;

use crate::request::judged_later;

#[test]
fn a_held_stream_is_judged_by_the_policy_of_its_message() {
    for (later, sotw, bootstrap) in [
        (json!({}), "allow ingress", "allow ingress"),
        (json!({ "revocations": ["id-1"] }), "revoked (id-1)", "revoked (id-1)"),
        (json!({ "zone": "west" }), "wrong_zone (id-1)", "wrong_zone (id-1)"),
        (json!({ "publicKeys": "KID 2" }), "unknown_kid (id-1)", "unknown_kid"),
        (json!({ "publicKeys": "STRANGER" }), "invalid_signature (id-1)", "invalid_signature"),
        (json!({ "proxies": { "ingress": "deny" } }), "proxy_denied (id-1)", "proxy_denied (id-1)"),
        (json!({ "proxies": { "egress": "deny" } }), "allow ingress", "allow ingress"),
        (json!({ "proxies": { "dataplane": "pass" } }), "allow ingress", "allow ingress"),
        (json!({ "bootstrap": "deny" }), "allow ingress", "path_denied"),
        (json!({ "bootstrap": "pass" }), "allow ingress", "unchecked bootstrap"),
        (json!({ "profile": "globalKds" }), "path_denied", "path_denied"),
        (json!({ "mode": "shadow" }), "allow ingress", "allow ingress"),
    ] {
        judged_later(
            &json!({}),
            &later,
            &[
                ("sotw", &format!("message: {sotw}")),
                ("delta", &format!("message: {sotw}")),
                ("bootstrap", &format!("body: {bootstrap}")),
            ],
        );
    }
}

/// A held sidecar whose switch changes from `pass` to `deny`, and the other way round.
#[test]
fn a_sidecar_passes_by_the_switch_of_its_message() {
    let (pass, deny) = (json!({ "proxies": { "dataplane": "pass" } }), json!({}));
    judged_later(
        &pass,
        &deny,
        &[
            ("sotw proxy=dataplane token=garbage", "message: proxy_denied"),
            ("sotw proxy=dataplane", "message: proxy_denied (id-1)"),
            ("sotw token=garbage", "message: malformed_token"),
            ("sotw", "message: allow ingress"),
            ("bootstrap proxy=dataplane", "body: proxy_denied (id-1)"),
        ],
    );
    judged_later(
        &deny,
        &pass,
        &[
            ("sotw proxy=dataplane", "message: unchecked dataplane"),
            ("sotw proxy=dataplane token=garbage", "headers: malformed_token"),
            ("bootstrap proxy=dataplane token=garbage", "body: unchecked dataplane"),
        ],
    );
}

/// A fault of the token is reported before the denied proxy type.
#[test]
fn a_proxy_whose_type_is_denied_meanwhile_hears_of_its_token_first() {
    let denied = |fields: &str| {
        let mut later: serde_json::Value = serde_json::from_str(fields).unwrap();
        later["proxies"] = json!({ "ingress": "deny" });
        later
    };
    let line = "sotw exp=60";
    for (later, wanted) in [
        (denied("{}"), "message: proxy_denied (id-1)"),
        (denied(r#"{"revocations": ["id-1"]}"#), "message: revoked (id-1)"),
        (denied(r#"{"zone": "west"}"#), "message: wrong_zone (id-1)"),
    ] {
        judged_later(&json!({}), &later, &[(line, wanted)]);
    }
    judged_later(&json!({}), &denied("{}"), &[("sotw exp=60 later=60", "message: expired (id-1)")]);
}

#[test]
fn a_token_that_had_no_exp_needs_one_where_that_is_pushed() {
    let without = json!({ "requireExpiration": false });
    judged_later(
        &without,
        &json!({}),
        &[
            ("sotw exp=none", "message: missing_expiration (id-1)"),
            ("sotw exp=60 later=60", "message: expired (id-1)"),
        ],
    );
    judged_later(
        &json!({}),
        &json!({ "leewaySeconds": 5 }),
        &[
            ("sotw exp=60 later=64.999", "message: allow ingress"),
            ("sotw exp=60 at=60 later=64", "headers: expired (id-1)"),
        ],
    );
}
