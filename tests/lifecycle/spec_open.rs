//! The effects of pushes and time on open streams, in the form of [`crate::spec`].

use crate::spec::{LET_IN, tell};

const CUT: &str = "1:cut, streams.cut.revoked, warn";

#[test]
fn a_push_cuts_what_it_revokes_and_nothing_else() {
    tell(&[
        ("push a", ""),
        ("headers 1 good", "pause"),
        ("body 1 ingress", LET_IN),
        ("headers 2 other", "pause"),
        ("body 2 ingress", "continue, allowed, kid.1.allowed, 2:allow"),
        ("push b {\"revocations\": \"id-1\"}", CUT),
        ("gauges", "open 1 held 0 shadowed 0"),
        ("body 1 garbage", "pause"),
        ("push b {\"revocations\": \"id-1\"}", ""),
        ("tick 100", ""),
        ("end 1", ""),
        ("headers 3 good", "pause, denied.revoked, 3:deny revoked, 3:answer 16, warn"),
        ("body 2 garbage", "continue"),
        ("gauges", "open 1 held 0 shadowed 0"),
    ]);
}

#[test]
fn a_revoked_stream_is_kept_until_a_push_says_otherwise() {
    const KEEP: &str = r#"push b {"revocations": "id-1", "openStreams": {"onRevoked": "keep"}}"#;
    tell(&[
        ("push a", ""),
        ("headers 1 good", "pause"),
        ("body 1 ingress", LET_IN),
        (KEEP, ""),
        ("tick 100", ""),
        (r#"push c {"revocations": "id-1"}"#, CUT),
    ]);
}

/// Three streams of one push, in 300 ms: the first at once, then one every 100 ms.
#[test]
fn cuts_are_spread_and_another_push_neither_hastens_nor_delays_them() {
    const REVOKE: &str =
        r#"push b {"revocations": "id-1", "openStreams": {"cutWithinMilliseconds": 300}}"#;
    tell(&[
        ("push a", ""),
        ("headers 1 good", "pause"),
        ("body 1 ingress", LET_IN),
        ("headers 2 good", "pause"),
        ("body 2 ingress", "continue, allowed, kid.1.allowed, 2:allow"),
        ("headers 3 good", "pause"),
        ("body 3 ingress", "continue, allowed, kid.1.allowed, 3:allow"),
        (REVOKE, CUT),
        ("tick 99", ""),
        ("tick 1", "2:cut, streams.cut.revoked, warn"),
        (REVOKE, ""),
        ("tick 99", ""),
        ("tick 1", "3:cut, streams.cut.revoked, warn"),
        ("tick 1000", ""),
    ]);
}

/// The operator is in a hurry: the cuts of the push before were spread over a minute.
#[test]
fn a_push_that_leaves_less_time_hastens_the_cuts_of_the_push_before() {
    tell(&[
        ("push a", ""),
        ("headers 1 good", "pause"),
        ("body 1 ingress", LET_IN),
        ("headers 2 good", "pause"),
        ("body 2 ingress", "continue, allowed, kid.1.allowed, 2:allow"),
        ("headers 3 good", "pause"),
        ("body 3 ingress", "continue, allowed, kid.1.allowed, 3:allow"),
        (r#"push b {"revocations": "id-1", "openStreams": {"cutWithinMilliseconds": 60000}}"#, CUT),
        (r#"push c {"revocations": "id-1", "openStreams": {"cutWithinMilliseconds": 300}}"#, ""),
        ("tick 299", ""),
        ("end 3", ""),
        ("tick 1", "2:cut, streams.cut.revoked, warn"),
        ("push a", ""),
    ]);
}

#[test]
fn a_push_that_takes_a_revocation_back_spares_the_streams_that_still_stand() {
    tell(&[
        ("push a", ""),
        ("headers 1 good", "pause"),
        ("body 1 ingress", LET_IN),
        ("headers 2 good", "pause"),
        ("body 2 ingress", "continue, allowed, kid.1.allowed, 2:allow"),
        (r#"push b {"revocations": "id-1", "openStreams": {"cutWithinMilliseconds": 300}}"#, CUT),
        ("push a", ""),
        ("tick 1000", ""),
        ("gauges", "open 1 held 0 shadowed 0"),
    ]);
}

#[test]
fn a_stream_that_ends_before_it_is_cut_is_not_cut() {
    tell(&[
        ("push a", ""),
        ("headers 1 good", "pause"),
        ("body 1 ingress", LET_IN),
        ("headers 2 good", "pause"),
        ("body 2 ingress", "continue, allowed, kid.1.allowed, 2:allow"),
        (r#"push b {"revocations": "id-1", "openStreams": {"cutWithinMilliseconds": 300}}"#, CUT),
        ("end 2", ""),
        ("headers 2 other", "pause"),
        ("body 2 ingress", "continue, allowed, kid.1.allowed, 2:allow"),
        ("tick 1000", ""),
        ("gauges", "open 1 held 0 shadowed 0"),
    ]);
}

#[test]
fn a_key_that_is_removed_or_replaced_cuts_streams_if_configured() {
    const CUT: &str = "1:cut, streams.cut.key_removed, warn";
    for keys in ["OTHER", "KID 2"] {
        let keep = format!(r#"push b {{"publicKeys": "{keys}"}}"#);
        let cut = format!(
            r#"push c {{"publicKeys": "{keys}", "openStreams": {{"onKeyRemoved": "cut"}}}}"#
        );
        tell(&[
            ("push a", ""),
            ("headers 1 good", "pause"),
            ("body 1 ingress", LET_IN),
            (keep.as_str(), ""),
            // It does not matter under which policy the key was removed.
            (cut.as_str(), CUT),
        ]);
        let shadow = format!(
            r#"push b {{"mode": "shadow", "publicKeys": "{keys}", "openStreams": {{"onKeyRemoved": "cut"}}}}"#
        );
        tell(&[
            ("push a", ""),
            ("headers 1 good", "pause"),
            ("body 1 ingress", LET_IN),
            (shadow.as_str(), ""),
            ("tick 100", ""),
            (cut.as_str(), CUT),
        ]);
        tell(&[
            ("push a", ""),
            ("headers 1 good", "pause"),
            ("body 1 ingress", LET_IN),
            (keep.as_str(), ""),
            (r#"push a {"openStreams": {"onKeyRemoved": "cut"}}"#, ""),
        ]);
    }
}

#[test]
fn an_expiry_cuts_at_its_second_and_only_if_configured() {
    const EXPIRED: &str = "1:cut, streams.cut.expired, warn";
    const CUT: &str = r#"push a {"openStreams": {"onExpired": "cut"}}"#;
    tell(&[
        (CUT, ""),
        ("headers 1 short", "pause"),
        ("body 1 ingress", LET_IN),
        ("headers 2 good", "pause"),
        ("body 2 ingress", "continue, allowed, kid.1.allowed, 2:allow"),
        ("tick 9999", ""),
        ("tick 1", EXPIRED),
        ("gauges", "open 1 held 0 shadowed 0"),
    ]);
    // Two streams that expire one after the other.
    tell(&[
        (CUT, ""),
        ("headers 1 short", "pause"),
        ("body 1 ingress", LET_IN),
        ("headers 2 longer", "pause"),
        ("body 2 ingress", "continue, allowed, kid.1.allowed, 2:allow"),
        ("tick 10000", EXPIRED),
        ("tick 9999", ""),
        ("tick 1", "2:cut, streams.cut.expired, warn"),
    ]);
    // Expiry follows the clock as it is set.
    tell(&[
        (CUT, ""),
        ("headers 1 short", "pause"),
        ("body 1 ingress", LET_IN),
        ("clock 10", ""),
        ("tick 1", EXPIRED),
    ]);
    // A push that sets `onExpired: cut` finds tokens that expired before it, also in shadow mode.
    for before in ["push a", r#"push a {"mode": "shadow", "openStreams": {"onExpired": "cut"}}"#] {
        let let_in = "continue, allowed, kid.1.allowed, 1:allow";
        let held = if before.contains("shadow") { "continue, 1:pending" } else { "pause" };
        tell(&[
            (before, ""),
            ("headers 1 short", held),
            ("body 1 ingress", let_in),
            ("tick 20000", ""),
            (CUT, EXPIRED),
        ]);
    }
    // With leeway, and no later than its end.
    tell(&[
        (r#"push a {"leewaySeconds": 5, "openStreams": {"onExpired": "cut"}}"#, ""),
        ("headers 1 short", "pause"),
        ("body 1 ingress", LET_IN),
        ("tick 14999", ""),
        ("tick 1", EXPIRED),
    ]);
}

/// A rule that had ended by a clock that was ahead.
#[test]
fn a_clock_that_is_set_back_has_the_open_streams_judged_again() {
    tell(&[
        ("push a", ""),
        ("headers 1 good", "pause"),
        ("body 1 ingress", LET_IN),
        ("clock 172800", ""),
        (r#"push b {"revocationRules": [{"zone": "east", "until": "2027-01-16T12:00:00Z"}]}"#, ""),
        ("tick 100", ""),
        ("clock -172800", ""),
        ("tick 100", CUT),
    ]);
}

/// Once per second, at a tick.
#[test]
fn open_streams_are_counted_by_key_and_by_how_soon_their_tokens_expire() {
    const ALLOWED: [&str; 3] = [
        LET_IN,
        "continue, allowed, kid.1.allowed, 2:allow",
        "continue, allowed, kid.1.allowed, 3:allow",
    ];
    tell(&[
        ("push a", ""),
        ("tick 100", ""),
        ("headers 1 good", "pause"),
        ("body 1 ingress", ALLOWED[0]),
        ("headers 2 five-days", "pause"),
        ("body 2 ingress", ALLOWED[1]),
        ("headers 3 longer", "pause"),
        ("body 3 ingress", ALLOWED[2]),
        ("headers 4 good", "pause"),
        // The numbers of open and held streams are known at once.
        ("counted", "streams.open 3, streams.held 1"),
        ("tick 999", ""),
        ("counted", "streams.open 3, streams.held 1"),
        ("end 4", ""),
        ("tick 1", ""),
        (
            "counted",
            "streams.open 3, kid.1.open 3, tokens.expiring.1d 1, tokens.expiring.7d 2, tokens.expiring.30d 2",
        ),
        // The key is removed, but its streams stay.
        (r#"push b {"publicKeys": "KID 2"}"#, ""),
        ("end 3", ""),
        ("tick 1000", ""),
        ("counted", "streams.open 2, kid.1.open 2, tokens.expiring.7d 1, tokens.expiring.30d 1"),
        // 340 days later: the other token has expired, but its stream is kept.
        ("clock 29376000", ""),
        ("tick 1000", ""),
        (
            "counted",
            "streams.open 2, kid.1.open 2, tokens.expiring.1d 1, tokens.expiring.7d 1, tokens.expiring.30d 2",
        ),
        ("clock none", ""),
        ("tick 1000", ""),
        ("counted", "streams.open 2, kid.1.open 2"),
        ("end 1", ""),
        ("end 2", ""),
        ("counted", ""),
    ]);
}

#[test]
fn a_rule_cuts_the_streams_that_it_is_about() {
    const RULE: &str = r#"push b {"revocationRules": [{"issuedBefore": "2027-01-15T08:00:00Z"}]}"#;
    tell(&[
        ("push a", ""),
        ("headers 1 good", "pause"),
        ("body 1 ingress", LET_IN),
        ("headers 2 good", "pause"),
        // The token has no `iat`.
        (RULE, CUT),
        ("body 2 ingress", "pause, denied.revoked, 2:deny revoked, 2:answer 16, warn"),
        ("headers 3 good", "pause, denied.revoked, 3:deny revoked, 3:answer 16, warn"),
    ]);
    tell(&[
        ("push a", ""),
        ("headers 1 good", "pause"),
        ("body 1 ingress", LET_IN),
        (r#"push b {"revocationRules": [{"zone": "west"}]}"#, ""),
        (r#"push c {"revocationRules": [{"zone": "east", "until": "2027-01-15T07:59:59Z"}]}"#, ""),
        (
            r#"push d {"revocationRules": [{"zone": "east"}], "openStreams": {"onRevoked": "keep"}}"#,
            "",
        ),
        (r#"push e {"revocationRules": [{"zone": "east"}]}"#, CUT),
    ]);
    // A dataplane with a token without a mesh belongs to the mesh that it claims.
    const MESH: &str =
        r#"{"dpToken": {"publicKeys": "MESHES"}, "proxies": {"dataplane": "dpToken"}"#;
    tell(&[
        (format!("push a {MESH}}}").as_str(), ""),
        ("headers 1 dp-all", "pause"),
        ("body 1 default.dp-1", "continue, allowed, kid.*/all.allowed, 1:allow"),
        ("headers 2 dp-all", "pause"),
        ("body 2 other.dp-1", "continue, allowed, kid.*/all.allowed, 2:allow"),
        (
            format!("push b {MESH}, \"revocationRules\": [{{\"mesh\": \"default\"}}]}}").as_str(),
            CUT,
        ),
        ("gauges", "open 1 held 0 shadowed 0"),
    ]);
}
