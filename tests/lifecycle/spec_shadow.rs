//! Streams that pass in shadow mode, and what later policies do to them, in the form of [`crate::spec`].

use crate::spec::{LET_IN, tell};

const CUT: &str = "1:cut, streams.cut.revoked, warn";

#[test]
fn in_shadow_mode_everything_passes_and_is_known() {
    const SHADOW: &str = r#"push a {"mode": "shadow"}"#;
    tell(&[
        (SHADOW, ""),
        (
            "headers 1 garbage",
            "continue, would_deny.malformed_token, 1:would_deny malformed_token, warn",
        ),
        ("headers 2 good", "continue, 2:pending"),
        ("body 2 half", "continue"),
        ("body 2 rest", "continue, allowed, kid.1.allowed, 2:allow"),
        ("headers 3 good", "continue, 3:pending"),
        ("body 3 egress", "continue, would_deny.out_of_scope, 3:would_deny out_of_scope, warn"),
        ("headers 4 good", "continue, 4:pending"),
        ("tick 100", ""),
        ("tick 1000", "would_deny.no_first_message, 4:would_deny no_first_message, warn"),
        ("body 4 ingress", "continue"),
        ("gauges", "open 1 held 0 shadowed 3"),
        // A push in shadow mode cuts nothing.
        (
            r#"push b {"mode": "shadow", "revocations": "id-1", "openStreams": {"onEnforce": "cut"}}"#,
            "",
        ),
        ("tick 1000", ""),
        ("gauges", "open 1 held 0 shadowed 3"),
        // The switch does, if configured so. Stream 3 claimed to be an egress, which this policy does not let in
        // either, and stream 4 did not say what it is.
        (
            r#"push c {"openStreams": {"onEnforce": "cut"}}"#,
            "1:cut, streams.cut.enforced, warn, 3:cut, streams.cut.enforced, warn, \
             4:cut, streams.cut.enforced, warn",
        ),
        ("gauges", "open 1 held 0 shadowed 0"),
        (r#"push d {"revocations": "id-1"}"#, "2:cut, streams.cut.revoked, warn"),
        ("gauges", "open 0 held 0 shadowed 0"),
    ]);
}

/// A stream that passed in shadow mode ends as an open stream does, if its token was verified.
#[test]
fn in_enforce_mode_a_token_ends_the_streams_that_passed_in_shadow_mode() {
    const REVOKED: &str = "1:cut, streams.cut.revoked, warn, 2:cut, streams.cut.revoked, warn";
    let shadow = |push: &str, effects: &str| {
        tell(&[
            (r#"push a {"mode": "shadow"}"#, ""),
            ("headers 1 good", "continue, 1:pending"),
            ("body 1 egress", "continue, would_deny.out_of_scope, 1:would_deny out_of_scope, warn"),
            // The token was verified by the headers.
            ("headers 2 good", "continue, 2:pending"),
            (
                "trailers 2",
                "continue, would_deny.malformed_request, 2:would_deny malformed_request, warn",
            ),
            (
                "headers 3 forged",
                "continue, would_deny.invalid_signature, 3:would_deny invalid_signature, warn",
            ),
            ("headers 4 egress", "continue, 4:pending"),
            (
                "body 4 ingress",
                "continue, would_deny.out_of_scope, 4:would_deny out_of_scope, warn",
            ),
            (r#"push b {"mode": "shadow", "revocations": "id-1"}"#, ""),
            ("push c", ""),
            ("tick 1000", ""),
            (push, effects),
        ]);
    };
    shadow(r#"push d {"revocations": "id-1"}"#, REVOKED);
    shadow(
        r#"push d {"revocationRules": [{"zone": "east"}], "revocations": "id-5"}"#,
        &format!("{REVOKED}, 4:cut, streams.cut.revoked, warn"),
    );
    shadow(r#"push d {"revocations": "id-1", "openStreams": {"onRevoked": "keep"}}"#, "");
    shadow(
        r#"push d {"publicKeys": "OTHER", "openStreams": {"onKeyRemoved": "cut"}}"#,
        "1:cut, streams.cut.key_removed, warn, 2:cut, streams.cut.key_removed, warn, \
         4:cut, streams.cut.key_removed, warn",
    );
    shadow(r#"push d {"publicKeys": "OTHER"}"#, "");
    // Also at the switch itself.
    tell(&[
        (r#"push a {"mode": "shadow", "revocations": "id-1"}"#, ""),
        ("headers 1 good", "continue, would_deny.revoked, 1:would_deny revoked, warn"),
        (r#"push b {"revocations": "id-1"}"#, CUT),
    ]);
    // And by time.
    tell(&[
        (r#"push a {"mode": "shadow", "openStreams": {"onExpired": "cut"}}"#, ""),
        ("headers 1 short", "continue, 1:pending"),
        ("body 1 egress", "continue, would_deny.out_of_scope, 1:would_deny out_of_scope, warn"),
        (r#"push b {"openStreams": {"onExpired": "cut"}}"#, ""),
        ("tick 9999", ""),
        ("tick 1", "1:cut, streams.cut.expired, warn"),
    ]);
    // A dataplane with a token without a mesh belongs to the mesh that it claims.
    let push = |fields: &str| {
        format!(
            r#"push a {{"dpToken": {{"publicKeys": "MESHES"}}, "proxies": {{"dataplane": "dpToken"}},
                "revocationRules": [{{"mesh": "default"}}]{fields}}}"#
        )
    };
    tell(&[
        (push(r#", "mode": "shadow""#).as_str(), ""),
        ("headers 1 dp-all", "continue, 1:pending"),
        ("body 1 default.dp-1", "continue, would_deny.revoked, 1:would_deny revoked, warn"),
        (push("").as_str(), CUT),
    ]);
}

#[test]
fn a_stream_that_a_later_policy_lets_in_is_open() {
    tell(&[
        (r#"push a {"mode": "shadow", "revocations": "id-1"}"#, ""),
        ("headers 1 good", "continue, would_deny.revoked, 1:would_deny revoked, warn"),
        (r#"push b {"mode": "shadow", "proxies": {"ingress": "deny"}}"#, ""),
        ("headers 2 good", "continue, would_deny.proxy_denied, 2:would_deny proxy_denied, warn"),
        ("gauges", "open 0 held 0 shadowed 2"),
        (r#"push c {"openStreams": {"onEnforce": "cut"}}"#, ""),
        ("gauges", "open 2 held 0 shadowed 0"),
        // From now on it is treated as an open stream.
        (
            r#"push d {"revocations": "id-1"}"#,
            "1:cut, streams.cut.revoked, warn, 2:cut, streams.cut.revoked, warn",
        ),
    ]);
}

/// Also if the first message decided, not the token alone.
#[test]
fn a_stream_whose_message_a_later_policy_takes_is_open() {
    tell(&[
        (
            r#"push a {"mode": "shadow", "proxies": {"dataplane": "dpToken"},
                "dpToken": {"publicKeys": "MESHES", "revocations": {"default": "id-1"}}}"#,
            "",
        ),
        ("headers 1 dp-all", "continue, 1:pending"),
        ("body 1 default.dp-1", "continue, would_deny.revoked, 1:would_deny revoked, warn"),
        ("gauges", "open 0 held 0 shadowed 1"),
        (
            r#"push b {"proxies": {"dataplane": "dpToken"}, "openStreams": {"onEnforce": "cut"},
                "dpToken": {"publicKeys": "MESHES"}}"#,
            "",
        ),
        ("gauges", "open 1 held 0 shadowed 0"),
    ]);
}

/// A stream that was held when the mode changed.
#[test]
fn the_mode_that_counts_is_that_of_the_conclusion() {
    const SHADOW: &str = r#"push b {"mode": "shadow"}"#;
    tell(&[
        ("push a", ""),
        ("headers 1 good", "pause"),
        ("headers 2 good", "pause"),
        ("headers 3 good", "pause"),
        (SHADOW, ""),
        ("body 1 egress", "continue, would_deny.out_of_scope, 1:would_deny out_of_scope, warn"),
        ("body 2 ingress", "continue, allowed, kid.1.allowed, 2:allow"),
        ("tick 100", ""),
        // The host still holds the stream, and must let it pass.
        ("tick 1000", "would_deny.no_first_message, 3:would_deny no_first_message, warn, 3:resume"),
        ("gauges", "open 1 held 0 shadowed 2"),
    ]);
    tell(&[
        (SHADOW, ""),
        ("headers 1 good", "continue, 1:pending"),
        ("body 1 half", "continue"),
        ("headers 2 good", "continue, 2:pending"),
        ("push a", ""),
        ("body 1 rest", LET_IN),
        ("body 2 egress", "pause, denied.out_of_scope, 2:deny out_of_scope, 2:answer 7, warn"),
    ]);
}
