//! Pushes while streams begin and are held, in the form of [`crate::spec`].

use crate::spec::{LET_IN, tell};

const REVOKED: &str = "pause, denied.revoked, 1:deny revoked, 1:answer 16, warn";

#[test]
fn a_held_stream_is_judged_by_the_newest_policy() {
    for (push, wanted) in [
        (r#"push b {"revocations": "id-1"}"#, REVOKED),
        (
            r#"push b {"publicKeys": "KID 2"}"#,
            "pause, denied.unknown_kid, 1:deny unknown_kid, 1:answer 16, warn",
        ),
        (
            r#"push b {"publicKeys": "OTHER"}"#,
            "pause, denied.invalid_signature, 1:deny invalid_signature, 1:answer 16, warn",
        ),
        (
            r#"push b {"zone": "west"}"#,
            "pause, denied.wrong_zone, 1:deny wrong_zone, 1:answer 7, warn",
        ),
        (
            r#"push b {"proxies": {"ingress": "deny"}}"#,
            "pause, denied.proxy_denied, 1:deny proxy_denied, 1:answer 7, warn",
        ),
        (
            r#"push b {"profile": "globalKds"}"#,
            "pause, denied.path_denied, 1:deny path_denied, 1:answer 12, warn",
        ),
        (r#"push b {"requireExpiration": false}"#, LET_IN),
    ] {
        // The result is the same for any number of pieces, and wherever the push falls.
        tell(&[
            ("push a", ""),
            ("headers 1 good", "pause"),
            (push, ""),
            ("body 1 ingress", wanted),
        ]);
        tell(&[
            ("push a", ""),
            ("headers 1 good", "pause"),
            ("body 1 half", "pause"),
            (push, ""),
            ("body 1 nothing", "pause"),
            ("body 1 nothing", "pause"),
            ("body 1 rest", wanted),
        ]);
    }
}

/// Tokens that were read before the push, one of them too long for the new limit.
#[test]
fn a_push_that_shortens_tokens_holds_for_held_streams() {
    tell(&[
        (r#"push a {"maxTokenBytes": 65536}"#, ""),
        ("headers 1 over-512-bytes", "pause"),
        ("headers 2 good", "pause"),
        (r#"push b {"maxTokenBytes": 512}"#, ""),
        (
            "body 1 ingress",
            "pause, denied.token_too_long, 1:deny token_too_long, 1:answer 16, warn",
        ),
        ("body 2 ingress", "continue, allowed, kid.1.allowed, 2:allow"),
    ]);
}

#[test]
fn a_bootstrap_that_is_under_way_is_judged_by_the_newest_policy() {
    for (push, wanted) in [
        (r#"push b {"revocations": "id-1"}"#, REVOKED),
        (
            r#"push b {"bootstrap": "deny"}"#,
            "pause, denied.path_denied, 1:deny path_denied, 1:answer 12, warn",
        ),
        (r#"push b {"bootstrap": "pass"}"#, "continue, unchecked, 1:allow"),
    ] {
        tell(&[
            ("push a", ""),
            ("bootstrap 1", "pause"),
            ("body 1 boot-good", "pause"),
            (push, ""),
            ("body 1 nothing end", wanted),
        ]);
    }
}

#[test]
fn a_stream_that_begins_under_an_earlier_policy_must_satisfy_both() {
    const A: &str = r#"push a {"revocations": "id-1"}"#;
    const B: &str = r#"push b {"revocations": "id-2"}"#;
    tell(&[
        (A, ""),
        (B, ""),
        ("headers 1 good under a", REVOKED),
        ("headers 2 other under a", "pause, denied.revoked, 2:deny revoked, 2:answer 16, warn"),
        ("headers 3 short under a", "pause"),
        ("body 3 ingress", "continue, allowed, kid.1.allowed, 3:allow"),
        ("headers 4 good under b", "pause"),
        ("body 4 ingress", "continue, allowed, kid.1.allowed, 4:allow"),
        ("headers 5 other under b", "pause, denied.revoked, 5:deny revoked, 5:answer 16, warn"),
    ]);
}

/// Also if the reason is only in its first message.
#[test]
fn both_policies_judge_the_first_message() {
    tell(&[
        (r#"push a {"proxies": {"ingress": "deny"}}"#, ""),
        ("push b", ""),
        (
            "headers 1 good under a",
            "pause, denied.proxy_denied, 1:deny proxy_denied, 1:answer 7, warn",
        ),
        (r#"push c {"proxies": {"dataplane": "pass"}}"#, ""),
        ("headers 2 good under b", "pause"),
        ("body 2 dataplane", "pause, denied.proxy_denied, 2:deny proxy_denied, 2:answer 7, warn"),
        ("headers 3 good under c", "pause"),
        ("body 3 dataplane", "continue, unchecked, 3:allow"),
    ]);
}

#[test]
fn one_policy_that_enforces_is_enough_to_refuse() {
    tell(&[
        (r#"push a {"revocations": "id-1"}"#, ""),
        (r#"push b {"mode": "shadow"}"#, ""),
        ("headers 1 good under a", REVOKED),
        (
            "headers 2 garbage under a",
            "pause, denied.malformed_token, 2:deny malformed_token, 2:answer 16, warn",
        ),
        ("headers 3 other under a", "pause"),
        ("body 3 ingress", "continue, allowed, kid.1.allowed, 3:allow"),
        ("push c", ""),
        (
            "headers 4 garbage under b",
            "pause, denied.malformed_token, 4:deny malformed_token, 4:answer 16, warn",
        ),
        (r#"push d {"mode": "shadow"}"#, ""),
        (
            "headers 5 garbage under b",
            "continue, would_deny.malformed_token, 5:would_deny malformed_token, warn",
        ),
    ]);
}

/// The host drops the newest policy while an earlier one is still kept.
#[test]
fn a_host_that_drops_the_newest_policy_goes_back() {
    const A: &str = r#"push a {"revocations": "id-1"}"#;
    const B: &str = r#"push b {"revocations": "id-2"}"#;
    tell(&[
        (A, ""),
        ("headers 1 other", "pause"),
        ("body 1 ingress", LET_IN),
        (B, "1:cut, streams.cut.revoked, warn"),
        ("headers 2 good under b", "pause"),
        ("body 2 ingress", "continue, allowed, kid.1.allowed, 2:allow"),
        ("headers 3 short under a", "pause"),
        ("headers 4 other under a", "pause, denied.revoked, 4:deny revoked, 4:answer 16, warn"),
        ("drop b", ""),
        ("headers 5 other under a", "pause"),
        ("body 5 ingress", "continue, allowed, kid.1.allowed, 5:allow"),
        ("headers 6 good under a", "pause, denied.revoked, 6:deny revoked, 6:answer 16, warn"),
        ("tick 100", "info, 2:cut, streams.cut.revoked, warn"),
        ("body 3 ingress", "continue, allowed, kid.1.allowed, 3:allow"),
        ("tick 100", ""),
    ]);
}

#[test]
fn a_policy_that_the_host_dropped_lets_nothing_begin() {
    tell(&[
        ("push a", ""),
        ("push b", ""),
        ("drop a", ""),
        (
            "headers 1 good under a",
            "pause, denied.policy_unavailable, 1:deny policy_unavailable, 1:answer 14, warn",
        ),
        // The newest policy stays in force.
        ("drop b", ""),
        ("headers 2 good under b", "pause"),
        ("push c", ""),
        (
            "headers 3 good under b",
            "pause, denied.policy_unavailable, 3:deny policy_unavailable, 3:answer 14, warn",
        ),
        ("body 2 ingress", "continue, allowed, kid.1.allowed, 2:allow"),
    ]);
}

#[test]
fn a_stream_whose_earlier_policy_is_dropped_meanwhile_is_refused() {
    tell(&[
        ("push a", ""),
        ("push b", ""),
        ("headers 1 good under a", "pause"),
        ("drop a", ""),
        (
            "body 1 ingress",
            "pause, denied.policy_unavailable, 1:deny policy_unavailable, 1:answer 14, warn",
        ),
    ]);
}

/// The latest earlier policy is kept whatever its size, the others as long as their total size is small.
#[test]
fn large_policies_are_not_kept_for_ever() {
    let ids: Vec<String> = (0..60_000).map(|id| format!("{id:05}")).collect();
    let large = |name| format!(r#"push {name} {{"revocations": "{}"}}"#, ids.join(","));
    const UNAVAILABLE: &str = "pause, denied.policy_unavailable, 1:deny policy_unavailable, \
                               1:answer 14, warn";
    let [a, b, c] = ["a", "b", "c"].map(large);
    tell(&[
        (a.as_str(), ""),
        (&b, ""),
        (&c, ""),
        ("push d", ""),
        ("headers 1 good under a", UNAVAILABLE),
        ("headers 2 good under b", "pause"),
        ("headers 3 good under c", "pause"),
        ("headers 4 good under d", "pause"),
        // A host that goes back finds the latest of the kept policies.
        ("drop d", ""),
        ("drop c", ""),
        ("drop b", ""),
        ("headers 1 good under a", UNAVAILABLE),
    ]);
}

#[test]
fn held_requests_are_refused_at_the_next_tick_after_a_change_of_profile() {
    tell(&[
        ("push a", ""),
        ("headers 1 good", "pause"),
        ("bootstrap 2", "pause"),
        (r#"push b {"profile": "globalKds"}"#, ""),
        (
            "tick 100",
            "denied.path_denied, 1:deny path_denied, 1:answer 12, warn, denied.path_denied, \
             2:deny path_denied, 2:answer 12, warn",
        ),
    ]);
}

/// If two policies refuse, the refusal of the newest policy is reported.
#[test]
fn the_refusal_of_the_newest_policy_is_reported() {
    tell(&[
        (r#"push a {"zone": "west"}"#, ""),
        (r#"push b {"revocations": "id-1"}"#, ""),
        ("headers 1 good under a", REVOKED),
    ]);
}

#[test]
fn while_a_newer_policy_is_awaited_nothing_is_let_in() {
    const UNAVAILABLE: &str = "pause, denied.policy_unavailable, 1:deny policy_unavailable, \
                               1:answer 14, warn";
    tell(&[
        ("push a", ""),
        ("headers 2 other", "pause"),
        ("body 2 ingress", "continue, allowed, kid.1.allowed, 2:allow"),
        ("headers 1 good", "pause"),
        ("await", ""),
        ("body 1 ingress", UNAVAILABLE),
        ("headers 1 good", UNAVAILABLE),
        ("body 2 garbage", "continue"),
        ("push b", ""),
        ("headers 3 good", "pause"),
        ("gauges", "open 1 held 1 shadowed 0"),
        // A policy that will never come.
        ("lose", "2:cut, streams.cut.module_replaced, warn"),
        (
            "body 3 ingress",
            "pause, denied.policy_unavailable, 3:deny policy_unavailable, 3:answer 14, warn",
        ),
        ("gauges", "open 0 held 0 shadowed 0"),
    ]);
}
