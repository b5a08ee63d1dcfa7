//! Streams of dataplanes, which have the keys and revocations of their meshes, in the form of [`crate::spec`].
//!
//! All tokens have the same ID. `dp-default` and `dp-other` have the kid that both meshes configure, `dp-all` the kid
//! of every mesh.

use crate::spec::tell;

const MESHES: &str =
    r#"push a {"proxies": {"dataplane": "dpToken"}, "dpToken": {"publicKeys": "MESHES"}}"#;

/// Streams 1 and 3 in mesh default, 2 and 4 in mesh other.
fn four_streams() -> Vec<(&'static str, &'static str)> {
    vec![
        (MESHES, ""),
        ("headers 1 dp-default", "pause"),
        ("body 1 default.dp-1", "continue, allowed, kid.default/m.allowed, 1:allow"),
        ("headers 2 dp-other", "pause"),
        ("body 2 other.dp-1", "continue, allowed, kid.other/m.allowed, 2:allow"),
        ("headers 3 dp-all", "pause"),
        ("body 3 default.dp-1", "continue, allowed, kid.*/all.allowed, 3:allow"),
        ("headers 4 dp-all", "pause"),
        ("body 4 other.dp-1", "continue, allowed, kid.*/all.allowed, 4:allow"),
        ("gauges", "open 4 held 0 shadowed 0"),
    ]
}

#[test]
fn a_push_that_revokes_in_one_mesh_cuts_the_streams_of_that_mesh() {
    let mut story = four_streams();
    story.extend([
        (
            r#"push b {"proxies": {"dataplane": "dpToken"},
                "dpToken": {"publicKeys": "MESHES", "revocations": {"default": "id-1"}}}"#,
            "1:cut, streams.cut.revoked, warn, 3:cut, streams.cut.revoked, warn",
        ),
        ("gauges", "open 2 held 0 shadowed 0"),
        ("headers 5 dp-all", "pause"),
        ("body 5 default.dp-1", "pause, denied.revoked, 5:deny revoked, 5:answer 16, warn"),
        ("headers 6 dp-all", "pause"),
        ("body 6 other.dp-1", "continue, allowed, kid.*/all.allowed, 6:allow"),
        (
            r#"push c {"proxies": {"dataplane": "dpToken"},
                "dpToken": {"publicKeys": "MESHES", "revocations": {"other": "id-1"}}}"#,
            "2:cut, streams.cut.revoked, warn, 4:cut, streams.cut.revoked, warn, \
             6:cut, streams.cut.revoked, warn",
        ),
        ("gauges", "open 0 held 0 shadowed 0"),
    ]);
    tell(&story);
}

/// Revocations of zone tokens, or of another mesh, do not affect a dataplane.
#[test]
fn other_revocations_cut_no_dataplane() {
    let mut story = four_streams();
    story.extend([
        (
            r#"push b {"proxies": {"dataplane": "dpToken"}, "revocations": "id-1",
                "dpToken": {"publicKeys": "MESHES", "revocations": {"third": "id-1"}}}"#,
            "",
        ),
        ("gauges", "open 4 held 0 shadowed 0"),
    ]);
    tell(&story);
}

#[test]
fn a_key_that_one_mesh_lost_cuts_the_streams_of_that_mesh_if_configured() {
    let mut story = four_streams();
    story.extend([
        (r#"push b {"proxies": {"dataplane": "dpToken"}, "dpToken": {"publicKeys": "MESH"}}"#, ""),
        ("gauges", "open 4 held 0 shadowed 0"),
        (
            r#"push c {"proxies": {"dataplane": "dpToken"}, "dpToken": {"publicKeys": "MESH"},
                "openStreams": {"onKeyRemoved": "cut"}}"#,
            "2:cut, streams.cut.key_removed, warn",
        ),
        ("gauges", "open 3 held 0 shadowed 0"),
        // No other mesh has the kid now.
        (
            "headers 5 dp-other",
            "pause, denied.invalid_signature, 5:deny invalid_signature, 5:answer 16, warn",
        ),
    ]);
    tell(&story);
}

#[test]
fn a_key_that_is_replaced_cuts_the_streams_that_it_let_in() {
    let mut story = four_streams();
    story.extend([
        (
            r#"push b {"proxies": {"dataplane": "dpToken"}, "dpToken": {"publicKeys": "REPLACED"},
                "openStreams": {"onKeyRemoved": "cut"}}"#,
            "2:cut, streams.cut.key_removed, warn, 3:cut, streams.cut.key_removed, warn, \
             4:cut, streams.cut.key_removed, warn",
        ),
        ("gauges", "open 1 held 0 shadowed 0"),
    ]);
    tell(&story);
}

/// The push comes between headers and message, before the token is verified.
#[test]
fn a_held_dataplane_is_judged_by_the_newest_keys_and_revocations() {
    tell(&[
        (MESHES, ""),
        ("headers 1 dp-default", "pause"),
        ("headers 2 dp-other", "pause"),
        (
            r#"push b {"proxies": {"dataplane": "dpToken"},
                "dpToken": {"publicKeys": "MESH", "revocations": {"default": "id-1"}}}"#,
            "",
        ),
        ("body 1 default.dp-1", "pause, denied.revoked, 1:deny revoked, 1:answer 16, warn"),
        ("body 2 other.dp-1", "pause, denied.unknown_kid, 2:deny unknown_kid, 2:answer 16, warn"),
        ("gauges", "open 0 held 0 shadowed 0"),
    ]);
}

/// Several keys have its kid, and only the first message shows which key counts: until then the token is not verified.
#[test]
fn a_token_that_is_not_verified_yet_is_the_first_to_lose_when_too_much_is_held() {
    // The first stream held little, so the next oldest is refused too.
    too_much_is_held_after(&[(MESHES, "")], "dp-forged", &[1, 2]);
    too_much_is_held_after(&[(MESHES, "")], "dp-default", &[1, 2]);
}

/// The same token was verified on an earlier stream.
#[test]
fn a_token_that_was_verified_before_stays_when_too_much_is_held() {
    let mut story = four_streams();
    story.truncate(3);
    story.push(("end 1", ""));
    too_much_is_held_after(&story, "dp-default", &[2]);
}

/// Stream 1 is held with this token, and 161 bootstrap requests with long bodies follow. Those in `shed` are refused.
fn too_much_is_held_after(before: &[(&str, &str)], token: &str, shed: &[u32]) {
    let mut story: Vec<(String, String)> = Vec::new();
    let mut add = |event: &str, wanted: &str| story.push((event.to_owned(), wanted.to_owned()));
    before.iter().for_each(|(event, wanted)| add(event, wanted));
    add(&format!("headers 1 {token}"), "pause");
    for stream in 2..=162 {
        add(&format!("bootstrap {stream}"), "pause");
    }
    for stream in 2..=161 {
        add(&format!("body {stream} large"), "pause");
    }
    let shed = shed.iter().map(|stream| {
        format!(", denied.overloaded, {stream}:deny overloaded, {stream}:answer 14, warn")
    });
    add("body 162 large", &format!("pause{}", shed.collect::<String>()));
    tell(&story);
}
