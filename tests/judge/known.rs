//! Data that goes along with a verdict: the token, its identity, and the kid of an unverified token.

use std::sync::Arc;

use serde_json::json;
use zonegate::credential::{Token, TokenCache};
use zonegate::gate::{Claimed, Credential, Held, Judge, Permit, Verdict};

use crate::dataplane_request::{CLOCK, Line, policy};
use crate::request::{KEY, said};

/// The credential of this line while it waits for its first message.
fn held(line: &str) -> Credential {
    let (policy, cache) = (policy(&json!({})), TokenCache::default());
    match Line::of(line).headers(Judge::new(&policy, &cache)) {
        Verdict::Hold(Held::FirstMessage { credential: Ok(credential), .. }) => credential,
        other => panic!("{line}: {other:?}"),
    }
}

fn verified(line: &str) -> Arc<Token> {
    held(line).token().cloned().unwrap()
}

/// The kid helps to find the proxy, and proves nothing. A verified token has its kid in the identity.
#[test]
fn a_refusal_names_the_kid_of_a_token_that_was_not_verified() {
    let policy = policy(&json!({}));
    for (line, kid) in [
        ("sotw kid=nobody", Some("nobody")),
        ("sotw kid=d by=stranger", Some("d")),
        ("sotw by=stranger", Some("1")),
        ("sotw node=third.dp-1", Some("1")),
        ("bootstrap by=stranger", Some("1")),
        ("sotw kid=d exp=-1", None),
        ("sotw exp=-1", None),
        ("sotw token=garbage", None),
        ("sotw token=none", None),
    ] {
        let (_, judged) = Line::of(line).decided(&policy, &TokenCache::default());
        assert_eq!(judged.unwrap_err().unverified_kid.as_deref(), kid, "{line}");
    }
}

/// A token that only one key can have signed is verified on the headers. Its text is not kept.
#[test]
fn the_text_of_a_token_is_kept_until_its_key_is_known() {
    let text = Line::of("sotw").token().unwrap();
    assert_eq!(held("sotw").bytes(), text.len());
    assert_eq!(held("sotw kid=d").bytes(), 0);
}

/// If the token names the mesh, the identity is shared with the token, and an open stream needs no more memory.
#[test]
fn the_identity_of_a_permit_has_the_mesh_of_the_proxy() {
    let policy = policy(&json!({}));
    for (line, is_shared) in [("sotw mesh=default", true), ("sotw", false)] {
        let (_, judged) = Line::of(line).decided(&policy, &TokenCache::default());
        let Ok(Permit::Token { token, identity, .. }) = judged else { panic!("{judged:?}") };
        assert_eq!(*identity.mesh, *"default", "{line}");
        assert_eq!(*token.identity.mesh, *if is_shared { "default" } else { "" }, "{line}");
        assert_eq!(Arc::ptr_eq(&token.identity, &identity), is_shared, "{line}");
    }
}

/// A stream in shadow mode that never named its proxy: the claims of the token must be enough.
#[test]
fn an_unnamed_proxy_needs_a_token_that_names_its_issuer() {
    let policy = policy(&json!({ "proxies": { "egress": "deny", "dataplane": "dpToken" } }));
    let again = |token: &Arc<Token>| said(&policy.judge_again(token, &Claimed::SomeProxy, CLOCK));
    for (line, wanted) in [
        ("sotw kid=d mesh=default", "allow dataplane"),
        ("sotw kid=d", "malformed_request (id-1)"),
        ("sotw kid=all by=all", "malformed_request (id-1)"),
    ] {
        assert_eq!(again(&verified(line)), wanted, "{line}");
    }
}

/// The key was removed after the stream began, from every mesh or from the mesh that the token names.
#[test]
fn an_unnamed_proxy_needs_a_key_that_is_still_configured() {
    let token = verified("sotw kid=d mesh=default");
    let key = |mesh: &str| json!({ "mesh": mesh, "kid": "d", "key": KEY.public_key_pem() });
    for (keys, wanted) in [
        (json!([key("default")]), "invalid_signature (id-1)"),
        (json!([key("other")]), "unknown_kid (id-1)"),
    ] {
        let policy = policy(&json!({ "dpToken": { "publicKeys": keys } }));
        let judged = policy.judge_again(&token, &Claimed::SomeProxy, CLOCK);
        assert_eq!(said(&judged), wanted);
    }
}
