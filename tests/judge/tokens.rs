//! Which tokens are valid: the one header that carries them, their dates, their zones.

use serde_json::json;

use crate::request::judged;

#[test]
fn there_is_one_token_and_it_is_signed() {
    judged(
        &json!({}),
        &[
            ("sotw token=none", "headers: missing_token"),
            ("sotw token=", "headers: missing_token"),
            ("sotw token=twice", "headers: multiple_tokens"),
            ("sotw token=joined", "headers: multiple_tokens"),
            ("sotw token=,", "headers: multiple_tokens"),
            ("sotw token=garbage", "headers: malformed_token"),
            ("sotw token=..", "headers: malformed_token"),
            ("sotw token=bearer", "headers: malformed_token"),
            ("sotw token=spaced", "headers: malformed_token"),
            ("sotw by=stranger", "headers: invalid_signature"),
            ("sotw kid=2", "message: allow ingress"),
            ("sotw kid=3", "headers: unknown_kid"),
            ("sotw kid=", "headers: unknown_kid"),
            ("sotw kid=3 by=stranger", "headers: unknown_kid"),
        ],
    );
}

#[test]
fn a_token_is_good_in_its_zone_and_as_long_as_it_is_not_revoked() {
    judged(
        &json!({}),
        &[
            ("sotw zone=east", "message: allow ingress"),
            // A token without a zone is valid in any zone.
            ("sotw zone=", "message: allow ingress"),
            ("sotw zone=west", "headers: wrong_zone (id-1)"),
            ("sotw zone=East", "headers: wrong_zone (id-1)"),
            ("sotw zone=eas", "headers: wrong_zone (id-1)"),
            ("sotw zone=easter", "headers: wrong_zone (id-1)"),
            ("sotw jti=revoked", "headers: revoked (revoked)"),
            ("sotw jti=Revoked", "message: allow ingress"),
            ("sotw jti=", "message: allow ingress"),
        ],
    );
    judged(
        &json!({ "revocations": "a,,b" }),
        &[
            ("sotw jti=a", "headers: revoked (a)"),
            ("sotw jti=b", "headers: revoked (b)"),
            ("sotw jti=", "headers: revoked ()"),
            ("sotw jti=ab", "message: allow ingress"),
        ],
    );
}

#[test]
fn a_token_is_good_from_nbf_until_exp() {
    judged(
        &json!({}),
        &[
            ("sotw exp=60 at=59.999", "message: allow ingress"),
            ("sotw exp=60 at=60", "headers: expired (id-1)"),
            ("sotw exp=60 at=61", "headers: expired (id-1)"),
            ("sotw exp=60 later=59.999", "message: allow ingress"),
            ("sotw exp=60 later=60", "message: expired (id-1)"),
            ("sotw exp=0", "headers: expired (id-1)"),
            ("sotw nbf=60 exp=90 at=59.999", "headers: not_yet_valid (id-1)"),
            ("sotw nbf=60 exp=90 at=60", "message: allow ingress"),
            // The clock is set back while the stream is held.
            ("sotw nbf=0 later=-1", "message: not_yet_valid (id-1)"),
            ("sotw nbf=30 exp=20 at=25", "headers: expired (id-1)"),
            ("sotw exp=none", "headers: missing_expiration (id-1)"),
            ("sotw at=none", "headers: clock_unavailable (id-1)"),
            ("sotw later=none", "message: clock_unavailable (id-1)"),
            ("sotw exp=none at=none", "headers: missing_expiration (id-1)"),
        ],
    );
    judged(
        &json!({ "requireExpiration": false }),
        &[
            ("sotw exp=none", "message: allow ingress"),
            ("sotw exp=none nbf=1", "headers: not_yet_valid (id-1)"),
            ("sotw exp=none jti=revoked", "headers: revoked (revoked)"),
            // The token has no dates, but a host without time is not trusted.
            ("sotw exp=none at=none", "headers: clock_unavailable (id-1)"),
            ("sotw exp=0", "headers: expired (id-1)"),
        ],
    );
}

#[test]
fn leeway_is_given_on_either_side() {
    judged(
        &json!({ "leewaySeconds": 5 }),
        &[
            ("sotw exp=60 at=64.999", "message: allow ingress"),
            ("sotw exp=60 at=65", "headers: expired (id-1)"),
            ("sotw nbf=60 exp=90 at=54.999", "headers: not_yet_valid (id-1)"),
            ("sotw nbf=60 exp=90 at=55", "message: allow ingress"),
            ("sotw exp=60 later=64.999", "message: allow ingress"),
            ("sotw exp=60 later=65", "message: expired (id-1)"),
            ("bootstrap exp=0 later=4.999", "body: allow ingress"),
            ("bootstrap exp=0 later=5", "body: expired (id-1)"),
        ],
    );
}
