#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // a test may panic

use super::*;

const ECDS: &str = include_str!("../../../../envoy/ecds/zonegate.yaml");
const KEY: &str = include_str!("../../../../tests/data/key-1.pub.pem");

fn edit(file: &str, add: &[&str], drop: &[&str]) -> Result<Edited, RevokeError> {
    let owned = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>();
    RevocationFile::read(file.as_bytes())?.edit(&owned(add), &owned(drop).into_iter().collect())
}

/// A plugin configuration in YAML with these lines in it.
fn policy(lines: &str) -> String {
    let key = KEY.lines().map(|line| format!("    {line}\n")).collect::<String>();
    format!(
        "# Ours.\nzone: z\npublicKeys:\n- kid: \"1\"\n  key: |\n{key}{lines}mode: enforce # for now\n"
    )
}

#[test]
fn a_list_grows_and_shrinks_in_its_form() {
    for (text, add, drop, wanted) in [
        ("", &["a"][..], &[][..], "a\n"),
        ("\n", &["a"], &[], ",a\n"),
        ("a,b", &["c"], &[], "a,b,c"),
        ("a,b\n", &["c", "b"], &["a"], "b,c\n"),
        ("a,", &["b"], &[], "a,,b"),
        ("a, b\n", &["c"], &[], "a,b,c\n"),
        ("a\nb\r\n", &["c"], &[], "a,b,c\n"),
        ("a,b\n", &["b"], &["c"], "a,b\n"),
        ("a\nb", &["b"], &[], "a\nb"),
    ] {
        assert_eq!(edit(text, add, drop).unwrap().text, wanted, "{text:?}");
    }
    let edited = edit("a,b", &["b", "c", "c"], &["a"]).unwrap();
    assert_eq!(
        (edited.added, edited.already),
        (vec!["c".to_owned()], vec!["b".into(), "c".into()])
    );
    assert_eq!((edited.dropped, edited.total), (vec!["a".to_owned()], 2));
    assert_eq!(edit("a, b", &["c"], &[]).unwrap().layout, Layout::Commas);
}

#[test]
fn the_shipped_file_keeps_every_other_byte() {
    let edited = edit(ECDS, &["id-1", "id-2"], &[]).unwrap();
    let wanted = ECDS.replace("revocations: \"\"", "revocations: \"id-1,id-2\"");
    assert_eq!((edited.text.as_str(), edited.layout), (wanted.as_str(), Layout::Kept));
    let again = edit(&edited.text, &["id-2"], &["id-1"]).unwrap();
    assert_eq!(again.text, ECDS.replace("revocations: \"\"", "revocations: \"id-2\""));
    let unchanged = edit(&edited.text, &["id-2"], &[]).unwrap();
    assert_eq!((unchanged.text, unchanged.already.len()), (edited.text, 1));
}

#[test]
fn the_layout_is_kept_wherever_the_revocations_can_be_found() {
    for (before, after) in [
        ("revocations: a,b # why\n", "revocations: \"a,b,c\" # why\n"),
        ("revocations: 'a' # 'x'\n", "revocations: \"a,c\" # 'x'\n"),
        ("revocations: \"a\\u0062\"\n", "revocations: \"ab,c\"\n"),
        ("revocations: [a, \"b\"] # why\n", "revocations: [\"a\",\"b\",\"c\"] # why\n"),
        (
            "revocations:\n- a # first\n# note\n- 'b'\n",
            "revocations:\n- a # first\n# note\n- 'b'\n- \"c\"\n",
        ),
        ("revocations:\n  - a\n", "revocations:\n  - a\n  - \"c\"\n"),
        ("# revocations: x\nrevocations: a\n", "# revocations: x\nrevocations: \"a,c\"\n"),
    ] {
        let edited = edit(&policy(before), &["c"], &[]).unwrap();
        assert_eq!((edited.text, edited.layout), (policy(after), Layout::Kept), "{before}");
    }
    let edited = edit(&policy("revocations:\n- a # first\n- b\n"), &["c"], &["b"]).unwrap();
    assert_eq!(edited.text, policy("revocations:\n- a # first\n- \"c\"\n"));
    let none = edit(&policy(""), &["c"], &[]).unwrap();
    assert_eq!(none.text, policy("").replace("publicKeys:", "revocations: \"c\"\npublicKeys:"));
}

#[test]
fn what_cannot_be_found_is_written_anew_and_said() {
    let folded = policy("revocations: >-\n  a,\n  b\n");
    let edited = edit(&folded, &["c"], &[]).unwrap();
    assert_eq!((edited.layout, edited.total), (Layout::Anew, 3));
    let read = PluginConfiguration::find(edited.text.as_bytes()).unwrap().config().unwrap();
    assert!(["a", "b", "c"].iter().all(|id| read.policy.revocations.contains(id)));
    let string = serde_json::json!({
        "@type": "x/envoy.extensions.filters.http.wasm.v3.Wasm",
        "config": { "configuration": {
            "@type": "x/google.protobuf.StringValue",
            "value": serde_json::json!({ "publicKeys": [{ "kid": "1", "key": KEY }] }).to_string(),
        }},
    });
    let edited = edit(&string.to_string(), &["c"], &[]).unwrap();
    let read = PluginConfiguration::find(edited.text.as_bytes()).unwrap().config().unwrap();
    assert!(read.policy.revocations.contains("c"));
}

#[test]
fn json_keeps_its_layout_too() {
    let json = |revocations: &str| {
        format!(
            "{{\n  \"revocations\": {revocations},\n  \"publicKeys\": [ {{ \"key\": {}, \"kid\": \"1\" }} ]\n}}\n",
            Value::from(KEY)
        )
    };
    let edited = edit(&json("\"a\""), &["b"], &[]).unwrap();
    assert_eq!((edited.text, edited.layout), (json("\"a,b\""), Layout::Kept));
}

#[test]
fn what_must_not_be_revoked_or_edited_is_refused() {
    for (file, id, wanted) in [
        ("a", "", RevokeError::EmptyId),
        ("a", "b,c", RevokeError::NotInText("b,c".into())),
        ("a", "b c", RevokeError::NotInText("b c".into())),
        (KEY, "b", RevokeError::NotAList),
    ] {
        assert_eq!(edit(file, &[id], &[]).unwrap_err(), wanted);
    }
    let in_a_list = edit(&policy("revocations: []\n"), &["b,c"], &[]).unwrap();
    assert!(in_a_list.text.contains("revocations: [\"b,c\"]"), "{}", in_a_list.text);
    for file in ["zone: z\n", "{\"a\": 1}", "a: [", "# only a comment\n", "- a\n- b\n"] {
        assert!(matches!(edit(file, &["a"], &[]), Err(RevokeError::Plugin(_))), "{file}");
    }
    assert!(RevocationFile::read(&[0xff]).is_err());
}
