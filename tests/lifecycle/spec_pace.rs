//! A host that ends only some streams in a tick, and no other in the callback of a stream, in the form of [`crate::spec`].

use std::sync::Arc;

use serde_json::json;
use zonegate::lifecycle::{Effect, Lifecycle};

use crate::host::{Begin, Host, path, policy};
use crate::spec::{LET_IN, tell};

/// A policy that cuts at once.
const REVOKING: &str = r#"push b {"revocations":"id-1","openStreams":{"cutWithinMilliseconds":0}}"#;

fn opened(streams: u32) -> Vec<(String, String)> {
    let mut story =
        vec![("most 2".to_owned(), String::new()), ("push a".to_owned(), String::new())];
    for stream in 1..=streams {
        story.push((format!("headers {stream} good"), "pause".to_owned()));
        let let_in = LET_IN.replace("1:allow", &format!("{stream}:allow"));
        story.push((format!("body {stream} ingress"), let_in));
    }
    story
}

fn add(story: &mut Vec<(String, String)>, lines: &[(&str, &str)]) {
    story.extend(lines.iter().map(|(event, wanted)| ((*event).to_owned(), (*wanted).to_owned())));
}

#[test]
fn a_push_cuts_as_many_as_the_host_can_end_and_the_others_soon() {
    let mut story = opened(5);
    let lines = [
        (REVOKING, "1:cut, streams.cut.revoked, warn, 2:cut, streams.cut.revoked, warn"),
        ("gauges", "open 3 held 0 shadowed 0"),
        ("more", "3:cut, streams.cut.revoked, warn, 4:cut, streams.cut.revoked, warn"),
        ("more", "5:cut, streams.cut.revoked, warn"),
        ("more", "none"),
        ("gauges", "open 0 held 0 shadowed 0"),
    ];
    add(&mut story, &lines);
    tell(&story);
}

#[test]
fn what_was_not_cut_yet_is_spared_by_a_push_that_allows_it() {
    let mut story = opened(3);
    let lines = [
        (REVOKING, "1:cut, streams.cut.revoked, warn, 2:cut, streams.cut.revoked, warn"),
        ("push c", ""),
        ("tick 100", ""),
        ("gauges", "open 1 held 0 shadowed 0"),
    ];
    add(&mut story, &lines);
    tell(&story);
}

#[test]
fn late_streams_are_answered_as_the_host_can_end_them() {
    let late = |stream: u32| {
        format!("denied.no_first_message, {stream}:deny no_first_message, {stream}:answer 4, warn")
    };
    let mut story =
        vec![("most 2".to_owned(), String::new()), ("push a".to_owned(), String::new())];
    story.extend((1..=4).map(|stream| (format!("headers {stream} good"), "pause".to_owned())));
    story.push(("tick 100".to_owned(), String::new()));
    story.push(("tick 5000".to_owned(), format!("{}, {}", late(1), late(2))));
    // A callback may always answer its own stream.
    story.push((
        "headers 5 other end".to_owned(),
        "pause, denied.malformed_request, 5:deny malformed_request, 5:answer 3, warn".to_owned(),
    ));
    story.push(("more".to_owned(), format!("{}, {}", late(3), late(4))));
    story.push(("more".to_owned(), String::new()));
    story.push(("more".to_owned(), "none".to_owned()));
    tell(&story);
}

/// The limit is 16 MiB: 270 times 60,000 bytes, and the state of each stream. Those that lose are no longer counted, and
/// hear of it in a tick, unless they have ended.
#[test]
fn streams_that_lose_are_answered_in_a_tick() {
    let lost = |stream: u32| format!("denied.overloaded, {stream}:deny overloaded, warn");
    let mut story =
        vec![("most 1".to_owned(), String::new()), ("push a".to_owned(), String::new())];
    for stream in 1..=270 {
        story.push((format!("bootstrap {stream} with 60000"), "pause".to_owned()));
    }
    story.push(("headers 301 good".to_owned(), "pause".to_owned()));
    story.push(("body 301 long".to_owned(), format!("pause, {}, {}", lost(1), lost(2))));
    add(&mut story, &[("gauges", "open 0 held 269 shadowed 0"), ("more", "1:answer 14")]);
    add(&mut story, &[("body 301 nothing", "pause"), ("tick 100", "2:answer 14")]);
    add(&mut story, &[("more", ""), ("more", "none")]);
    // The second of these fills the room that one stream leaves.
    for stream in [302, 303] {
        story.push((format!("headers {stream} good"), "pause".to_owned()));
    }
    story.push(("body 302 long".to_owned(), format!("pause, {}, {}", lost(3), lost(4))));
    add(&mut story, &[("end 3", ""), ("more", "4:answer 14"), ("more", ""), ("more", "none")]);
    tell(&story);
}

fn full() -> Vec<(String, String)> {
    holding((1..=270).map(|stream| format!("bootstrap {stream} with 60000")), "headers 301 good")
}

/// The beginning of a story in which all of these requests are held.
fn holding(requests: impl Iterator<Item = String>, last: &str) -> Vec<(String, String)> {
    let begin = ["most 1", "push a"].map(|event| (event.to_owned(), String::new()));
    let held = requests.chain([last.to_owned()]).map(|event| (event, "pause".to_owned()));
    begin.into_iter().chain(held).collect()
}

#[test]
fn a_stream_that_has_lost_is_answered_in_its_own_callback() {
    let mut story = full();
    let lost = |stream: u32| format!("denied.overloaded, {stream}:deny overloaded, warn");
    story.push(("body 301 long".to_owned(), format!("pause, {}, {}", lost(1), lost(2))));
    let lines = [("body 2 nothing", "pause, 2:answer 14"), ("body 2 nothing", "pause")];
    add(&mut story, &lines);
    add(&mut story, &[("trailers 1", "pause, 1:answer 14"), ("more", "none")]);
    tell(&story);
}

#[test]
fn a_stream_that_has_lost_in_shadow_mode_goes_on_once() {
    let mut story = full();
    let lost = |stream: u32| format!("would_deny.overloaded, {stream}:would_deny overloaded, warn");
    add(&mut story, &[(r#"push b {"mode":"shadow"}"#, "")]);
    story.push(("body 301 long".to_owned(), format!("pause, {}, {}", lost(1), lost(2))));
    add(&mut story, &[("body 1 nothing", "continue"), ("more", "2:resume"), ("more", "")]);
    add(&mut story, &[("more", "none"), ("body 2 nothing", "continue")]);
    tell(&story);
}

#[test]
fn a_stream_that_is_cut_is_not_resumed_as_well() {
    let good = (1..=269).map(|stream| format!("headers {stream} good with 60000"));
    let mut story = holding(good, "headers 301 other");
    story.push((r#"push s {"mode":"shadow"}"#.to_owned(), String::new()));
    let lost = |stream: u32| format!("would_deny.overloaded, {stream}:would_deny overloaded, warn");
    story.push(("body 301 long".to_owned(), format!("pause, {}", lost(1))));
    add(&mut story, &[(REVOKING, "1:cut, streams.cut.revoked, warn")]);
    add(&mut story, &[("more", ""), ("more", "none")]);
    tell(&story);
}

/// Between two ticks, the time is that of the last tick.
#[test]
fn a_stream_that_has_come_since_the_last_tick_is_not_late() {
    let late = |stream: u32| {
        format!("denied.no_first_message, {stream}:deny no_first_message, {stream}:answer 4, warn")
    };
    let lines = [
        ("most 1", String::new()),
        (r#"push a {"firstMessageSeconds":1}"#, String::new()),
        ("headers 1 good", "pause".to_owned()),
        ("headers 2 good", "pause".to_owned()),
        ("tick 100", String::new()),
        ("tick 1000", late(1)),
        ("headers 3 good", "pause".to_owned()),
        ("more", late(2)),
        ("more", String::new()),
        ("more", "none".to_owned()),
    ];
    tell(&lines.map(|(event, wanted)| (event.to_owned(), wanted)));
}

/// Strangers that lose all the time do not put off a cut.
#[test]
fn cuts_come_before_answers() {
    let mut story = full();
    let lost = |stream: u32| format!("denied.overloaded, {stream}:deny overloaded, warn");
    story.push(("headers 400 other".to_owned(), "pause".to_owned()));
    story.push(("body 400 ingress".to_owned(), LET_IN.replace("1:allow", "400:allow")));
    story.push(("body 301 long".to_owned(), format!("pause, {}, {}", lost(1), lost(2))));
    let revoking = r#"push b {"revocations":"id-2","openStreams":{"cutWithinMilliseconds":500}}"#;
    add(&mut story, &[("tick 100", "1:answer 14"), (revoking, "")]);
    add(&mut story, &[("more", "400:cut, streams.cut.revoked, warn"), ("more", "2:answer 14")]);
    tell(&story);
}

/// Where the host holds 8 MiB for streams that have lost, a stranger loses itself. A proxy with a verified token does not.
#[test]
fn strangers_lose_themselves_while_many_wait_for_their_answer() {
    let mut story = full();
    let lost = |stream: u32| format!("denied.overloaded, {stream}:deny overloaded");
    // 8 MiB are 136 times 60,000 bytes, and the state of each stream. Ten lines are logged.
    for stream in 1..=136_u32 {
        let line = if stream <= 10 { ", warn" } else { "" };
        story.push((
            format!("bootstrap {} with 60000", 1_000 + stream),
            format!("pause, {}{line}", lost(stream)),
        ));
    }
    let itself = format!("pause, {}, 2000:answer 14", lost(2_000));
    story.push(("bootstrap 2000 with 60000".to_owned(), itself));
    story.push(("headers 2001 good with 60000".to_owned(), format!("pause, {}", lost(137))));
    tell(&story);
}

/// They do where the host holds 16 MiB.
#[test]
fn proxies_with_a_verified_token_lose_themselves_at_last() {
    let mut host = Host::of(Lifecycle::ending_at_most(1));
    let (under, _) = host.push(Arc::new(policy(&json!({}))));
    let mut lost = 0;
    for stream in 1..1_000 {
        let (path, token) = (path("headers"), "good");
        let under = Some(under);
        let begin = Begin { path, token, under, header_bytes: 60_000, is_end: false };
        let (_, effects) = host.begin(stream, &begin);
        if effects.iter().any(|effect| matches!(effect, Effect::Answer(..))) {
            // Each takes some 62 KiB and its token.
            assert!((260..=271).contains(&lost), "{lost} have lost");
            return;
        }
        lost += effects.iter().filter(|effect| matches!(effect, Effect::Facts(..))).count();
    }
    panic!("{lost} have lost");
}
