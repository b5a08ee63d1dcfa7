//! The content of each section.

use serde_json::json;
use zonegate::gate::{Mode, Reason};
use zonegate_page::{Gateway, KeyUse, Poll, Push};

use crate::state::{KEY, State, before};

fn fingerprint() -> String {
    KEY.public_key().fingerprint().to_string()
}

#[test]
fn the_policy_is_named() {
    let state = State::serve(json!({ "generation": "2026-11-27T17:03:00Z-0badcafe" }));
    assert_eq!(
        state.document().section("policy"),
        "Policy in force Mode enforce Profile dpServer, zone us-east Since 2026-11-27 17:03:00 UTC, 2 minutes \
         ago Generation 2026-11-27T17:03:00Z-0badcafe"
    );
    let mut state = State::sync(json!({ "profile": "globalKds", "zone": null, "mode": "shadow" }));
    assert_eq!(
        state.document().section("policy"),
        "Policy in the gateway's file Mode shadow Profile globalKds Since 2026-11-27 17:03:00 UTC, 2 minutes \
         ago Generation none"
    );
    state.policy = None;
    assert_eq!(state.document().section("policy"), "Policy in the gateway's file None.");
}

#[test]
fn the_last_push_is_there_with_why_it_was_refused() {
    let mut state = State::serve(json!({}));
    state.counts.rejected = 2;
    for (push, wanted) in [
        (None, "Push none yet"),
        (
            Some(Push { at: Some(before(60)), refused: None }),
            "Came 2026-11-27 17:04:00 UTC, 60 s ago Result accepted",
        ),
        (
            Some(Push { at: Some(before(7200)), refused: Some("zone: must not be empty".into()) }),
            "Came 2026-11-27 15:05:00 UTC, 2 hours ago Result refused: zone: must not be empty",
        ),
    ] {
        state.push = push;
        let wanted = format!("Last push {wanted} Refused by the gateway 2 pushes since it started");
        assert_eq!(state.document().section("push"), wanted);
    }
}

#[test]
fn the_page_of_sync_shows_the_control_plane_and_no_gateway() {
    let mut state = State::sync(json!({}));
    state.unknown = Some(Gateway::NotAsked);
    assert_eq!(
        state.document().section("push"),
        "Last push File current 2026-11-27 17:04:55 UTC, 5 s ago Control plane answers Refused by the \
         gateway not known here"
    );
    state.poll = Some(Poll { failures: 2, error: "no route".into(), ..Poll::default() });
    assert_eq!(
        state.document().section("push"),
        "Last push File current not since zonegate sync started Control plane 2 failed polls, the last one: \
         no route Refused by the gateway not known here"
    );
    for section in ["refusals", "streams"] {
        let said = state.document().section(section);
        assert!(said.contains("Not known here") && said.contains("--gateway-admin"), "{said}");
    }
    state.unknown = Some(Gateway::Silent("Connection refused (os error 111)"));
    let said = state.document().section("refusals");
    assert!(said.ends_with("does not answer: Connection refused (os error 111)"), "{said}");
    state.unknown = Some(Gateway::NotYet);
    assert!(state.document().section("streams").ends_with("the gateway has not been asked."));
}

#[test]
fn refusals_of_the_last_hour_come_first() {
    let mut state = State::serve(json!({}))
        .denied(Mode::Enforce, Reason::Expired, 0, 12_345)
        .denied(Mode::Enforce, Reason::Revoked, 3, 3)
        .denied(Mode::Shadow, Reason::WrongZone, 7, 8);
    assert_eq!(
        state.document().section("refusals"),
        "Refusals by reason Reason Last hour Since the start wrong_zone (let in by shadow mode) 7 8 revoked 3 \
         3 expired 0 12,345"
    );
    state.refusals.over = std::time::Duration::from_secs(600);
    let said = state.document().section("refusals");
    assert!(
        said.starts_with("Refusals by reason Counted here for 10 minutes so far. Reason"),
        "{said}"
    );
    let none = State::serve(json!({})).document().section("refusals");
    assert_eq!(none, "Refusals by reason None since the gateway started.");
}

#[test]
fn streams_and_their_tokens_are_counted() {
    let mut state = State::serve(json!({}));
    (state.counts.open, state.counts.held, state.counts.shadowed) = (1200, 1, 2);
    state.counts.expiring = [3, 4, 5];
    assert_eq!(
        state.document().section("streams"),
        "Open streams and their tokens Open 1,200 Waiting for a first message 1 Let in by shadow mode only 2 \
         Token expires within a day 3 … within 7 days 4 … within 30 days 5"
    );
}

#[test]
fn keys_of_every_kind_are_there_with_mesh_and_use() {
    let key = KEY.public_key_pem();
    let fields = json!({
        "proxies": { "dataplane": "dpToken" },
        "dpToken": { "publicKeys": [
            { "kid": "1", "key": key },
            { "kid": "1", "key": key, "mesh": "demo" },
        ] },
    });
    let mut state = State::serve(fields);
    state.counts.by_key.insert("key-1".into(), KeyUse { open: 4, allowed: 1234 });
    state.counts.by_key.insert("demo/1".into(), KeyUse { open: 5, allowed: 6 });
    let print = fingerprint();
    let row =
        |kid: &str, of: &str, used: &str| format!("{kid} {of} RS256, 2048 bits {print} {used}");
    assert_eq!(
        state.document().section("keys"),
        [
            "Keys Kid Of Fingerprint Open streams Let in",
            &row("key-1", "zone tokens", "4 1,234"),
            &row("1", "dataplane tokens", "0 0"),
            &row("1", "dataplane tokens, mesh demo", "5 6"),
        ]
        .join(" ")
    );
    state.unknown = Some(Gateway::NotAsked);
    let unknown = state.document().section("keys");
    assert!(
        unknown.starts_with("Keys Kid Of Fingerprint key-1 ") && unknown.ends_with(&print),
        "{unknown}"
    );
}

#[test]
fn revocations_are_counted_and_rules_are_shown_with_note_and_end() {
    let fields = json!({
        "revocations": ["a", "b", ""],
        "proxies": { "dataplane": "dpToken" },
        "dpToken": {
            "publicKeys": [{ "kid": "1", "key": KEY.public_key_pem() }],
            "revocations": { "demo": "x" },
        },
        "revocationRules": [
            { "zone": "us-east", "issuedBefore": "2026-11-20T00:00:00Z", "until": "2026-12-20T00:00:00Z",
              "note": "the backup is lost" },
            { "mesh": "demo", "name": "web", "until": "2026-11-27T17:05:00Z" },
            { "kid": "key-1" },
        ],
    });
    assert_eq!(
        State::serve(fields).document().section("revocations"),
        "Revocations 2 ids of zone tokens, and every token without an id 1 id of dataplane tokens, mesh demo \
         Rule Revokes tokens Ends Note \
         revocationRules[0] zone us-east, issued before 2026-11-20 00:00:00 UTC 2026-12-20 00:00:00 UTC the \
         backup is lost \
         revocationRules[1] mesh demo, dataplane web has ended: 2026-11-27 17:05:00 UTC \
         revocationRules[2] kid key-1 never"
    );
    let none = State::serve(json!({})).document().section("revocations");
    assert_eq!(none, "Revocations No id is revoked. There are no rules.");
}

#[test]
fn a_long_list_is_cut_and_says_so() {
    let rules: Vec<_> = (0..1000).map(|id| json!({ "kid": format!("kid-{id}") })).collect();
    let said = State::serve(json!({ "revocationRules": rules })).document().section("revocations");
    assert!(said.contains("kid-199 ") && !said.contains("kid-200"), "{said}");
    assert!(said.ends_with("And 800 more, which are not shown."), "{said}");
}
