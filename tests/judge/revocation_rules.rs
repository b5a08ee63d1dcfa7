//! Rules that revoke tokens by their claims. `src/config/tests.rs` tests the errors of rules.

use serde_json::{Value, json};

use crate::dataplane_request;
use crate::request::judged;

/// The time in these tables: 2027-01-15T08:00:00Z.
const NOW: &str = "2027-01-15T08:00:00Z";
const IN_A_MINUTE: &str = "2027-01-15T08:01:00Z";

const LET_IN: &str = "message: allow ingress";
const REVOKED: &str = "headers: revoked (id-1)";

fn rule(rule: Value) -> Value {
    json!({ "revocationRules": [rule] })
}

#[test]
fn a_rule_revokes_the_tokens_of_a_zone() {
    judged(
        &rule(json!({ "zone": "east", "note": "a laptop was lost" })),
        &[("sotw", REVOKED), ("delta", REVOKED), ("bootstrap", "body: revoked (id-1)")],
    );
    judged(&rule(json!({ "zone": "east" })), &[("sotw zone=", LET_IN)]);
    // Revocation is checked before the token's zone.
    judged(&rule(json!({ "zone": "west" })), &[("sotw", LET_IN), ("sotw zone=west", REVOKED)]);
    judged(&rule(json!({ "zone": "East" })), &[("sotw", LET_IN)]);
}

#[test]
fn a_rule_revokes_the_tokens_of_a_kid() {
    judged(&rule(json!({ "kid": "1" })), &[("sotw", REVOKED), ("sotw kid=2", LET_IN)]);
}

/// A token that does not say when it was issued counts as issued before.
#[test]
fn a_rule_revokes_tokens_that_were_issued_before_a_time() {
    judged(
        &rule(json!({ "issuedBefore": NOW })),
        &[
            ("sotw iat=-1", REVOKED),
            ("sotw iat=0", LET_IN),
            ("sotw iat=60", LET_IN),
            ("sotw", REVOKED),
        ],
    );
}

#[test]
fn all_that_a_rule_says_must_hold() {
    judged(
        &rule(json!({ "zone": "east", "kid": "1", "issuedBefore": NOW })),
        &[
            ("sotw iat=-1", REVOKED),
            ("sotw iat=-1 kid=2", LET_IN),
            ("sotw iat=-1 zone=", LET_IN),
            ("sotw iat=1", LET_IN),
        ],
    );
}

#[test]
fn any_rule_is_enough_and_ids_count_as_well() {
    judged(
        &json!({ "revocationRules": [{ "zone": "west" }, { "kid": "2" }] }),
        &[
            ("sotw", LET_IN),
            ("sotw kid=2", REVOKED),
            ("sotw jti=revoked", "headers: revoked (revoked)"),
        ],
    );
}

#[test]
fn a_rule_ends_when_it_says_so() {
    judged(
        &rule(json!({ "kid": "1", "until": IN_A_MINUTE })),
        &[
            ("sotw exp=600", REVOKED),
            ("sotw exp=600 at=59", REVOKED),
            ("sotw exp=600 at=60", LET_IN),
            // The rule ended before the first message came.
            ("sotw kid=2 exp=600 at=60", LET_IN),
        ],
    );
}

#[test]
fn rules_of_meshes_and_names_are_about_dataplane_tokens() {
    const LET_IN: &str = "message: allow dataplane";
    let judged = |one, table| dataplane_request::judged(&rule(one), table);
    judged(
        json!({ "mesh": "default" }),
        &[
            ("sotw", "message: revoked (id-1)"),
            // The token names no mesh. The proxy that uses it is in this mesh.
            ("sotw kid=d", "message: revoked (id-1)"),
            ("sotw kid=d mesh=default", "headers: revoked (id-1)"),
            ("hds kid=d", "message: revoked (id-1)"),
            ("sotw by=other node=other.dp-1", LET_IN),
            ("sotw by=all kid=all node=default.dp-1", "message: revoked (id-1)"),
            ("sotw by=all kid=all node=other.dp-1", LET_IN),
        ],
    );
    judged(
        json!({ "name": "dp-1" }),
        &[
            ("sotw name=dp-1", "message: revoked (id-1)"),
            // Only the claims of the token count.
            ("sotw", LET_IN),
            ("sotw name=dp-2 node=default.dp-2", LET_IN),
        ],
    );
    judged(
        json!({ "mesh": "other", "name": "dp-1" }),
        &[
            ("sotw name=dp-1", LET_IN),
            ("sotw name=dp-1 by=other node=other.dp-1", "message: revoked (id-1)"),
        ],
    );
    judged(json!({ "zone": "default" }), &[("sotw", LET_IN)]);
}
