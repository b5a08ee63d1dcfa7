//! Streams that are held for their first message or their body, in the form of [`crate::spec`].

use crate::spec::{LET_IN, tell};

#[test]
fn without_a_policy_nothing_passes() {
    tell(&[
        (
            "headers 1 good",
            "pause, denied.policy_unavailable, 1:deny policy_unavailable, 1:answer 14, warn",
        ),
        ("body 1 ingress", "pause"),
        ("gauges", "open 0 held 0 shadowed 0"),
        ("tick 100", ""),
        ("end 1", ""),
    ]);
}

#[test]
fn a_stream_is_held_for_its_first_message() {
    tell(&[
        ("push a", ""),
        ("headers 1 good", "pause"),
        ("gauges", "open 0 held 1 shadowed 0"),
        ("body 1 half", "pause"),
        ("body 1 nothing", "pause"),
        ("body 1 rest", LET_IN),
        ("gauges", "open 1 held 0 shadowed 0"),
        ("body 1 garbage", "continue"),
        ("trailers 1", "continue"),
        ("end 1", ""),
        ("gauges", "open 0 held 0 shadowed 0"),
    ]);
}

#[test]
fn a_stream_is_refused_as_soon_as_it_can_be() {
    tell(&[
        ("push a", ""),
        ("headers 1", "pause, denied.missing_token, 1:deny missing_token, 1:answer 16, warn"),
        (
            "headers 2 garbage",
            "pause, denied.malformed_token, 2:deny malformed_token, 2:answer 16, warn",
        ),
        (
            "headers 3 forged",
            "pause, denied.invalid_signature, 3:deny invalid_signature, 3:answer 16, warn",
        ),
        ("headers 4 west", "pause, denied.wrong_zone, 4:deny wrong_zone, 4:answer 7, warn"),
        ("elsewhere 5 good", "pause, denied.path_denied, 5:deny path_denied, 5:answer 12, warn"),
        ("hds 6 good", "pause, denied.proxy_denied, 6:deny proxy_denied, 6:answer 7, warn"),
        ("headers 7 good", "pause"),
        ("body 7 egress", "pause, denied.out_of_scope, 7:deny out_of_scope, 7:answer 7, warn"),
        ("headers 8 good", "pause"),
        ("body 8 dataplane", "pause, denied.proxy_denied, 8:deny proxy_denied, 8:answer 7, warn"),
        ("headers 9 good", "pause"),
        (
            "body 9 compressed",
            "pause, denied.malformed_request, 9:deny malformed_request, 9:answer 3, warn",
        ),
        ("gauges", "open 0 held 0 shadowed 0"),
    ]);
}

/// Events after an answer, or before headers, change nothing.
#[test]
fn events_after_an_answer_change_nothing() {
    tell(&[
        ("push a", ""),
        (
            "headers 1 garbage",
            "pause, denied.malformed_token, 1:deny malformed_token, 1:answer 16, warn",
        ),
        ("body 1 ingress", "pause"),
        ("body 1 ingress end", "pause"),
        ("trailers 1", "pause"),
        ("tick 5000", ""),
        ("push b {\"mode\": \"shadow\"}", ""),
        ("body 1 ingress", "pause"),
        ("end 1", ""),
    ]);
}

#[test]
fn a_stream_that_ends_before_its_message_is_whole_is_refused() {
    const REFUSED: &str =
        "pause, denied.malformed_request, 1:deny malformed_request, 1:answer 3, warn";
    for last in ["body 1 half end", "trailers 1"] {
        tell(&[("push a", ""), ("headers 1 good", "pause"), (last, REFUSED), (last, "pause")]);
    }
    tell(&[("push a", ""), ("headers 1 good end", REFUSED)]);
    tell(&[("push a", ""), ("headers 1 good", "pause"), ("body 1 ingress end", LET_IN)]);
}

#[test]
fn a_stream_that_ends_while_it_is_held_leaves_nothing() {
    tell(&[
        ("push a", ""),
        ("headers 1 good", "pause"),
        ("body 1 half", "pause"),
        ("end 1", ""),
        ("gauges", "open 0 held 0 shadowed 0"),
        ("tick 5000", ""),
    ]);
}

/// `holdHeaders: false`: the headers pass, marked as not judged, and no byte of the body does.
#[test]
fn where_only_bodies_are_held_the_headers_go_on() {
    const PUSH: (&str, &str) = ("push a {\"holdHeaders\": false}", "");
    tell(&[
        PUSH,
        ("headers 1 good", "continue, 1:pending"),
        ("body 1 half", "pause"),
        ("gauges", "open 0 held 1 shadowed 0"),
        ("body 1 rest", "continue, allowed, kid.1.allowed, 1:allow"),
        ("headers 2 egress", "continue, 2:pending"),
        ("body 2 ingress", "pause, denied.out_of_scope, 2:deny out_of_scope, 2:answer 7, warn"),
        ("body 2 ingress", "pause"),
        ("bootstrap 3", "continue, 3:pending"),
        ("body 3 boot-west", "pause"),
        ("body 3 nothing end", "pause, denied.wrong_zone, 3:deny wrong_zone, 3:answer 7, warn"),
        ("headers 4 good", "continue, 4:pending"),
        (
            "trailers 4",
            "pause, denied.malformed_request, 4:deny malformed_request, 4:answer 3, warn",
        ),
        ("headers 5 good", "continue, 5:pending"),
        ("tick 100", ""),
        ("tick 1000", "denied.no_first_message, 5:deny no_first_message, 5:answer 4, warn"),
        ("gauges", "open 1 held 0 shadowed 0"),
    ]);
    // Decisions by the headers alone do not wait, and the headers stay.
    tell(&[
        PUSH,
        (
            "headers 1 forged",
            "pause, denied.invalid_signature, 1:deny invalid_signature, 1:answer 16, warn",
        ),
        ("elsewhere 2", "pause, denied.path_denied, 2:deny path_denied, 2:answer 12, warn"),
        (
            "headers 3 good end",
            "pause, 3:pending, denied.malformed_request, 3:deny malformed_request, 3:answer 3, warn",
        ),
    ]);
    // A push that revokes: the body never passes. Shadow mode makes no difference.
    tell(&[
        PUSH,
        ("headers 1 good", "continue, 1:pending"),
        ("body 1 half", "pause"),
        ("push b {\"holdHeaders\": false, \"revocations\": \"id-1\"}", ""),
        ("body 1 rest", "pause, denied.revoked, 1:deny revoked, 1:answer 16, warn"),
        ("push c {\"holdHeaders\": false, \"mode\": \"shadow\"}", ""),
        ("headers 2 good", "continue, 2:pending"),
        ("body 2 half", "continue"),
        ("body 2 rest", "continue, allowed, kid.1.allowed, 2:allow"),
    ]);
    // If two policies judge, one that holds the headers is enough.
    tell(&[
        ("push a", ""),
        ("push b {\"holdHeaders\": false}", ""),
        ("headers 1 good under a", "pause"),
        ("headers 2 good under b", "continue, 2:pending"),
    ]);
}

#[test]
fn a_held_stream_is_answered_in_time_whatever_the_clock_says() {
    const LATE: &str = "denied.no_first_message, 1:deny no_first_message, 1:answer 4, warn";
    for clock in ["clock 0", "clock -3600", "clock 3600", "clock none"] {
        tell(&[
            ("push a", ""),
            ("headers 1 good", "pause"),
            ("tick 100", ""),
            ("body 1 half", "pause"),
            (clock, ""),
            ("tick 999", ""),
            ("tick 1", LATE),
            ("tick 1000", ""),
            ("body 1 rest", "pause"),
        ]);
    }
}

/// The policy in force at the check counts, not the policy at the beginning of the stream.
#[test]
fn a_push_shortens_and_lengthens_the_time_that_a_stream_may_be_held() {
    const LATE: &str = "denied.no_first_message, 1:deny no_first_message, 1:answer 4, warn";
    tell(&[
        ("push a {\"firstMessageSeconds\": 10}", ""),
        ("headers 1 good", "pause"),
        ("tick 100", ""),
        ("tick 2000", ""),
        ("push b {\"firstMessageSeconds\": 2}", ""),
        ("tick 100", LATE),
    ]);
    tell(&[
        ("push a", ""),
        ("headers 1 good", "pause"),
        ("tick 100", ""),
        ("push b {\"firstMessageSeconds\": 3}", ""),
        ("tick 2900", ""),
        ("tick 100", LATE),
    ]);
}

#[test]
fn without_a_clock_nothing_is_held() {
    const REFUSED: &str =
        "pause, denied.clock_unavailable, 1:deny clock_unavailable, 1:answer 14, warn";
    for begin in ["headers 1 good", "bootstrap 1"] {
        tell(&[("push a", ""), ("clock none", ""), (begin, REFUSED)]);
    }
    tell(&[
        ("push a", ""),
        ("headers 1 good", "pause"),
        ("clock none", ""),
        ("body 1 ingress", REFUSED),
    ]);
}

#[test]
fn a_bootstrap_request_is_judged_by_its_body() {
    tell(&[
        ("push a", ""),
        ("bootstrap 1", "pause"),
        ("body 1 boot-good end", LET_IN),
        ("bootstrap 2", "pause"),
        ("body 2 boot-good", "pause"),
        ("body 2 nothing end", "continue, allowed, kid.1.allowed, 2:allow"),
        ("bootstrap 3", "pause"),
        ("body 3 boot-west end", "pause, denied.wrong_zone, 3:deny wrong_zone, 3:answer 7, warn"),
        ("bootstrap 4", "pause"),
        (
            "body 4 too-large",
            "pause, denied.malformed_request, 4:deny malformed_request, 4:answer 3, warn",
        ),
        (
            "bootstrap 5 end",
            "pause, denied.malformed_request, 5:deny malformed_request, 5:answer 3, warn",
        ),
    ]);
    // In shadow mode the body passes, and a body that is too large is not copied to its end.
    tell(&[
        ("push a {\"mode\": \"shadow\"}", ""),
        ("bootstrap 1", "continue, 1:pending"),
        ("body 1 large", "continue"),
        (
            "body 1 large",
            "continue, would_deny.malformed_request, 1:would_deny malformed_request, warn",
        ),
        ("gauges", "open 0 held 0 shadowed 1"),
    ]);
}

#[test]
fn requests_that_pass_unchecked_are_counted_separately() {
    tell(&[
        ("push a {\"proxies\": {\"dataplane\": \"pass\"}, \"bootstrap\": \"pass\"}", ""),
        ("hds 1", "continue, unchecked, 1:allow"),
        ("bootstrap 2", "continue, unchecked, 2:allow"),
        ("headers 3 garbage", "pause"),
        ("body 3 dataplane", "continue, unchecked, 3:allow"),
        ("headers 4 garbage", "pause"),
        (
            "body 4 ingress",
            "pause, denied.malformed_token, 4:deny malformed_token, 4:answer 16, warn",
        ),
        ("headers 5", "pause"),
        ("body 5 ingress", "pause, denied.missing_token, 5:deny missing_token, 5:answer 16, warn"),
        ("gauges", "open 3 held 0 shadowed 0"),
    ]);
}
