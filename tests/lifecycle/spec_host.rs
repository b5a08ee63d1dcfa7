//! A host's actions with policies and modules other than pushes, in the form of [`crate::spec`].

use serde_json::json;

use crate::host::policy;
use crate::spec::{LET_IN, tell};

const A: &str = r#"push a {"revocations": "id-1"}"#;
const B: &str = r#"push b {"revocations": "id-2"}"#;

#[test]
fn a_host_goes_back_to_a_policy_that_is_kept() {
    tell(&[
        (A, ""),
        (B, ""),
        ("kept", "a b"),
        ("headers 1 good", "pause"),
        ("body 1 ingress", LET_IN),
        ("again a", "info, 1:cut, streams.cut.revoked, warn"),
        ("kept", "a b"),
        ("headers 2 other under a", "pause"),
        ("headers 3 good under a", "pause, denied.revoked, 3:deny revoked, 3:answer 16, warn"),
        // The policy is in force already.
        ("again a", ""),
        // The policy that was in force is an earlier policy now.
        ("headers 4 other under b", "pause, denied.revoked, 4:deny revoked, 4:answer 16, warn"),
        ("again b", "info"),
        ("body 2 ingress", "pause, denied.revoked, 2:deny revoked, 2:answer 16, warn"),
        ("drop a", ""),
        ("kept", "b"),
        ("again a", ""),
        ("headers 5 good under b", "pause"),
        // The previous policy is dropped while a newer one is in force.
        ("drop b", ""),
        ("kept", "b"),
        ("push c", ""),
        ("kept", "c"),
        ("again b", ""),
        ("headers 6 other", "pause"),
        ("body 6 ingress", "continue, allowed, kid.1.allowed, 6:allow"),
    ]);
}

#[test]
fn without_a_policy_there_is_none_to_go_back_to() {
    tell(&[
        (A, ""),
        ("headers 1 other", "pause"),
        ("headers 2 other", "pause"),
        ("kept", "a"),
        ("again a", ""),
        ("drop a", ""),
        (B, ""),
        ("kept", "b"),
        ("again a", ""),
        (
            "headers 3 short under a",
            "pause, denied.policy_unavailable, 3:deny policy_unavailable, 3:answer 14, warn",
        ),
    ]);
}

/// All open streams end, spread over the time in the policy in force; held streams are refused at the next tick.
#[test]
fn a_module_that_is_replaced_ends_its_open_streams() {
    const CUT: &str = "1:cut, streams.cut.module_replaced, warn";
    tell(&[
        (
            r#"push a {"mode": "shadow", "openStreams": {"cutWithinMilliseconds": 400},
                "proxies": {"dataplane": "pass"}}"#,
            "",
        ),
        ("headers 1 good", "continue, 1:pending"),
        ("body 1 ingress", LET_IN),
        ("hds 2", "continue, unchecked, 2:allow"),
        ("headers 3 good", "continue, 3:pending"),
        ("body 3 egress", "continue, would_deny.out_of_scope, 3:would_deny out_of_scope, warn"),
        ("headers 4 good", "continue, 4:pending"),
        ("headers 5 other", "continue, 5:pending"),
        ("body 5 ingress", "continue, allowed, kid.1.allowed, 5:allow"),
        ("tick 100", ""),
        ("lose", CUT),
        ("gauges", "open 2 held 1 shadowed 1"),
        ("lose", ""),
        ("tick 99", "denied.policy_unavailable, 4:deny policy_unavailable, 4:answer 14, warn"),
        ("tick 1", "2:cut, streams.cut.module_replaced, warn"),
        ("tick 99", ""),
        ("tick 1", "3:cut, streams.cut.module_replaced, warn"),
        ("tick 100", "5:cut, streams.cut.module_replaced, warn"),
        ("gauges", "open 0 held 0 shadowed 0"),
        ("body 4 ingress", "pause"),
    ]);
    tell(&[("lose", "")]);
}

/// Streams that were held when the policy was lost are answered too.
#[test]
fn held_streams_are_answered_if_no_policy_is_left() {
    const REFUSED: &str = "denied.policy_unavailable, 1:deny policy_unavailable, 1:answer 14, warn";
    for mode in ["enforce", "shadow"] {
        let push = format!(r#"push a {{"mode": "{mode}"}}"#);
        let held = if mode == "enforce" { "pause" } else { "continue, 1:pending" };
        tell(&[
            (push.as_str(), ""),
            ("headers 1 good", held),
            ("lose", ""),
            ("tick 100", REFUSED),
            ("tick 1000", ""),
            ("gauges", "open 0 held 0 shadowed 0"),
        ]);
    }
}

/// The limit is 4 MiB, without the latest of the earlier policies.
#[test]
fn earlier_policies_are_kept_up_to_their_limit() {
    const LIMIT: usize = 4 * 1024 * 1024;
    let list = |last: usize| {
        let ids = (0..64).map(|index| format!("{index}{}", "x".repeat(65_000)));
        json!({ "revocations": ids.chain(["y".repeat(last)]).collect::<Vec<_>>() })
    };
    let missing = LIMIT - policy(&list(1)).bytes();
    for (last, kept) in [(missing + 1, "a b c"), (missing + 2, "b c")] {
        let large = list(last);
        assert_eq!(policy(&large).bytes() <= LIMIT, kept.contains('a'));
        tell(&[(&*format!("push a {large}"), ""), ("push b", ""), ("push c", ""), ("kept", kept)]);
    }
}
