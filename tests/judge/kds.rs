//! Routes in front of a global control plane.

use serde_json::json;
use zonegate::gate::KDS;

use crate::request::judged;

#[test]
fn a_zone_control_plane_is_the_zone_of_its_token() {
    judged(
        &json!({ "profile": "globalKds" }),
        &[
            ("kds", "headers: allow control-plane"),
            ("kds path=/kuma.mesh.v1alpha1.GlobalKDSService/Other", "headers: path_denied"),
            ("kds behind=?", "headers: path_denied"),
            ("kds behind=?x=1", "headers: path_denied"),
            ("kds behind=/", "headers: path_denied"),
            ("kds path=/kuma.mesh.v1alpha1.GlobalKDSService/healthCheck", "headers: path_denied"),
            ("kds behind=2", "headers: path_denied"),
            ("sotw", "headers: path_denied"),
            ("bootstrap", "headers: path_denied"),
            // The zone that the control plane claims must be the token's zone.
            ("kds client=west", "headers: wrong_zone (id-1)"),
            ("kds client=west zone=west", "headers: allow control-plane"),
            ("kds client=East", "headers: wrong_zone (id-1)"),
            ("kds client=eas", "headers: wrong_zone (id-1)"),
            ("kds zone=", "headers: wrong_zone (id-1)"),
            ("kds zone= client=", "headers: malformed_request (id-1)"),
            ("kds client=", "headers: malformed_request (id-1)"),
            ("kds client=none", "headers: malformed_request (id-1)"),
            ("kds client=none zone=", "headers: malformed_request (id-1)"),
            ("kds client=east client=east", "headers: malformed_request (id-1)"),
            ("kds client=east client=west", "headers: malformed_request (id-1)"),
            // The client-id is checked after the token, and before the scope.
            ("kds client=none exp=0", "headers: expired (id-1)"),
            ("kds client=none jti=revoked", "headers: revoked (revoked)"),
            ("kds client=none token=none", "headers: missing_token"),
            ("kds client=none scope=ingress", "headers: malformed_request (id-1)"),
            ("kds client=west scope=ingress", "headers: wrong_zone (id-1)"),
            ("kds scope=ingress", "headers: out_of_scope (id-1)"),
            ("kds scope=ingress,egress", "headers: out_of_scope (id-1)"),
            ("kds scope=", "headers: out_of_scope (id-1)"),
            ("kds scope=ingress,cp", "headers: allow control-plane"),
            ("kds token=none", "headers: missing_token"),
            ("kds token=", "headers: missing_token"),
            ("kds token=garbage", "headers: malformed_token"),
            ("kds by=stranger", "headers: invalid_signature"),
            ("kds exp=0", "headers: expired (id-1)"),
            ("kds jti=revoked", "headers: revoked (revoked)"),
            ("kds at=none", "headers: clock_unavailable (id-1)"),
        ],
    );
}

#[test]
fn every_kds_method_is_served_with_a_valid_token() {
    for path in KDS {
        judged(
            &json!({ "profile": "globalKds" }),
            &[
                (&format!("kds path={path}"), "headers: allow control-plane"),
                (&format!("kds path={path} token=none"), "headers: missing_token"),
                (&format!("kds path={path}?x=1"), "headers: path_denied"),
            ],
        );
        judged(&json!({}), &[(&format!("kds path={path}"), "headers: path_denied")]);
    }
}
