//! The top of the page: each problem alone, and no problem.

use serde_json::json;
use zonegate::gate::{Mode, Reason};
use zonegate_page::{Gateway, Poll, Push};

use crate::state::{State, before};

fn attention(state: &State) -> String {
    let section = state.document().section("attention");
    section.strip_prefix("Attention ").unwrap_or_else(|| panic!("{section}")).to_owned()
}

#[test]
fn a_healthy_gateway_needs_no_attention() {
    for state in [State::serve(json!({})), State::sync(json!({ "revocations": "a,b" }))] {
        assert_eq!(attention(&state), "Nothing needs attention.");
    }
    // Refusing a stranger is no problem.
    let refused = State::serve(json!({})).denied(Mode::Enforce, Reason::UnknownKid, 500, 500);
    assert_eq!(attention(&refused), "Nothing needs attention.");
    let mut unseen = State::sync(json!({}));
    unseen.unknown = Some(Gateway::NotAsked);
    let wanted = "Nothing that is seen here needs attention. The gateway is not seen here.";
    assert_eq!(attention(&unseen), wanted);
}

#[test]
fn each_thing_that_is_wrong_is_said() {
    let refused = || Some(Push { at: None, refused: Some("zone: must not be empty".to_owned()) });
    let failing = |current_at| Some(Poll { current_at, failures: 1, ..Poll::default() });
    let cases: [(&str, State); 11] = [
        ("Wrong There is no policy: every connection is refused.", {
            let mut state = State::serve(json!({}));
            state.policy = None;
            state
        }),
        ("Wrong The last push was refused. The policy before it is in force.", {
            let mut state = State::serve(json!({}));
            state.push = refused();
            state
        }),
        (
            "Wrong There is no policy: every connection is refused. Wrong The last push was refused.",
            {
                let mut state = State::serve(json!({}));
                (state.policy, state.push) = (None, refused());
                state
            },
        ),
        ("Look Shadow mode: refusals are only counted; every connection is let in.", {
            State::serve(json!({ "mode": "shadow" }))
        }),
        (
            "Look The policy: revocations: an empty entry (a comma too many?) revokes every token \
             without an ID.",
            State::serve(json!({ "revocations": ["a", ""] })),
        ),
        (
            "Look The file has not been brought up to date for 60 s: tokens that were revoked since then \
             are still let in.",
            {
                let mut state = State::sync(json!({}));
                state.poll = failing(Some(before(60)));
                state
            },
        ),
        (
            "Wrong The file has not been brought up to date for 5 minutes: tokens that were revoked since \
             then are still let in.",
            {
                let mut state = State::sync(json!({}));
                state.poll = failing(Some(before(300)));
                state
            },
        ),
        ("Wrong The file has not been current since zonegate sync started.", {
            let mut state = State::sync(json!({}));
            state.policy = None;
            state
        }),
        (
            "Wrong The keys or revoked ids in the gateway differ from those in the file: the gateway has not taken the last push.",
            {
                let mut state = State::sync(json!({ "revocations": "a,b" }));
                state.counts.holds = (1, 1);
                state
            },
        ),
        ("Wrong The gateway's admin interface does not answer.", {
            let mut state = State::sync(json!({}));
            state.unknown = Some(Gateway::Silent("Connection refused"));
            state
        }),
        ("Look 3 open streams have tokens that expire within a week.", {
            let mut state = State::serve(json!({}));
            state.counts.expiring = [0, 3, 9];
            state
        }),
    ];
    for (wanted, state) in cases {
        assert_eq!(attention(&state), wanted);
    }
}

/// Refusals of the last hour for reasons of the gateway itself.
#[test]
fn a_gateway_that_cannot_judge_is_wrong_and_goes_first() {
    for reason in Reason::ALL {
        let state = State::serve(json!({ "mode": "shadow" })).denied(Mode::Enforce, reason, 1, 1);
        let first = attention(&state);
        let is_wrong = first.starts_with("Wrong");
        let of_gateway = [Reason::ClockUnavailable, Reason::PolicyUnavailable, Reason::Overloaded];
        assert_eq!(is_wrong, of_gateway.contains(&reason), "{first}");
        let wanted =
            format!("Wrong Within the last hour 1 connection was refused for {reason}. Look ");
        assert!(!is_wrong || first.starts_with(&wanted), "{first}");
        let long_ago = State::serve(json!({})).denied(Mode::Enforce, reason, 0, 1);
        assert_eq!(attention(&long_ago), "Nothing needs attention.");
    }
}
