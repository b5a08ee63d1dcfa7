//! Dataplane tokens: which keys and revocations apply to them, and for which proxies they are valid.

use serde_json::json;
use zonegate::credential::TokenCache;

use crate::dataplane_request::{Line, judged, judged_after, policy};

const LET_IN: &str = "message: allow dataplane";

#[test]
fn a_token_that_no_mesh_accepts_is_refused_on_the_headers() {
    judged(
        &json!({}),
        &[
            ("sotw token=none", "headers: missing_token"),
            ("sotw token=garbage", "headers: malformed_token"),
            ("sotw kid=nobody", "headers: unknown_kid"),
            // Only one mesh has this kid.
            ("sotw kid=d", LET_IN),
            ("sotw kid=d by=stranger", "headers: invalid_signature"),
            ("sotw kid=d exp=-1", "headers: expired (id-1)"),
            ("sotw kid=d mesh=default exp=-1", "headers: expired (id-1)"),
            ("sotw kid=d mesh=default jti=revoked", "headers: revoked (revoked)"),
            ("sotw kid=all by=all exp=-1", "headers: expired (id-1)"),
            ("delta kid=d by=stranger", "headers: invalid_signature"),
            ("hds kid=d by=stranger", "headers: invalid_signature"),
            ("hds kid=zone by=zone", "headers: out_of_scope (id-1)"),
        ],
    );
}

/// The first message decides between the two keys.
#[test]
fn a_kid_of_two_meshes_waits_for_the_first_message() {
    judged(
        &json!({}),
        &[
            ("sotw", LET_IN),
            ("sotw by=stranger", "message: invalid_signature"),
            ("sotw exp=-1", "message: expired (id-1)"),
            ("sotw jti=revoked", "message: revoked (revoked)"),
            ("sotw by=other", "message: invalid_signature"),
            ("sotw by=other node=other.dp-1", LET_IN),
            ("sotw node=other.dp-1", "message: invalid_signature"),
            ("sotw mesh=default node=other.dp-1", "message: invalid_signature"),
            ("sotw node=third.dp-1", "message: unknown_kid"),
            ("sotw node=dp-1", "message: malformed_request"),
            ("sotw kid=d node=dp-1", "message: malformed_request (id-1)"),
            ("sotw node= by=stranger", "message: malformed_request"),
            ("delta by=other node=other.dp-1", LET_IN),
        ],
    );
}

/// A verified token that has become invalid is not held until the first message.
#[test]
fn a_token_that_was_verified_before_is_judged_on_the_headers() {
    let before = "sotw mesh=default";
    judged_after(
        before,
        &json!({ "dpToken": { "revocations": { "default": "id-1" } } }),
        &[
            ("sotw mesh=default", "headers: revoked (id-1)"),
            ("hds mesh=default", "headers: revoked (id-1)"),
            ("sotw mesh=default by=stranger", "message: invalid_signature"),
        ],
    );
    judged_after(
        before,
        &json!({}),
        &[
            ("sotw mesh=default", LET_IN),
            ("sotw mesh=default node=other.dp-1", "message: invalid_signature (id-1)"),
            ("sotw mesh=default node=third.dp-1", "message: unknown_kid (id-1)"),
        ],
    );
}

#[test]
fn the_resource_of_a_stranger_is_not_remembered() {
    let (policy, cache) = (policy(&json!({})), TokenCache::default());
    for (line, remembered) in [
        ("sotw by=stranger", 0),
        // Only the first message shows which key signed the token.
        ("sotw", 0),
        ("sotw", 1),
        ("sotw kid=d jti=id-2 node=default.dp-2", 2),
        ("sotw kid=d jti=id-2 node=default.dp-2", 2),
    ] {
        let _ = Line::of(line).decided(&policy, &cache);
        assert_eq!(cache.resources().count(), remembered, "{line}");
    }
}

#[test]
fn keys_are_those_of_the_proxys_mesh_and_those_of_every_mesh() {
    judged(
        &json!({}),
        &[
            ("sotw kid=d node=other.dp-1", "message: unknown_kid (id-1)"),
            ("sotw kid=o by=other", "message: unknown_kid (id-1)"),
            ("sotw kid=o by=other node=other.dp-1", LET_IN),
            ("sotw kid=all by=all", LET_IN),
            ("sotw kid=all by=all node=third.dp-1", LET_IN),
            // If a kid is in every mesh and in this one, the key for every mesh counts.
            ("sotw kid=both by=all", LET_IN),
            ("sotw kid=both by=default", "message: invalid_signature"),
            ("sotw kid=both by=all node=other.dp-1", LET_IN),
        ],
    );
}

#[test]
fn a_revocation_holds_in_its_mesh() {
    judged(
        &json!({}),
        &[
            ("sotw kid=all by=all jti=revoked", "message: revoked (revoked)"),
            ("sotw kid=all by=all jti=revoked node=other.dp-1", LET_IN),
            ("sotw kid=all by=all jti=gone node=other.dp-1", "message: revoked (gone)"),
            ("sotw kid=all by=all jti=gone", LET_IN),
            ("sotw kid=all by=all jti=gone node=third.dp-1", LET_IN),
            ("sotw kid=all by=all mesh=other jti=revoked node=other.dp-1", LET_IN),
            ("hds jti=revoked", "message: revoked (revoked)"),
            ("bootstrap jti=revoked", "body: revoked (revoked)"),
        ],
    );
    judged(
        // This list is for zone tokens, not for dataplane tokens.
        &json!({ "revocations": "id-1" }),
        &[("sotw", LET_IN)],
    );
}

#[test]
fn a_token_is_good_for_the_mesh_and_the_name_that_it_names() {
    judged(
        &json!({}),
        &[
            ("sotw mesh=default", LET_IN),
            ("sotw mesh=other", "message: wrong_mesh (id-1)"),
            ("sotw kid=d mesh=other", "message: wrong_mesh (id-1)"),
            ("sotw mesh=Default", "message: wrong_mesh (id-1)"),
            ("sotw kid=all by=all mesh=other", "message: wrong_mesh (id-1)"),
            ("sotw name=dp-1", LET_IN),
            ("sotw name=dp-2", "message: wrong_proxy (id-1)"),
            ("sotw name=DP-1", "message: wrong_proxy (id-1)"),
            ("sotw name=dp", "message: wrong_proxy (id-1)"),
            // The name is checked first.
            ("sotw name=dp-2 mesh=other", "message: wrong_proxy (id-1)"),
            ("sotw name=dp.1 node=default.dp.1", LET_IN),
            // The resource and the node id must name the same proxy.
            ("sotw called=dp-2", "message: malformed_request"),
            ("sotw name=dp-2 called=dp-2", "message: malformed_request"),
            ("sotw name=dp-1 resource=none", LET_IN),
            ("sotw name=dp-2 resource=none", "message: wrong_proxy (id-1)"),
            ("sotw mesh=other resource=none", "message: wrong_mesh (id-1)"),
        ],
    );
}

#[test]
fn a_token_is_good_for_the_tags_that_it_names() {
    judged(
        &json!({}),
        &[
            ("sotw tags=kuma.io/service:web", LET_IN),
            ("sotw tags=kuma.io/service:api", "message: wrong_proxy (id-1)"),
            ("sotw tags=kuma.io/service:api|web", LET_IN),
            ("sotw tags=kuma.io/service:Web", "message: wrong_proxy (id-1)"),
            ("sotw tags=team:a", "message: wrong_proxy (id-1)"),
            // A value that no tag has.
            ("sotw tags=team:", "message: wrong_proxy (id-1)"),
            ("sotw tags=a:1 has=a:1,a:2", "message: wrong_proxy (id-1)"),
            ("sotw tags=a:1|2 has=a:1,a:2", LET_IN),
            ("sotw tags=a:1,b:2 has=a:1,b:2", LET_IN),
            ("sotw tags=a:1,b:3 has=a:1,b:2", "message: wrong_proxy (id-1)"),
            ("sotw tags=a:1 has= gateway=a:1", LET_IN),
            ("sotw tags=a:1 has=a:1 gateway=a:2", "message: wrong_proxy (id-1)"),
            ("sotw tags=a:1 has=", "message: wrong_proxy (id-1)"),
            // Only the control plane knows the tags.
            ("sotw tags=kuma.io/service:api resource=none", LET_IN),
        ],
    );
}

#[test]
fn a_token_is_good_for_the_workload_that_it_names() {
    let with_and_without = [
        ("sotw workload=w label=w", LET_IN),
        ("sotw workload=w label=v", "message: wrong_proxy (id-1)"),
        ("sotw workload=w label=", "message: wrong_proxy (id-1)"),
        ("sotw workload=w", "message: wrong_proxy (id-1)"),
        ("sotw", LET_IN),
        // Only the control plane knows the workload.
        ("sotw workload=w resource=none", LET_IN),
    ];
    judged(&json!({}), &with_and_without);
    judged(&json!({}), &[("sotw label=w", LET_IN), ("sotw label=", LET_IN)]);
    let required = json!({ "dpToken": { "requireWorkload": "whenLabelled" } });
    judged(&required, &with_and_without);
    judged(
        &required,
        &[
            ("sotw label=w", "message: wrong_proxy (id-1)"),
            ("sotw label=", "message: wrong_proxy (id-1)"),
        ],
    );
}

/// Only the node id of the message counts.
#[test]
fn health_discovery_is_judged_by_the_node_id() {
    const HDS: &str = "message: allow dataplane";
    judged(
        &json!({}),
        &[
            ("hds", HDS),
            ("hds name=dp-1 mesh=default", HDS),
            ("hds name=dp-2", "message: wrong_proxy (id-1)"),
            ("hds name=dp-2 called=dp-2", "message: wrong_proxy (id-1)"),
            ("hds mesh=other", "message: wrong_mesh (id-1)"),
            ("hds node=other.dp-1", "message: invalid_signature"),
            ("hds node=dp-1", "message: malformed_request"),
            ("hds node=", "message: malformed_request"),
            ("hds tags=team:a workload=w", HDS),
            ("hds proxy=ingress", HDS),
        ],
    );
}

#[test]
fn a_bootstrap_request_is_judged_as_the_stream_would_be() {
    judged(
        &json!({}),
        &[
            ("bootstrap", "body: allow dataplane"),
            ("bootstrap token=none", "body: missing_token"),
            ("bootstrap by=stranger", "body: invalid_signature"),
            ("bootstrap node=other.dp-1", "body: invalid_signature"),
            ("bootstrap name=dp-2", "body: wrong_proxy (id-1)"),
            ("bootstrap mesh=other", "body: wrong_mesh (id-1)"),
            ("bootstrap tags=kuma.io/service:api", "body: wrong_proxy (id-1)"),
            ("bootstrap tags=kuma.io/service:api resource=none", "body: allow dataplane"),
            ("bootstrap workload=w", "body: wrong_proxy (id-1)"),
            ("bootstrap called=dp-2", "body: malformed_request"),
            ("bootstrap proxy=ingress", "body: malformed_request"),
            ("bootstrap node=default.", "body: malformed_request"),
            ("bootstrap exp=-1", "body: expired (id-1)"),
        ],
    );
}

#[test]
fn a_token_is_good_for_proxies_of_its_kind_only() {
    judged(
        &json!({}),
        &[
            // A zone token without a scope.
            ("sotw kid=zone by=zone", "headers: out_of_scope (id-1)"),
            ("sotw kid=d proxy=ingress resource=none", "message: unknown_kid (id-1)"),
            ("sotw proxy=ingress", "message: malformed_request"),
            ("sotw proxy=gateway resource=none", "message: proxy_denied"),
        ],
    );
}
