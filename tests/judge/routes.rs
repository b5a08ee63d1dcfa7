//! Routes: paths, methods, content types, proxy types.

use serde_json::json;

use crate::request::judged;

#[test]
fn only_what_is_served_may_be_asked_for() {
    const DENIED: &str = "headers: path_denied";
    judged(
        &json!({}),
        &[
            ("sotw", "message: allow ingress"),
            ("delta", "message: allow ingress"),
            ("bootstrap", "body: allow ingress"),
            ("hds", "headers: proxy_denied"),
            // Kuma's servers cut off the query before they look up the path.
            ("sotw behind=?x=1", "message: allow ingress"),
            ("bootstrap behind=?x=1", "body: allow ingress"),
            ("bootstrap behind=?", "body: allow ingress"),
            ("bootstrap behind=/", DENIED),
            ("bootstrap path=//bootstrap", DENIED),
            ("bootstrap path=/Bootstrap", DENIED),
            ("bootstrap path=/%62ootstrap", DENIED),
            ("bootstrap behind=#x", DENIED),
            ("bootstrap behind=;x", DENIED),
            ("bootstrap path=/x?/bootstrap", DENIED),
            ("bootstrap path=", DENIED),
            ("bootstrap path=/", DENIED),
            ("bootstrap path=*", DENIED),
            ("sotw behind=/", DENIED),
            ("sotw behind=2", DENIED),
            ("sotw path=/envoy.service.secret.v3.SecretDiscoveryService/StreamSecrets", DENIED),
            ("sotw path=/StreamAggregatedResources", DENIED),
            ("sotw path=/kuma.mesh.v1alpha1.KDSSyncService/GlobalToZoneSync", DENIED),
            ("kds", DENIED),
        ],
    );
}

#[test]
fn every_method_but_post_is_denied() {
    const DENIED: &str = "headers: path_denied";
    for method in
        ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "post", "POST2", ""]
    {
        for kind in ["sotw", "delta", "hds", "bootstrap"] {
            judged(&json!({}), &[(&format!("{kind} method={method}"), DENIED)]);
        }
        let kds = json!({ "profile": "globalKds" });
        judged(&kds, &[(&format!("kds method={method}"), DENIED)]);
    }
}

#[test]
fn grpc_paths_need_a_grpc_content_type() {
    const DENIED: &str = "headers: path_denied";
    for (content_type, stream, hds, bootstrap) in [
        ("type=application/grpc", true, true, false),
        ("type=application/grpc+proto", true, true, false),
        ("type=application/grpc+json", false, false, false),
        ("type=application/grpc+", false, false, false),
        ("type=application/grpc;x", false, false, false),
        ("type=application/grpc-web", false, false, false),
        ("type=application/grpc-web+proto", false, false, false),
        ("type=application/grpcx", false, false, false),
        ("type=x,application/grpc", false, false, false),
        ("type=application/grpc type=application/grpc", false, false, false),
        ("type=application/json type=application/grpc", false, false, false),
        ("type=application/grpc type=application/json", false, false, false),
        ("type=application/json", false, false, true),
        ("type=application/json type=text/plain", false, false, true),
        ("type=text/plain", false, false, true),
        ("type=APPLICATION/GRPC", false, false, true),
        ("type=application/grp", false, false, true),
        ("type=", false, false, true),
        ("type=none", false, false, true),
    ] {
        let or_denied = |is_served, verdict| if is_served { verdict } else { DENIED };
        let stream = or_denied(stream, "message: allow ingress");
        judged(
            &json!({}),
            &[
                (&format!("sotw {content_type}"), stream),
                (&format!("delta {content_type}"), stream),
                (&format!("hds {content_type}"), or_denied(hds, "headers: proxy_denied")),
                (&format!("bootstrap {content_type}"), or_denied(bootstrap, "body: allow ingress")),
            ],
        );
        let kds = or_denied(hds, "headers: allow control-plane");
        let profile = json!({ "profile": "globalKds" });
        judged(&profile, &[(&format!("kds {content_type}"), kds)]);
    }
}

#[test]
fn a_proxy_passes_only_as_its_own_type() {
    const DENIED: &str = "message: proxy_denied (id-1)";
    for kind in ["sotw", "delta"] {
        for (words, wanted) in [
            ("", "message: allow ingress"),
            ("proxy=ingress scope=ingress", "message: allow ingress"),
            ("proxy=egress scope=egress", "message: allow egress"),
            ("proxy=ingress scope=ingress,egress", "message: allow ingress"),
            ("proxy=egress scope=ingress,egress", "message: allow egress"),
            ("proxy=egress scope=other,egress,cp", "message: allow egress"),
            ("proxy=ingress scope=egress", "message: out_of_scope (id-1)"),
            ("proxy=egress scope=ingress", "message: out_of_scope (id-1)"),
            // If no proxy could use the token, the gate does not wait for the message.
            ("proxy=ingress scope=", "headers: out_of_scope (id-1)"),
            ("proxy=ingress scope=cp", "headers: out_of_scope (id-1)"),
            ("proxy=ingress scope=Ingress", "headers: out_of_scope (id-1)"),
            ("proxy=ingress scope=dataplane", "headers: out_of_scope (id-1)"),
            // Types of no zone proxy.
            ("proxy=dataplane", DENIED),
            ("proxy=", DENIED),
            ("proxy=none", DENIED),
            ("proxy=Ingress", DENIED),
            ("proxy=gateway", DENIED),
            // Kuma uses the name in the resource before the node id, so the two must agree.
            ("resource=ZoneIngress", "message: allow ingress"),
            ("resource=ZoneEgress proxy=egress scope=egress", "message: allow egress"),
            ("resource=ZoneEgress scope=ingress,egress", "message: malformed_request"),
            ("resource=Dataplane", "message: malformed_request"),
            ("resource=ZoneIngress proxy=dataplane", "message: malformed_request"),
            ("resource=ZoneIngress proxy=none", "message: malformed_request"),
            ("resource=ZoneIngress proxy=gateway", "message: malformed_request"),
            ("resource=Dataplane proxy=dataplane", DENIED),
            ("resource=Dataplane proxy=none", DENIED),
            ("resource=Zone", "message: malformed_request"),
            ("resource=", "message: malformed_request"),
            // The id consists of a mesh, which may be empty, and a name. Kuma refuses any other id.
            ("node=.node", "message: allow ingress"),
            ("node=node", "message: malformed_request (id-1)"),
            ("node=default.", "message: malformed_request (id-1)"),
            // Without an id, Kuma would take the node of a later message.
            ("node=", "message: malformed_request"),
            ("message=", "message: malformed_request"),
            ("message=garbage", "message: malformed_request"),
        ] {
            judged(&json!({}), &[(&format!("{kind} {words}"), wanted)]);
        }
    }
    judged(
        &json!({}),
        &[
            ("sotw message=sotw", "message: allow ingress"),
            ("delta message=delta", "message: allow ingress"),
            ("sotw message=delta", "message: malformed_request"),
            ("delta message=sotw", "message: malformed_request"),
        ],
    );
}

#[test]
fn a_proxy_type_that_is_denied_is_denied_as_early_as_it_can_be() {
    judged(
        &json!({ "proxies": { "egress": "deny" } }),
        &[
            ("sotw", "message: allow ingress"),
            ("sotw scope=egress proxy=egress", "headers: proxy_denied (id-1)"),
            ("sotw scope=egress proxy=ingress", "headers: proxy_denied (id-1)"),
            ("sotw scope=ingress,egress proxy=egress", "message: proxy_denied (id-1)"),
            ("sotw scope=ingress,egress proxy=ingress", "message: allow ingress"),
            ("bootstrap scope=egress proxy=egress", "body: proxy_denied (id-1)"),
            ("bootstrap", "body: allow ingress"),
        ],
    );
    judged(
        &json!({ "proxies": { "ingress": "deny" } }),
        &[
            ("sotw", "headers: proxy_denied (id-1)"),
            ("sotw scope=egress proxy=egress", "message: allow egress"),
            ("sotw scope=ingress,egress proxy=egress", "message: allow egress"),
            ("sotw scope=ingress,egress proxy=ingress", "message: proxy_denied (id-1)"),
            ("bootstrap", "body: proxy_denied (id-1)"),
            ("bootstrap scope=egress proxy=egress", "body: allow egress"),
        ],
    );
    judged(
        &json!({ "proxies": { "ingress": "deny", "egress": "deny" } }),
        &[
            ("sotw scope=ingress,egress", "headers: proxy_denied (id-1)"),
            ("sotw scope=", "headers: out_of_scope (id-1)"),
            ("bootstrap scope=ingress,egress proxy=egress", "body: proxy_denied (id-1)"),
        ],
    );
}

#[test]
fn only_sidecars_pass_by_the_switch_for_sidecars() {
    judged(
        &json!({ "proxies": { "dataplane": "pass" } }),
        &[
            // Only the control plane checks the token of a sidecar.
            ("sotw proxy=dataplane", "message: unchecked dataplane"),
            ("sotw proxy=none", "message: unchecked dataplane"),
            ("sotw proxy= token=none", "message: unchecked dataplane"),
            ("delta proxy=dataplane token=garbage", "message: unchecked dataplane"),
            ("sotw proxy=dataplane by=stranger", "message: unchecked dataplane"),
            ("sotw proxy=dataplane exp=-60 zone=west", "message: unchecked dataplane"),
            ("sotw proxy=dataplane resource=Dataplane", "message: unchecked dataplane"),
            ("sotw proxy=dataplane resource=ZoneIngress", "message: malformed_request"),
            ("hds token=none", "headers: unchecked dataplane"),
            ("hds", "headers: unchecked dataplane"),
            ("hds method=GET", "headers: path_denied"),
            ("bootstrap proxy=dataplane token=garbage", "body: unchecked dataplane"),
            ("bootstrap proxy=none token=none", "body: unchecked dataplane"),
            // All other proxies also wait for their first message, and are judged then.
            ("sotw", "message: allow ingress"),
            ("sotw token=none", "message: missing_token"),
            ("sotw token=garbage", "message: malformed_token"),
            ("sotw by=stranger", "message: invalid_signature"),
            ("sotw zone=west", "message: wrong_zone (id-1)"),
            ("sotw scope=cp", "message: out_of_scope (id-1)"),
            ("sotw jti=revoked", "message: revoked (revoked)"),
            ("sotw exp=0", "message: expired (id-1)"),
            ("sotw proxy=gateway", "message: proxy_denied (id-1)"),
            ("sotw proxy=gateway token=none", "message: missing_token"),
            ("bootstrap proxy=gateway", "body: proxy_denied (id-1)"),
            ("bootstrap", "body: allow ingress"),
            ("bootstrap zone=west", "body: wrong_zone (id-1)"),
        ],
    );
}

#[test]
fn bootstrap_requests_are_verified_passed_or_denied() {
    judged(
        &json!({}),
        &[
            ("bootstrap", "body: allow ingress"),
            ("bootstrap scope=egress proxy=egress", "body: allow egress"),
            ("bootstrap scope=egress", "body: out_of_scope (id-1)"),
            ("bootstrap scope=", "body: out_of_scope (id-1)"),
            ("bootstrap proxy=dataplane", "body: proxy_denied (id-1)"),
            ("bootstrap proxy=none", "body: proxy_denied (id-1)"),
            ("bootstrap proxy=gateway", "body: proxy_denied (id-1)"),
            ("bootstrap token=none", "body: missing_token"),
            ("bootstrap token=", "body: missing_token"),
            ("bootstrap token=garbage", "body: malformed_token"),
            ("bootstrap token=bearer", "body: malformed_token"),
            // kuma-dp would have trimmed this token.
            ("bootstrap token=spaced", "body: malformed_token"),
            ("bootstrap by=stranger", "body: invalid_signature"),
            ("bootstrap kid=3", "body: unknown_kid"),
            ("bootstrap zone=west", "body: wrong_zone (id-1)"),
            ("bootstrap jti=revoked", "body: revoked (revoked)"),
            ("bootstrap exp=none", "body: missing_expiration (id-1)"),
            ("bootstrap exp=0", "body: expired (id-1)"),
            ("bootstrap later=60", "body: expired (id-1)"),
            ("bootstrap nbf=1", "body: not_yet_valid (id-1)"),
            ("bootstrap at=none", "body: clock_unavailable (id-1)"),
            ("bootstrap body=", "body: malformed_request"),
            ("bootstrap body=[]", "body: malformed_request"),
            ("bootstrap body={\"proxyType\":1}", "body: malformed_request"),
            ("bootstrap body={}", "body: proxy_denied"),
        ],
    );
    judged(
        &json!({ "bootstrap": "pass" }),
        &[
            ("bootstrap", "headers: unchecked bootstrap"),
            ("bootstrap token=garbage body=garbage", "headers: unchecked bootstrap"),
            ("bootstrap method=GET", "headers: path_denied"),
            ("bootstrap type=application/grpc", "headers: path_denied"),
            ("sotw token=none", "headers: missing_token"),
        ],
    );
    judged(
        &json!({ "bootstrap": "deny" }),
        &[("bootstrap", "headers: path_denied"), ("sotw", "message: allow ingress")],
    );
}
